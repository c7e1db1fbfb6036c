"""Runs commands on the phone: argv in, `Completed(stdout, stderr, exit_code)` out.

The protocol has no argv, only one string for the phone's `sh`. That string is built only here, and
only with shlex, whose POSIX quotes are correct for mksh.
"""

from __future__ import annotations

import contextlib
import copy
import secrets
import shlex
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from app.adb.connection import MAX_REQUEST, Deadline, ExactClient, ExactConnection, check_serial
from app.errors import CommandFailed, DeviceDisconnected, InputError, InputRefused

SHELL_V2 = "shell_v2"
_PREFIX = "shell,v2,raw:"
_FRAME = struct.Struct("<BI")  # AOSP adb/shell_protocol.h: id, length
_STDOUT, _STDERR, _EXIT = 1, 2, 3
_ROOM_FOR_FALLBACK = 64
MAX_COMMAND = MAX_REQUEST - len(_PREFIX) - _ROOM_FOR_FALLBACK
"""Most bytes of a command line."""
MAX_TEXT = 2**24
"""Most bytes in the output of a command that prints text. `dumpsys activity` on a busy phone has
about two million."""
_ANY_OPEN = 4096 - len(_PREFIX + "\0")
"""Bytes of a command line that fits an OPEN of any Android version."""


@dataclass(frozen=True, slots=True)
class Completed:
    """The result of a command on the phone. Without shell_v2, stderr is part of stdout."""

    stdout: bytes
    stderr: bytes
    exit_code: int

    @property
    def text(self) -> str:
        return self.stdout.decode("utf-8", "replace")

    @property
    def error_text(self) -> str:
        return self.stderr.decode("utf-8", "replace").strip()

    def check(self, what: str) -> Completed:
        """Return self if the command succeeded.

        Raises:
            InputRefused: the phone forbids injected input; some phones say so with exit code 0.
            CommandFailed: the exit code is not 0; `what` begins the message.
        """
        if b"INJECT_EVENTS" in self.stderr or b"INJECT_EVENTS" in self.stdout[:4096]:
            raise InputRefused(f"{what}: the phone refuses injected input")
        if self.exit_code != 0:
            error = self.error_text or self.text.strip()
            first = error.splitlines()[0][:200] if error else "no message"
            raise CommandFailed(
                f"{what} failed with exit code {self.exit_code}: {first}", self.exit_code, error
            )
        return self


def command_line(*commands: Sequence[str]) -> str:
    """Quote the commands for `sh` and join them with `&&`.

    Raises InputError for an empty command, a NUL, invalid Unicode, or a line that is too long.
    """
    if not commands or not all(command and command[0] for command in commands):
        raise InputError("empty command")
    line = " && ".join(shlex.join(command) for command in commands)
    if "\0" in line:
        raise InputError("a command cannot contain a NUL character")
    try:
        length = len(line.encode())
    except UnicodeEncodeError as exc:
        raise InputError("a command cannot contain lone surrogates") from exc
    if length > MAX_COMMAND:
        raise InputError(f"command of {length} bytes; at most {MAX_COMMAND} are possible")
    return line


def lines(commands: Sequence[Sequence[str]]) -> list[list[Sequence[str]]]:
    """Distribute the commands in order, as many per line as every Android version accepts."""
    found: list[list[Sequence[str]]] = []
    left = 0
    for command in commands:
        size = len(command_line(command).encode()) + len(" && ")
        if size > left:
            found.append([])
            left = _ANY_OPEN
        found[-1].append(command)
        left -= size
    return found


class Shell:
    """Runs commands on one device; blocking and thread-safe."""

    def __init__(
        self, client: ExactClient, serial: str, fence: Callable[[], None] | None = None
    ) -> None:
        self.client = client
        self.serial = serial
        self._features: frozenset[str] | None = None
        self._fence = fence

    @property
    def fence(self) -> Callable[[], None] | None:
        """Raises once the right to this device has ended; None for a device of nobody."""
        return self._fence

    def unfenced(self) -> Shell:
        """Return the same device without the fence."""
        if self._fence is None:
            return self
        shell = copy.copy(self)
        shell._fence = None
        return shell

    def features(self, deadline: Deadline) -> frozenset[str]:
        """Return the device's features; asked once."""
        if self._features is None:
            check_serial(self.serial)
            answer = self.client.query(f"host-serial:{self.serial}:features", deadline)
            self._features = frozenset(answer.strip().split(","))
        return self._features

    def run(self, *commands: Sequence[str], deadline: Deadline, limit: int = MAX_TEXT) -> Completed:
        """Run commands one after the other, up to the first that fails.

        Raises AnswerTooLarge as soon as the output exceeds `limit` bytes, DeviceDisconnected if it
        ends before the exit code, DeviceTimeout, DeviceNotFound, DeviceOffline, DeviceUnauthorized,
        AdbServerUnreachable and InputError. The fence is called before each run and raises once the
        right to this device has ended.
        """
        line = command_line(*commands)
        if self._fence is not None:
            self._fence()
        if SHELL_V2 in self.features(deadline):
            return self._run_framed(line, deadline, limit)
        return self._run_marked(line, deadline, limit)

    @contextlib.contextmanager
    def open(self, service: str, deadline: Deadline) -> Iterator[ExactConnection]:
        """Open a stream to a service of the device, for data sent after a command.

        Raises like `run`; the fence is called first.
        """
        if self._fence is not None:
            self._fence()
        with self.client.open(self.serial, service, deadline) as connection:
            yield connection

    def _run_framed(self, line: str, deadline: Deadline, limit: int) -> Completed:
        streams: dict[int, list[bytes]] = {_STDOUT: [], _STDERR: []}
        with self.client.open(self.serial, _PREFIX + line, deadline) as connection:
            while True:
                kind, length = _FRAME.unpack(connection.exactly(_FRAME.size))
                limit -= length
                if limit < 0:
                    raise connection.too_large()
                data = connection.exactly(length)
                if kind == _EXIT:
                    stdout, stderr = (b"".join(streams[kind]) for kind in (_STDOUT, _STDERR))
                    return Completed(stdout, stderr, data[0] if data else 255)
                if kind in streams:
                    streams[kind].append(data)

    def _run_marked(self, line: str, deadline: Deadline, limit: int) -> Completed:
        """Run on devices before Android 7: the exit code follows a mark at the end of stdout."""
        mark = secrets.token_hex(8)
        with self.client.open(self.serial, f"exec:{line}; echo {mark}$?", deadline) as connection:
            said = connection.read_all(limit)
        output, found, code = said.rpartition(mark.encode())
        if not found or not code.strip().isdigit():
            raise DeviceDisconnected(f"device {self.serial} dropped off in the middle of a command")
        return Completed(output, b"", int(code))
