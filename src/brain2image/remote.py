"""Parts of a file on a web server, read by HTTP ranges as if it lay on the disk."""

import http.client
import io
import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request, build_opener

from brain2image.errors import InputError

logger = logging.getLogger(__name__)

# Small reads, of which a zip directory needs a dozen, are served from blocks of this size.
BLOCK = 1 << 17
CHUNK = 1 << 20
TIMEOUT = 30  # s without a byte
# Waits before each new attempt, s; as soon as a byte has come, counting begins anew. The first look at a file
# waits less, so that a computer without network says so soon.
DELAYS = (1, 2, 4, 8, 16)
FIRST_DELAYS = (1, 2)
# Statuses that may be gone a moment later.
PASSING = {408, 429, 500, 502, 503, 504}

REFUSED = "access is refused; correct the source, or accept the terms on its page and set HF_TOKEN"
REASONS = {401: REFUSED, 403: REFUSED, 416: "the file is empty; correct the source in the config's weights"}
NO_NETWORK = "run `snakemake fetch_weights` where there is network, or give a local file in the config"


class RangesRefused(Exception):
    """The server only gives the whole file."""


class NotFound(InputError):
    """There is no such file on the server."""


class RemoteFile(io.RawIOBase):
    """A seekable, read-only file on a web server.

    Small reads fetch blocks of 128 KiB, of which the last eight are kept; a larger read is one request of
    exactly its bytes. Redirects are followed once and remembered. A cut connection is taken up where it
    broke.

    Parameters
    ----------
    url : http or https address.
    headers : sent to the server of ``url`` alone, not to where it redirects.
    name : what the file is called in messages.

    Attributes
    ----------
    size : bytes of the whole file.
    etag : the server's name of the content without quotes; None if it gives none.
    sha256 : the etag where it is a SHA-256, as that of large files on the Hub is; else None.
    commit : commit of the Hub's repository; None on other servers.
    has_ranges : whether parts can be read.
    start : the first bytes, 64 at most.

    Raises
    ------
    InputError
        When the file is not there, not accessible, or the server cannot be reached.
    """

    def __init__(self, url: str, *, headers: Mapping[str, str] | None = None, name: str | None = None):
        super().__init__()
        self._url, self._headers, self.name = url, dict(headers or {}), name or url
        self._redirects = _RememberedRedirects()
        self._opener: OpenerDirector = build_opener(self._redirects)
        self._location, self._position, self.size = url, 0, None
        self._block = lru_cache(maxsize=8)(self._read_block)
        self.has_ranges, headers, self.start = self._look()
        total = headers.get("Content-Range", "").rpartition("/")[2]
        length = total if self.has_ranges else headers.get("Content-Length", "")
        if not length.isdigit():
            raise InputError(
                f"{self.name}: expected a server that says how large the file is, got no length; "
                "download it yourself and give the local file in the config's weights"
            )
        answers = [*self._redirects.answers, headers]
        self.size = int(length)
        self.etag = _first(answers, "X-Linked-ETag") or _first([headers], "ETag")
        self.sha256 = self.etag if re.fullmatch(r"[0-9a-f]{64}", self.etag or "") else None
        self.commit = _first(answers, "X-Repo-Commit")

    def stream(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from ``start`` to before ``stop`` in one request; a cut one is resumed.

        Raises
        ------
        RangesRefused
            When the server sends the file from its beginning instead.
        InputError
            When the connection stays cut.
        """
        n_failures = 0
        while start < stop:
            reason: Any = "it was cut"
            try:
                with self._open(start, stop) as response:
                    while start < stop and (chunk := response.read(min(CHUNK, stop - start))):
                        start, n_failures = start + len(chunk), 0
                        yield chunk
            except (OSError, http.client.HTTPException) as error:
                reason = error
            if start < stop:
                self._wait(n_failures, reason, DELAYS)
                n_failures += 1

    def readinto(self, target: Any) -> int:
        """Read up to ``len(target)`` bytes; all of them, unless the file ends or they are but a few."""
        view = memoryview(target).cast("B")
        n_wanted = max(0, min(len(view), self.size - self._position))
        start, stop = self._position, self._position + n_wanted
        chunks = self._few(n_wanted) if n_wanted < BLOCK else self.stream(start, stop)
        n_read = 0
        for chunk in chunks:
            view[n_read : n_read + len(chunk)] = chunk
            n_read += len(chunk)
        self._position += n_read
        return n_read

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; nothing is transferred."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        if origin + offset < 0:
            raise OSError(f"cannot seek to {origin + offset}")
        self._position = origin + offset
        return self._position

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def _few(self, n_wanted: int) -> list[bytes]:
        number, offset = divmod(self._position, BLOCK)
        return [self._block(number)[offset : offset + n_wanted]] if n_wanted else []

    def _read_block(self, number: int) -> bytes:
        return b"".join(self.stream(number * BLOCK, min((number + 1) * BLOCK, self.size)))

    def _look(self) -> tuple[bool, Mapping[str, str], bytes]:
        """Whether the server gives parts, the headers of its answer, and how the file begins."""
        n_failures = 0
        while True:
            try:
                with self._open(0, 64) as response:
                    return response.status == 206, response.headers, response.read(64)
            except (OSError, http.client.HTTPException) as error:
                self._wait(n_failures, error, FIRST_DELAYS)
                n_failures += 1

    def _open(self, start: int, stop: int) -> http.client.HTTPResponse:
        request = Request(self._location, headers={"Range": f"bytes={start}-{stop - 1}"})
        if urlsplit(self._location).netloc == urlsplit(self._url).netloc:
            for key, value in self._headers.items():
                request.add_unredirected_header(key, value)
        response = self._opener.open(request, timeout=TIMEOUT)
        self._location = response.url
        if self.size is None:
            return response
        if response.status != 206 and start > 0:
            response.close()
            raise RangesRefused(self.name)
        part, _, total = response.headers.get("Content-Range", "").rpartition("/")
        if response.status == 206 and (total != str(self.size) or part != f"bytes {start}-{stop - 1}"):
            response.close()
            raise InputError(
                f"{self.name}: expected bytes {start}-{stop - 1}/{self.size}, got {part}/{total}; run again"
            )
        return response

    def _wait(self, n_failures: int, reason: Any, delays: Sequence[float]) -> None:
        """Wait before the next attempt, which asks the first address again: a signed one may have expired."""
        status = getattr(reason, "code", None)
        has_expired = status == 403 and self._location != self._url
        if n_failures == len(delays) or not (status is None or status in PASSING or has_expired):
            raise http_error(self.name, status, reason) from None
        logger.warning("%s: %s; trying again in %d s", self.name, reason, delays[n_failures])
        time.sleep(delays[n_failures])
        self._location = self._url


class _RememberedRedirects(HTTPRedirectHandler):
    """Follows redirects and keeps the headers of each: the Hub names size and hash there."""

    def __init__(self) -> None:
        self.answers: list[Mapping[str, str]] = []

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        """Follow as usual."""
        self.answers.append(headers)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _first(answers: list[Mapping[str, str]], header: str) -> str | None:
    """The first value of a header, as a plain text."""
    value = next((headers[header] for headers in answers if headers.get(header)), None)
    return value and value.removeprefix("W/").strip('"')


def http_error(name: str, status: int | None, reason: Any) -> InputError:
    """What a server's refusal, or its silence, means for the user."""
    if status is None:
        return InputError(f"{name}: the server cannot be reached ({reason}); {NO_NETWORK}")
    if status == 404:
        return NotFound(f"{name}: there is no such file; correct the source in the config's weights")
    return InputError(f"{name}: {REASONS.get(status, f'the server answers {status}; try again later')}")
