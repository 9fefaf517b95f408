"""A web server on this machine that misbehaves on demand."""

import http.server
import threading
import time
from contextlib import contextmanager


class Server(http.server.ThreadingHTTPServer):
    """Serves ``files`` by path; its switches make it misbehave.

    ``headers`` of a path are added to its answers, the statuses are answered in turn, each a number or a
    number and headers. ``before`` is called with the number of each request and may change all else.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.redirects, self.headers = {}, {}, {}
        self.has_ranges, self.has_length, self.cut_after, self.statuses = True, True, None, []
        self.if_range, self.is_held, self.pause = "compare", False, 0
        self.before = lambda number: None
        self.requests, self.sent = [], 0
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_):
        pass  # a client that gives up breaks the connection


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        server = self.server
        server.before(len(server.requests))
        server.requests.append((self.command, self.path, self.headers.get("Range"), dict(self.headers)))
        if server.statuses and (status := server.statuses.pop(0)):
            self.refuse(*status if isinstance(status, tuple) else (status, {}))
            return
        if self.path in server.redirects:
            self.send_response(302)
            self.send_header("Location", server.redirects[self.path])
            for name, value in server.headers.get(self.path, {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self.path not in server.files:
            self.send_error(404)
            return
        self.send_content(server.files[self.path], self.headers.get("Range"))

    def refuse(self, status, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send_content(self, content, wanted):
        server = self.server
        start, stop = 0, len(content)
        known = server.headers.get(self.path, {})
        validator = known.get("ETag") or known.get("Last-Modified")
        is_same = self.headers.get("If-Range", validator) == validator
        is_same = {"compare": is_same, "ignore": True, "refuse": "If-Range" not in self.headers}[
            server.if_range
        ]
        if wanted and server.has_ranges and is_same:
            start, last = (int(part or len(content) - 1) for part in wanted.removeprefix("bytes=").split("-"))
            stop = min(last + 1, stop)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(content)}")
        else:
            self.send_response(200)
        if server.has_length:
            self.send_header("Content-Length", str(stop - start))
        for name, value in server.headers.get(self.path, {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if server.cut_after is not None:
            stop = min(stop, start + server.cut_after)
        server.sent += stop - start
        step = 1 if server.pause else len(content)
        for first in range(start, stop, step):
            self.wfile.write(content[first : min(first + step, stop)])
            if server.pause:
                time.sleep(server.pause)
        if server.cut_after is not None:
            self.wfile.flush()
            self.close_connection = True
            if server.is_held:  # until the other side gives up
                self.connection.recv(1)


@contextmanager
def serving(server):
    """Run a server in a thread."""
    with server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()
