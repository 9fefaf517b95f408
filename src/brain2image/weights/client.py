"""Requests to one web server: secrets stay with it, and no answer is waited for without end."""

import base64
import http.client
import socket
import string
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, unquote_to_bytes, urlsplit
from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, Request, build_opener

from brain2image.core.errors import InputError

TIMEOUT = 30  # s without a byte
ANSWER_SECONDS = 60  # until all headers of an answer are there
# Statuses that may be gone a moment later.
PASSING = {408, 429, 500, 502, 503, 504}

REFUSED = "access is refused; correct the source, or accept the terms on its page and set HF_TOKEN"
REASONS = {401: REFUSED, 403: REFUSED, 416: "the file is empty; correct the source in the config's weights"}
NO_NETWORK = "run `snakemake fetch_weights` where there is network, or give a local file in the config"
BY_HAND = "download it yourself and give the local file in the config's weights"


class NotFound(InputError):
    """There is no such file on the server."""


def http_error(name: str, status: int | None, reason: Any) -> InputError:
    """Explain to the user what a server's refusal, or its silence, means."""
    if status is None:
        return InputError(f"{name}: the server cannot be reached ({reason}); {NO_NETWORK}")
    if status == 404:
        return NotFound(f"{name}: there is no such file; correct the source in the config's weights")
    return InputError(f"{name}: {REASONS.get(status, f'the server answers {status}; try again later')}")


def retry_after(problem: Any) -> float:
    """Read how many seconds a refusal asks to wait, given as a number or a date; 0 where it does not."""
    value = (getattr(problem, "headers", None) or {}).get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value[:9])
    try:
        return (parsedate_to_datetime(value).astimezone(UTC) - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError, OverflowError):  # of a text that is no date
        return 0


class Client:
    """Opens addresses of a server, and those that it redirects to.

    User and password in ``url`` become a header. Headers given here are sent to that server alone, whoever
    it redirects to. A redirect from https to http is not followed.

    Parameters
    ----------
    url : http or https address.
    headers : what only this server may see.
    name : what the address is called in messages, without secrets.

    Attributes
    ----------
    url : the address without user and password, in ASCII.
    answers : headers of the redirects of the last request.

    Raises
    ------
    InputError
        When the address is malformed.
    """

    def __init__(self, url: str, *, headers: Mapping[str, str], name: str):
        self._name = name
        with self._malformed():
            self.url, credentials = _address(url)
        self._redirects = _Redirects(self.url, {**credentials, **headers}, name)
        self._opener = build_opener(self._redirects, _HTTP, _HTTPS)

    @property
    def answers(self) -> list[http.client.HTTPMessage]:
        """Return the headers of the last request's redirects: the Hub names size and hash there."""
        return self._redirects.answers

    def open(self, url: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        """Ask for ``url``, with headers that anybody may see.

        Raises
        ------
        InputError
            When it redirects from https to http, or to an address that is none.
        OSError, http.client.HTTPException
            When there is no answer, or a refusal.
        """
        self.answers.clear()
        with self._malformed():
            request = Request(url, headers=dict(headers))
            self._redirects.authorise(request)
            return self._opener.open(request, timeout=TIMEOUT)

    @contextmanager
    def _malformed(self) -> Iterator[None]:
        """Explain what the standard library says of texts that cannot be sent; its own words quote them."""
        try:
            yield
        except (InputError, OSError):  # a bad certificate is both an OSError and a ValueError
            raise
        except (http.client.InvalidURL, ValueError):  # UnicodeError, too
            raise InputError(
                f"{self._name}: expected an address that can be asked, but it, one that it redirects to, or "
                "the token HF_TOKEN is malformed; correct the source in the config's weights, or the token"
            ) from None


def _address(url: str) -> tuple[str, dict[str, str]]:
    """Divide an address into what is sent and the header that stands for its user and password."""
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    path, query = (quote(text, safe=string.punctuation) for text in (parts.path, parts.query))
    plain = parts._replace(netloc=host.encode("idna").decode(), path=path, query=query, fragment="").geturl()
    if not user:
        return plain, {}
    return plain, {"Authorization": f"Basic {base64.b64encode(unquote_to_bytes(user)).decode()}"}


class _Redirects(HTTPRedirectHandler):
    """Follows redirects, adds the server's own headers where it redirects to itself, keeps the answers."""

    def __init__(self, url: str, headers: Mapping[str, str], name: str):
        self._server, self._headers, self._name = urlsplit(url)[:2], headers, name
        self.answers: list[http.client.HTTPMessage] = []

    def authorise(self, request: Request) -> None:
        """Add the server's own headers to a request to it."""
        if urlsplit(request.full_url)[:2] == self._server:
            for key, value in self._headers.items():
                request.add_unredirected_header(key, value)

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        """Follow as usual, but not out of the encryption."""
        self.answers.append(headers)
        if req.type == "https" and urlsplit(newurl).scheme != "https":
            raise InputError(
                f"{self._name}: expected to stay on https, but the server redirects to http, where everybody "
                "on the way may read and change what is sent; give another source in the config's weights"
            )
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        if request is not None:
            self.authorise(request)
        return request


class _InTime:
    """A connection that is cut when the headers of an answer take too long, be it byte by byte."""

    sock: socket.socket

    def getresponse(self) -> http.client.HTTPResponse:
        is_over, sock = threading.Event(), self.sock

        def cut() -> None:
            is_over.set()
            with suppress(OSError):  # it has just ended
                socket.socket.shutdown(
                    sock, socket.SHUT_RDWR
                )  # below TLS, whose own is not for other threads

        timer = threading.Timer(ANSWER_SECONDS, cut)
        timer.daemon = True
        timer.start()
        try:
            return super().getresponse()  # type: ignore[misc]
        finally:
            timer.cancel()
            if is_over.is_set():  # then what came was cut short, or not at all
                raise TimeoutError(f"no answer in {ANSWER_SECONDS} s") from None


class _HTTPConnection(_InTime, http.client.HTTPConnection):
    pass


class _HTTPSConnection(_InTime, http.client.HTTPSConnection):
    pass


class _HTTP(HTTPHandler):
    def do_open(self, http_class: Any, req: Any, **options: Any) -> Any:
        return super().do_open(_HTTPConnection, req, **options)


class _HTTPS(HTTPSHandler):
    def do_open(self, http_class: Any, req: Any, **options: Any) -> Any:
        return super().do_open(_HTTPSConnection, req, **options)
