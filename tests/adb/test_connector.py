"""Connecting while the adb server is itself about to reach the phone again."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Iterator

import pytest

from app.adb.connection import ExactClient
from app.adb.connector import Connector
from app.adb.directory import Directory
from app.errors import DeviceNotFound, DeviceTimeout

SERIAL = "127.0.0.1:6555"
CONNECT, DISCONNECT, LIST = f"host:connect:{SERIAL}", f"host:disconnect:{SERIAL}", "host:devices-l"


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        request = self.rfile.read(int(self.rfile.read(4), 16)).decode()
        assert isinstance(self.server, Script)
        self.wfile.write(self.server.answer(request))


class Script(socketserver.ThreadingTCPServer):
    """Gives the answers in their order, and each time the last one for what comes after."""

    daemon_threads = True

    def __init__(self, **answers: list[str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = answers
        self.requests: list[str] = []

    def answer(self, request: str) -> bytes:
        self.requests.append(request)
        left = self.answers[request.split(":")[1].replace("-", "_")]
        text = (left.pop(0) if len(left) > 1 else left[0]).encode()
        return b"OKAY%04x" % len(text) + text


@contextlib.contextmanager
def connector(script: Script) -> Iterator[Connector]:
    with script:
        thread = threading.Thread(target=script.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield Connector(Directory(ExactClient("127.0.0.1", script.server_address[1])))
        finally:
            script.shutdown()
            thread.join()


async def test_a_row_on_its_way_out_is_connected_anew() -> None:
    """As the real server did it, seen when its third try and ours fell together."""
    script = Script(
        devices_l=[f"{SERIAL} offline\n", f"{SERIAL} offline\n", "", "", f"{SERIAL} device\n"],
        disconnect=[f"disconnected {SERIAL}"],
        connect=[f"already connected to {SERIAL}", f"connected to {SERIAL}"],
    )
    with connector(script) as one:
        assert await one.connect(SERIAL, 3600) == SERIAL
    assert [request for request in script.requests if request != LIST] == [
        DISCONNECT,
        CONNECT,
        CONNECT,
    ]


async def test_a_row_that_never_stays_ends_at_the_limit() -> None:
    script = Script(devices_l=[""], connect=[f"connected to {SERIAL}"])
    with connector(script) as one, pytest.raises(DeviceTimeout):
        await one.connect(SERIAL, 0.5)
    assert script.requests.count(CONNECT) > 1


async def test_a_refusal_is_told_at_once() -> None:
    refused = f"failed to connect to '{SERIAL}': Connection refused"
    script = Script(devices_l=[""], connect=[refused])
    with connector(script) as one, pytest.raises(DeviceNotFound, match="refused"):
        await one.connect(SERIAL, 3600)
    assert script.requests.count(CONNECT) == 1
