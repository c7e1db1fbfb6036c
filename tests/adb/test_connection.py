"""The adb server's socket under everything that goes wrong on it."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from app.adb.connection import Deadline, ExactClient, failure
from app.adb.server import AdbServer
from app.adb.shell import Shell
from app.errors import (
    AdbServerUnreachable,
    DeviceDisconnected,
    DeviceError,
    DeviceNotChosen,
    DeviceNotFound,
    DeviceOffline,
    DeviceTimeout,
    DeviceUnauthorized,
    InputError,
)

Script = Callable[[socket.socket], None]


@contextlib.contextmanager
def server(script: Script) -> Iterator[ExactClient]:
    """Something on a port that answers one connection as a faulty adb server would."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    script(connection)

        thread = threading.Thread(target=answer)
        thread.start()
        yield ExactClient("127.0.0.1", listener.getsockname()[1])
        thread.join(5)


def say(*pieces: bytes) -> Script:
    """Read a request, then send the pieces as separate segments."""

    def script(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.recv(4096)
        for piece in pieces:
            connection.sendall(piece)

    return script


def test_an_answer_in_single_bytes_is_whole() -> None:
    answer = b"OKAY0004abcd"
    with server(say(*[answer[i : i + 1] for i in range(len(answer))])) as client:
        assert client.query("host:devices", Deadline(5)) == "abcd"


@pytest.mark.parametrize("answer", [b"", b"OK", b"OKAY", b"OKAY00", b"OKAY0008abc"])
def test_a_server_that_stops_midway(answer: bytes) -> None:
    with server(say(answer)) as client, pytest.raises(AdbServerUnreachable):
        client.query("host:version", Deadline(5))


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 400 Bad Request", b"OKAYzzzzabc", b"OKAY-001a", b"OKAY0x01a", b"OKAY 001a"],
)
def test_a_port_where_something_else_listens(answer: bytes) -> None:
    with server(say(answer)) as client, pytest.raises(AdbServerUnreachable):
        client.query("host:version", Deadline(5))


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(AdbServerUnreachable, match=str(port)):
        ExactClient("127.0.0.1", port).query("host:version", Deadline(5))


def test_the_deadline_counts_the_whole_answer() -> None:
    stop = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"OKAYffff")
        while not stop.wait(0.02):
            connection.sendall(b"x")  # each byte arrives in time, the answer does not

    with server(drip) as client:
        begun = time.monotonic()
        with pytest.raises(DeviceTimeout):
            client.query("host:version", Deadline(0.3))
        stop.set()
        assert time.monotonic() - begun < 2


def test_an_abandoned_request_ends_at_once() -> None:
    deadline = Deadline(30)
    asked = threading.Event()
    release = threading.Event()

    def silent(connection: socket.socket) -> None:
        connection.recv(100)
        asked.set()
        release.wait(10)

    def abandon() -> None:
        asked.wait(10)
        deadline.abandon()

    with server(silent) as client:
        thread = threading.Thread(target=abandon)
        thread.start()
        begun = time.monotonic()
        with pytest.raises(DeviceTimeout):
            client.query("host:version", deadline)
        assert time.monotonic() - begun < 5
        release.set()
        thread.join()


def test_a_device_lost_in_the_middle_of_output() -> None:
    def script(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"OKAY")
        connection.recv(4096)
        connection.sendall(b"OKAY\x01\x10\x00\x00\x00half")

    with server(script) as client:
        shell = Shell(client, "R58M")
        shell._features = frozenset({"shell_v2"})
        with pytest.raises(DeviceDisconnected, match="R58M"):
            shell.run(["cat", "/big"], deadline=Deadline(5))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("device 'nope' not found", DeviceNotFound),
        ("no devices/emulators found", DeviceNotFound),
        ("more than one device/emulator", DeviceNotChosen),
        ("device offline", DeviceOffline),
        ("device unauthorized.\nThis adb server's $ADB_VENDOR_KEYS is not set", DeviceUnauthorized),
        ("device still authorizing", DeviceUnauthorized),
        ("closed", DeviceDisconnected),
        ("something new", DeviceError),
    ],
)
def test_fail_texts_are_typed(text: str, error: type[DeviceError]) -> None:
    assert type(failure(text)) is error


def test_a_fail_text_is_read_by_its_length() -> None:
    script = say(b"FA", b"IL0017device 'nope' ", b"not found")
    with server(script) as client, pytest.raises(DeviceNotFound, match="not found"):
        client.query("host-serial:nope:features", Deadline(5))


@pytest.mark.parametrize("serial", ["", "a b", "a;b", "a\nb", "a\0b"])
def test_a_serial_cannot_smuggle_a_request(serial: str) -> None:
    with pytest.raises(InputError), ExactClient().open(serial, "shell:x", Deadline(1)):
        pass


def test_a_request_too_long_is_refused(adb_server: AdbServer) -> None:
    with pytest.raises(InputError, match="65535"):
        adb_server.client().query("host:" + "x" * 65531, Deadline(5))


def test_the_real_server_answers(adb_server: AdbServer) -> None:
    assert adb_server.client().version() >= 41
    with pytest.raises(DeviceNotFound):
        adb_server.client().query("host-serial:nope:features", Deadline(5))
