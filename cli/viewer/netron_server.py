"""Serves Netron's page and one model on loopback.

Netron's own server would do the same, but its page then asks ipinfo.io where it is, waits for consent to cookies,
reports to Google Analytics and, half a year after its release, stops at "please update". Here the page gets a policy
under which the browser lets it talk to this server alone, the cookie that answers the question, and today's date.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import quote, unquote, urlsplit

HOST = "127.0.0.1"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".css": "text/css",
    ".json": "application/json",
    ".png": "image/png",
    ".ico": "image/x-icon",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self'; worker-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'"
)


class NetronServer(ThreadingHTTPServer):
    """`file` under Netron's page; with `content`, those bytes under the file's name instead of the file's own.

    Other files of the same folder are served too where Netron asks for them (a prototxt beside a caffemodel, weights
    beside an ONNX file), but nothing outside that folder. `port` 0 picks a free one.
    """

    daemon_threads = True

    def __init__(self, file: Path, *, name: str = "", content: bytes | None = None, port: int = 0) -> None:
        import netron

        self.page = Path(netron.__file__).resolve().parent
        self.folder = file.resolve().parent
        self.name = name or file.name
        self.content = content
        super().__init__((HOST, port), _Handler)

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self.server_address[1]}/"

    def find(self, path: str) -> tuple[bytes, str] | None:
        """The bytes and type of what a request path names, or None."""
        if path in ("/", "/index.html"):
            return self._index().encode(), _TYPES[".html"]
        if path.startswith("/data/"):
            data = self._data(unquote(path.removeprefix("/data/")))
            return None if data is None else (data, "application/octet-stream")
        found = _inside(self.page, path.lstrip("/"))
        return (found.read_bytes(), _TYPES[found.suffix]) if found and found.suffix in _TYPES else None

    def _data(self, name: str) -> bytes | None:
        if name == self.name and self.content is not None:
            return self.content
        found = _inside(self.folder, name)
        return found.read_bytes() if found else None

    def _index(self) -> str:
        """Netron's page with the model's address, today's date and the version that marks a build not for telemetry."""
        text = (self.page / "index.html").read_text("utf-8")
        name = quote(self.name)
        meta = (
            '<meta name="type" content="Python"><meta name="version" content="0.0.0">'
            f'<meta name="file" content="/data/{name}"><meta name="identifier" content="{name}">'
        )
        text = re.sub(r'<meta name="version" content="[^"]*">', lambda _: meta, text)
        today = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
        return re.sub(r'<meta name="date" content="[^"]*">', f'<meta name="date" content="{today}">', text)

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that closes a connection early is no error worth a traceback; anything else is."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Answers requests in the background while the context lasts; gives the page's address."""
        thread = Thread(target=self.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        thread.start()
        try:
            yield self.url
        finally:
            self.shutdown()
            thread.join()
            self.server_close()


def _inside(folder: Path, name: str) -> Path | None:
    """The file `name` of a folder, or None when it is no file there; a link that leads out of the folder is none."""
    try:
        path = (folder / name).resolve()
        return path if path.is_relative_to(folder) and path.is_file() else None
    except (OSError, ValueError):  # a name too long, or with a NUL
        return None


class _Handler(BaseHTTPRequestHandler):
    server: NetronServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        port = self.server.server_address[1]
        if self.headers.get("Host") not in (f"{HOST}:{port}", f"localhost:{port}"):
            return self._answer(403, b"this server answers for this machine only", "text/plain")  # DNS rebinding
        found = self.server.find(urlsplit(self.path).path)
        if found is None:
            return self._answer(404, b"not found", "text/plain")
        return self._answer(200, *found)

    do_HEAD = do_GET

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", _POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cache-Control", "no-store")
        if kind.startswith("text/html"):
            self.send_header("Set-Cookie", "consent=1; SameSite=Strict")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not worth a line each."""
