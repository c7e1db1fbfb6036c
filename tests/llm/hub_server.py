"""A hub of one repository, as huggingface-hub 2.4 really asks it: the listing, the redirect of a
large file to another host, and its bytes from any offset; with the faults that networks have.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import quote, unquote, urlsplit

REVISION = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "someone/Tiny-GGUF"


@dataclass
class Seen:
    """A request: its host, its path, and two of its headers."""

    host: str
    path: str
    range: str
    authorization: str


@dataclass
class Hub:
    """What it holds and how it behaves; tests change it at any time.

    `cut_after` closes the next connection that sends a file after so many bytes, once;
    `stall_after` stops sending there and keeps the connection open. `checksums` replaces true ones.
    """

    files: dict[str, bytes]
    url: str = ""
    cut_after: int | None = None
    stall_after: int | None = None
    ranges: bool = True
    checksums: dict[str, str] = field(default_factory=dict)
    error: tuple[int, str] | None = None
    endless: bytes = b""
    """What every answer repeats until the client leaves, said to be compressed by `encoding`."""
    encoding: str = ""
    endless_sent: int = 0
    listing: bytes | None = None
    requests: list[Seen] = field(default_factory=list)
    sent: threading.Event = field(default_factory=threading.Event)
    closing: threading.Event = field(default_factory=threading.Event)

    def listed(self) -> bytes:
        if self.listing is not None:
            return self.listing
        siblings = [
            {
                "rfilename": path,
                "size": len(data),
                "blobId": "0" * 40,
                "lfs": {
                    "size": len(data),
                    "sha256": self.checksums.get(path, hashlib.sha256(data).hexdigest()),
                    "pointerSize": 134,
                },
            }
            for path, data in self.files.items()
        ]
        return json.dumps({"id": REPOSITORY, "sha": REVISION, "siblings": siblings}).encode()

    def of(self, path: str) -> list[Seen]:
        """The requests for the bytes of a file."""
        return [seen for seen in self.requests if seen.path == f"/bytes/{quote(path)}"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: ClassVar[Hub]

    def do_GET(self) -> None:
        hub, path = self.hub, urlsplit(self.path).path
        hub.requests.append(
            Seen(
                self.headers["Host"],
                path,
                self.headers.get("Range", ""),
                self.headers.get("Authorization", ""),
            )
        )
        if hub.endless:
            self._answer_without_end(hub.error[0] if hub.error else 200)
        elif hub.error is not None:
            self._answer(hub.error[0], b"{}", {"X-Error-Code": hub.error[1]})
        elif path == f"/api/models/{REPOSITORY}":
            self._answer(200, hub.listed(), {"Content-Type": "application/json"})
        elif path.startswith(f"/{REPOSITORY}/resolve/{REVISION}/"):
            name = path.removeprefix(f"/{REPOSITORY}/resolve/{REVISION}/")
            port = urlsplit(hub.url).port
            self._answer(302, b"", {"Location": f"http://localhost:{port}/bytes/{name}"})
        elif path.startswith("/bytes/"):
            self._send_file(hub.files[unquote(path.removeprefix("/bytes/"))])
        else:
            self._answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    def _send_file(self, data: bytes) -> None:
        hub, begin = self.hub, 0
        if hub.ranges and (wanted := self.headers.get("Range", "")):
            begin = int(wanted.removeprefix("bytes=").partition("-")[0])
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(data) - begin))
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        stop = hub.cut_after if hub.cut_after is not None else hub.stall_after
        self.wfile.write(data[begin : begin + stop] if stop is not None else data[begin:])
        self.wfile.flush()
        hub.sent.set()
        if hub.cut_after is not None:
            hub.cut_after = None
            self.close_connection = True
        elif hub.stall_after is not None:
            hub.closing.wait()
            self.close_connection = True

    def _answer_without_end(self, status: int) -> None:
        self.close_connection = True
        self.send_response(status)
        if self.hub.encoding:
            self.send_header("Content-Encoding", self.hub.encoding)
        self.end_headers()
        try:
            while not self.hub.closing.is_set():
                self.hub.endless_sent += self.wfile.write(self.hub.endless)
        except OSError:
            pass  # the client has left

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the tests look at `requests`."""


@contextmanager
def hub_of(files: dict[str, bytes]) -> Iterator[Hub]:
    """A hub on a port of its own until the end of the block."""
    hub = Hub(files)
    handler = type("Handler", (_Handler,), {"hub": hub})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        hub.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield hub
        finally:
            hub.closing.set()
            server.shutdown()
            thread.join()
