"""A stream to a service of a phone that stays open: a control socket, a video, a program's output.

One thread reads, any thread writes. `close` only shuts the socket down, which wakes the reader. The
descriptor belongs to the reader, which gives it back: it cannot be reused while it is waited for.
"""

from __future__ import annotations

import contextlib
import socket
import threading

from app.adb.connection import Deadline, ExactClient

WAIT_S = 2.0
"""Seconds that a write may take, and after which a silent stream is looked at."""
_CHUNK = 64 * 1024


class StreamEnded(Exception):
    """The stream is closed, from whichever side."""


class Stream:
    """An open stream to a service of one device."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._socket.settimeout(WAIT_S)
        self._writing = threading.Lock()
        self._closed = False

    @classmethod
    def open(cls, client: ExactClient, serial: str, service: str, deadline: Deadline) -> Stream:
        """Open a service, such as `localabstract:NAME`.

        Raises DeviceDisconnected if the device refuses it, and like `ExactClient.open`.
        """
        with client.open(serial, service, deadline) as connection:
            return cls(connection.detach())

    def write(self, data: bytes) -> None:
        """Send it whole. Raises StreamEnded, also if the phone accepts nothing for WAIT_S."""
        with self._writing:
            if self._closed:
                raise StreamEnded
            try:
                self._socket.sendall(data)
            except OSError as exc:  # a timeout too: a part of it may be sent, so it ends here
                self.close()
                raise StreamEnded from exc

    def read(self) -> bytes | None:
        """Wait for data, at most WAIT_S; None if there was none, `b""` at the end."""
        try:
            return self._socket.recv(_CHUNK)
        except TimeoutError:
            return None
        except OSError:
            return b""

    def exactly(self, length: int, deadline: Deadline) -> bytes:
        """Read `length` bytes. Raises StreamEnded, DeviceTimeout."""
        data = b""
        while len(data) < length:
            deadline.left()
            try:
                part = self._socket.recv(length - len(data))
            except TimeoutError:
                continue
            except OSError as exc:
                raise StreamEnded from exc
            if not part:
                raise StreamEnded
            data += part
        return data

    def close(self) -> None:
        """End it for both sides; the reader's wait ends."""
        self._closed = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        """Give the descriptor back; only by the thread that reads, or before one does."""
        self.close()
        with self._writing:
            self._socket.close()
