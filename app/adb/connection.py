"""The client side of the adb server's socket: exact reads, one deadline, typed errors.

pure-python-adb provides the framing. Its unreliable parts are overridden here: reads return exactly
the requested number of bytes, each request has one monotonic deadline, the server's FAIL text
becomes an error of app.errors, and sockets are closed on every path. Each request has its own
socket, so that several threads may use one client. This is the only module that imports `ppadb`.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Iterator
from typing import Self

from ppadb.client import Client
from ppadb.connection import Connection

from app.errors import (
    AdbServerUnreachable,
    AnswerTooLarge,
    DeviceDisconnected,
    DeviceError,
    DeviceNotChosen,
    DeviceNotFound,
    DeviceOffline,
    DeviceTimeout,
    DeviceUnauthorized,
    InputError,
)

MAX_REQUEST = 0xFFFF
"""Most bytes of a request: its length is sent as four hexadecimal digits."""
LENGTH = re.compile(rb"[0-9A-Fa-f]{4}")
"""int() alone would also accept a sign, spaces and `0x`."""
CONNECT_S = 5.0
_CHUNK = 256 * 1024
_SERIAL = re.compile(r"[^\s;\x00]+")


class Deadline:
    """The end of a request's time, by the monotonic clock. Another thread may abandon it."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._abandoned = threading.Event()

    def left(self) -> float:
        """Seconds left; raises DeviceTimeout if there are none."""
        left = self._end - time.monotonic()
        if left <= 0 or self._abandoned.is_set():
            raise DeviceTimeout(f"no answer within {self.seconds:g} s")
        return left

    def now(self) -> float:
        """The clock that measures waits under this deadline, in seconds."""
        return time.monotonic()

    def pause(self, seconds: float) -> None:
        """Sleep, but not beyond the deadline.

        Raises DeviceTimeout if it has passed, or is abandoned meanwhile.
        """
        if self._abandoned.wait(min(seconds, self.left())):
            self.left()

    def watch(self, sock: socket.socket) -> None:
        with self._lock:
            self._sockets.add(sock)

    def release(self, sock: socket.socket) -> None:
        with self._lock:
            self._sockets.discard(sock)

    def abandon(self) -> None:
        """Make every wait under this deadline fail now. Thread-safe."""
        with self._lock:
            self._abandoned.set()
            for sock in self._sockets:
                # Not close(): the descriptor belongs to the thread that is reading from it.
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)


def check_serial(serial: str) -> None:
    """Raise InputError for a string that could be more than a serial in a request."""
    if not _SERIAL.fullmatch(serial):
        raise InputError(f"{serial[:200]!r} is not a device serial")


def failure(text: str, serial: str | None = None) -> DeviceError:
    """Return the error for a FAIL text of the adb server."""
    device = f"device {serial}" if serial else "device"
    if "more than one device" in text:
        return DeviceNotChosen("several devices are connected")
    if "not found" in text or "no devices" in text:
        return DeviceNotFound(f"{device} is not connected ({text})")
    if "unauthorized" in text or "authorizing" in text:
        return DeviceUnauthorized(f"{device} has not allowed USB debugging")
    if "offline" in text or "connecting" in text:
        return DeviceOffline(f"{device} is offline")
    if text == "closed":
        return DeviceDisconnected(f"{device} refused the request or dropped off")
    return DeviceError(f"{device}: {text}" if serial else f"adb server: {text}")


class ExactConnection(Connection):  # type: ignore[misc]  # ppadb has no types
    """One request to the adb server; `serial` is set once the socket leads to that device."""

    def __init__(self, host: str, port: int, deadline: Deadline) -> None:
        super().__init__(host, port)
        self.socket: socket.socket | None = None
        self.deadline = deadline
        self.serial: str | None = None

    def connect(self) -> Self:
        try:
            sock = socket.create_connection(
                (self.host, self.port), min(CONNECT_S, self.deadline.left())
            )
        except OSError as exc:
            raise AdbServerUnreachable(
                f"no adb server answers at {self.host}:{self.port} ({exc.strerror or exc})"
            ) from exc
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = sock
        self.deadline.watch(sock)
        return self

    def close(self) -> None:
        if self.socket is not None:
            self.deadline.release(self.socket)
            self.socket.close()
            self.socket = None

    def detach(self) -> socket.socket:
        """Return the socket, which outlives this connection and its deadline.

        Raises AdbServerUnreachable if it is closed.
        """
        sock = self._ready()
        self.deadline.release(sock)
        self.socket = None
        return sock

    def _ready(self) -> socket.socket:
        if self.socket is None:
            raise AdbServerUnreachable("the connection to the adb server is closed")
        self.socket.settimeout(self.deadline.left())
        return self.socket

    def _lost(self) -> DeviceError:
        self.deadline.left()  # an abandoned or late request is a timeout, not a lost device
        if self.serial is not None:
            return DeviceDisconnected(
                f"device {self.serial} dropped off in the middle of an answer"
            )
        return AdbServerUnreachable("the adb server closed the connection")

    def _recv(self, length: int) -> bytes:
        """Read at most `length` bytes; `b""` at the end of the response."""
        sock = self._ready()
        try:
            return sock.recv(length)
        except TimeoutError as exc:
            raise DeviceTimeout(f"no answer within {self.deadline.seconds:g} s") from exc
        except OSError as exc:
            raise self._lost() from exc

    def _recv_into(self, length: int) -> bytes:
        return self.exactly(length)

    def exactly(self, length: int) -> bytes:
        """Read `length` bytes; an early end is DeviceDisconnected or AdbServerUnreachable."""
        parts: list[bytes] = []
        while length > 0:
            part = self._recv(min(length, _CHUNK))
            if not part:
                raise self._lost()
            parts.append(part)
            length -= len(part)
        return b"".join(parts)

    def _send(self, data: bytes) -> None:
        sock = self._ready()
        try:
            sock.sendall(data)
        except TimeoutError as exc:
            raise DeviceTimeout(f"no answer within {self.deadline.seconds:g} s") from exc
        except OSError as exc:
            raise self._lost() from exc

    def send(self, msg: str) -> bool:
        """Send a request and read OKAY; raises the error of a FAIL text, InputError if too long."""
        try:
            request = msg.encode()
        except UnicodeEncodeError as exc:
            raise InputError("a request cannot contain lone surrogates") from exc
        if len(request) > MAX_REQUEST:
            raise InputError(
                f"the request has {len(request)} bytes; adb takes at most {MAX_REQUEST}"
            )
        self._send(b"%04X" % len(request) + request)
        return self._check_status()

    def _check_status(self) -> bool:
        status = self.exactly(4)
        if status == b"OKAY":
            return True
        if status == b"FAIL":
            raise failure(self.receive(), self.serial)
        raise AdbServerUnreachable(
            f"what answers at {self.host}:{self.port} is not an adb server ({status!r})"
        )

    def receive(self) -> str:
        """Read a response with its length in front; a FAIL may also follow OKAY (`host:pair`)."""
        digits = self.exactly(4)
        if digits == b"FAIL":
            raise failure(self.receive(), self.serial)
        if not LENGTH.fullmatch(digits):
            raise AdbServerUnreachable(
                f"what answers at {self.host}:{self.port} is not an adb server ({digits!r})"
            )
        return self.exactly(int(digits, 16)).decode("utf-8", "replace")

    def read_all(self, limit: int) -> bytes:
        """Read to the end of the stream. The protocol does not distinguish an end from a loss.

        Raises AnswerTooLarge after more than `limit` bytes.
        """
        parts: list[bytes] = []
        while part := self._recv(_CHUNK):
            limit -= len(part)
            if limit < 0:
                raise self.too_large()
            parts.append(part)
        return b"".join(parts)

    def too_large(self) -> AnswerTooLarge:
        """Return the error for a response that is not read to its end."""
        return AnswerTooLarge(f"device {self.serial} sent more than any answer may have")


class ExactClient(Client):  # type: ignore[misc]  # ppadb has no types
    """A client of one adb server. Never use the plugin methods of ppadb's devices."""

    def __init__(self, host: str = "127.0.0.1", port: int = 5037, timeout_s: float = 10.0) -> None:
        super().__init__(host, port)
        self.timeout_s = timeout_s

    def create_connection(self, timeout: float | None = None) -> ExactConnection:
        return self.connect_by(Deadline(timeout or self.timeout_s))

    def connect_by(self, deadline: Deadline) -> ExactConnection:
        return ExactConnection(self.host, self.port, deadline).connect()

    def query(self, request: str, deadline: Deadline) -> str:
        """Send a `host:` request and return its response."""
        with self.connect_by(deadline) as connection:
            connection.send(request)
            return str(connection.receive())

    @contextlib.contextmanager
    def open(self, serial: str, service: str, deadline: Deadline) -> Iterator[ExactConnection]:
        """Open a stream to a service on a device, e.g. `exec:screencap -p`."""
        check_serial(serial)
        with self.connect_by(deadline) as connection:
            connection.serial = serial
            connection.send(f"host:transport:{serial}")
            connection.send(service)
            yield connection
