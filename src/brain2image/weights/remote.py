"""Parts of a file on a web server, read by HTTP ranges as if it lay on the disk."""

import http.client
import io
import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from http.client import HTTPMessage
from typing import Any

from brain2image.core.errors import InputError
from brain2image.weights.client import BY_HAND, PASSING, Client, http_error, retry_after
from brain2image.weights.sources import redact

logger = logging.getLogger(__name__)

# Small reads, of which a zip directory needs a dozen, are served from blocks of this size.
BLOCK = 1 << 17
CHUNK = 1 << 20
# A server that sends less than this in so many seconds is given up; so many bytes also end a row of failures.
STALL_BYTES, STALL_SECONDS = 1 << 16, 60
# Waits before each new attempt, s. The first look at a file waits less, so that a computer without network
# says so soon.
DELAYS = (1, 2, 4, 8, 16)
FIRST_DELAYS = (1, 2)
LONGEST_WAIT = 300  # s that a server may ask for by Retry-After
FIRST_BYTES = 64


class RangesRefused(Exception):
    """The server does not give parts of this file, or cannot say whether they are of the same version."""


class RemoteFile(io.RawIOBase):
    """A seekable, read-only file on a web server.

    Small reads fetch blocks of 128 KiB, of which the last eight are kept; a larger read is one request of
    exactly its bytes. Redirects are followed once and remembered. A cut connection is taken up where it
    broke, unless the file has changed meanwhile; one that brings next to nothing is given up.

    Parameters
    ----------
    url : http or https address; a user and password in it are sent as a header.
    headers : sent to the server of ``url`` alone, not to where it redirects.
    name : what the file is called in messages; else ``url`` without its secrets.

    Attributes
    ----------
    size : bytes of the whole file.
    etag : the server's name of the content without quotes; None if it gives none.
    version : the etag, else when the content was last modified; None if the server says neither.
    sha256 : the etag where it is a SHA-256, as that of large files on the Hub is; else None.
    commit : commit of the Hub's repository; None on other servers.
    has_ranges : whether parts can be read.
    start : the first bytes, 64 at most.

    Raises
    ------
    InputError
        When the file is not there, not accessible, sent compressed, or the server cannot be reached.
    """

    def __init__(self, url: str, *, headers: Mapping[str, str] | None = None, name: str | None = None):
        super().__init__()
        self.name = name or redact(url)
        self._client = Client(url, headers=headers or {}, name=self.name)
        self._location, self._position = self._client.url, 0
        self._stamp: tuple[str, str] | None = None
        self._has_looked, self._asks_if_range = False, True
        self._block = lru_cache(maxsize=8)(self._read_block)
        self.has_ranges, answer, self.start = self._look()
        self.size = self._stated_size(answer)
        self._stamp = _stamp(answer)
        self._has_looked = True
        answers = [*self._client.answers, answer]
        self._linked = _first(answers, "X-Linked-ETag")
        self.etag = self._linked or _first([answer], "ETag")
        self.version = self.etag or (self._stamp and self._stamp[1])
        self.sha256 = self.etag if re.fullmatch(r"[0-9a-f]{64}", self.etag or "") else None
        self.commit = _first(answers, "X-Repo-Commit")

    def stream(self, start: int, stop: int, *, may_resume: bool = True) -> Iterator[bytes]:
        """Yield the bytes from ``start`` to before ``stop`` in one request; a cut one is resumed.

        Parameters
        ----------
        may_resume : whether a cut request may be taken up where it broke.

        Raises
        ------
        RangesRefused
            When it was cut and the server sends the file from its beginning instead, or must be asked to.
        InputError
            When the connection stays cut or brings next to nothing, or the file has changed.
        """
        patience = _Patience(self.name, DELAYS)
        while start < stop:
            problem: Any = "it was cut"
            try:
                with self._open(start, stop) as response:
                    while start < stop and (chunk := response.read1(min(CHUNK, stop - start))):
                        start += len(chunk)
                        patience.count(len(chunk))
                        yield chunk
            except (OSError, http.client.HTTPException) as error:
                problem = error
            if start < stop:
                self._wait(patience, problem)
                # only now: also who begins anew must not ask a server that is down without a pause
                if not may_resume:
                    raise RangesRefused(self.name)

    def readinto(self, target: Any) -> int:
        """Read up to ``len(target)`` bytes; all of them, unless the file ends or they are but a few."""
        view = memoryview(target).cast("B")
        n_wanted = max(0, min(len(view), self.size - self._position))
        start, stop = self._position, self._position + n_wanted
        # a zip directory is read in a dozen small steps, each of which would else be a request
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
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def _few(self, n_wanted: int) -> list[bytes]:
        number, offset = divmod(self._position, BLOCK)
        return [self._block(number)[offset : offset + n_wanted]] if n_wanted else []

    def _read_block(self, number: int) -> bytes:
        return b"".join(self.stream(number * BLOCK, min((number + 1) * BLOCK, self.size)))

    def _look(self) -> tuple[bool, HTTPMessage, bytes]:
        """Ask whether the server gives parts; return that, its answer's headers, and how the file begins."""
        patience = _Patience(self.name, FIRST_DELAYS)
        while True:
            try:
                with self._open(0, FIRST_BYTES) as response:
                    start = b""
                    while len(start) < FIRST_BYTES and (part := response.read1(FIRST_BYTES - len(start))):
                        start += part
                        patience.count(len(part))
                    # an empty file has no first bytes; any other one that sends none was cut
                    if not start and response.headers.get("Content-Length") != "0":
                        raise ConnectionError("it was cut")
                    return response.status == 206, response.headers, start
            except (OSError, http.client.HTTPException) as error:
                self._wait(patience, error)

    def _stated_size(self, headers: HTTPMessage) -> int:
        part, _, total = headers.get("Content-Range", "").rpartition("/")
        length = total if self.has_ranges else headers.get("Content-Length", "")
        if not length.isdecimal() or (self.has_ranges and not part.startswith("bytes 0-")):
            raise InputError(
                f"{self.name}: expected a server that says how large the file is, got no length; {BY_HAND}"
            )
        return int(length)

    def _open(self, start: int, stop: int) -> http.client.HTTPResponse:
        headers = {"Range": f"bytes={start}-{stop - 1}"}
        if self._asks_if_range and self._stamp and not self._stamp[1].startswith("W/"):
            headers["If-Range"] = self._stamp[1]  # of another version the server then sends all
        response = self._client.open(self._location, headers)
        try:
            self._check_answer(response, start, stop)
        except (InputError, RangesRefused) as error:
            response.close()
            if isinstance(error, InputError) or "If-Range" not in headers:
                raise
            self._asks_if_range = False  # the version is the same, so the server does not know this header
            return self._open(start, stop)
        self._location = response.url  # where it redirects to; asked at once the next time
        return response

    def _check_answer(self, response: http.client.HTTPResponse, start: int, stop: int) -> None:
        """Raise unless an answer holds the wanted bytes of the version that was seen first."""
        coding = response.headers.get("Content-Encoding", "identity")
        if coding.strip().lower() not in ("", "identity"):
            raise InputError(
                f"{self.name}: expected the bytes of the file, but the server sends them compressed "
                f"({coding[:20]}), which nobody asked for; {BY_HAND}"
            )
        if not self._has_looked:
            return
        self._check_version(response.headers)
        part, _, total = response.headers.get("Content-Range", "").rpartition("/")
        # a server without ranges sends the whole file: fit for a request from the first byte on
        if response.status != 206:
            part, total = f"bytes {start}-{stop - 1}", response.headers.get("Content-Length", "")
        if total != str(self.size) or part != f"bytes {start}-{stop - 1}":
            raise InputError(
                f"{self.name}: expected bytes {start}-{stop - 1}/{self.size}, got {part}/{total}; run again"
            )
        if response.status != 206 and start > 0:
            raise RangesRefused(self.name)

    def _check_version(self, headers: HTTPMessage) -> None:
        """Raise unless the headers name the version that was seen first, or none."""
        linked = _first([*self._client.answers, headers], "X-Linked-ETag")
        if linked is None:
            kind, before = self._stamp or ("ETag", None)
            now = headers.get(kind)
        else:  # the Hub's own name counts, those of the servers behind it may differ
            before, now = self._linked, linked
            self._stamp = _stamp(headers)
        if before and now and now != before:
            raise InputError(
                f"{self.name}: expected version {before} as at the first look, got {now}: it was replaced on "
                "the server meanwhile; run again"
            )

    def _wait(self, patience: "_Patience", problem: Any) -> None:
        """Wait before the next attempt, which asks the first address again: a signed one may have expired."""
        status = getattr(problem, "code", None)
        has_expired = status == 403 and self._location != self._client.url
        if patience.is_over or not (status is None or status in PASSING or has_expired):
            raise http_error(self.name, status, problem) from None
        seconds = max(patience.delay, retry_after(problem))
        if seconds > LONGEST_WAIT:
            raise InputError(f"{self.name}: the server asks to come back in {seconds:.0f} s; run again then")
        logger.warning("%s: %s; trying again in %.0f s", self.name, problem, seconds)
        time.sleep(seconds)
        patience.fail()
        self._location = self._client.url


class _Patience:
    """Counts failures in a row, and the seconds since the last `STALL_BYTES` came.

    Parameters
    ----------
    name : of the file, for the message.
    delays : seconds to wait after each failure; after as many it is over.
    """

    def __init__(self, name: str, delays: Sequence[float]):
        self._name, self._delays = name, delays
        self._n_failures, self._n_bytes, self._since = 0, 0, time.monotonic()

    @property
    def is_over(self) -> bool:
        return self._n_failures == len(self._delays)

    @property
    def delay(self) -> float:
        return self._delays[self._n_failures]

    def fail(self) -> None:
        """Count a failure; the time that was waited for the next attempt does not count."""
        self._n_failures, self._since = self._n_failures + 1, time.monotonic()

    def count(self, n_bytes: int) -> None:
        """Count what came; raise InputError where that was too little for too long."""
        self._n_bytes += n_bytes
        if self._n_bytes >= STALL_BYTES:
            self._n_failures, self._n_bytes, self._since = 0, 0, time.monotonic()
        elif time.monotonic() - self._since > STALL_SECONDS:
            raise InputError(
                f"{self._name}: expected {STALL_BYTES} bytes in {STALL_SECONDS} s, got {self._n_bytes}: the "
                f"server has stalled; run again, or {BY_HAND}"
            )


def _stamp(headers: HTTPMessage) -> tuple[str, str] | None:
    """Return the header that tells versions of a file apart, and its value as the server spells it."""
    return next(((kind, headers[kind]) for kind in ("ETag", "Last-Modified") if headers.get(kind)), None)


def _first(answers: list[HTTPMessage], header: str) -> str | None:
    """Return the first value of a header, as a plain text."""
    value = next((headers[header] for headers in answers if headers.get(header)), None)
    return value and value.removeprefix("W/").strip('"')
