"""The input and output of a command of the phone's shell."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from app.virtual_phone.filesystem import FileTree
from app.virtual_phone.quirks import DROP_INPUT

if TYPE_CHECKING:
    from app.virtual_phone.phone import Phone

STDOUT, STDERR = 1, 2
Output = list[tuple[int, bytes]]
"""Pieces of output in the order written, each with its descriptor."""


class LinkDrop(Exception):
    """The phone disconnects now: nothing more of this command line runs or is answered."""


@dataclass(slots=True)
class Call:
    """One command being run: its arguments without the name, its input, and its output."""

    phone: Phone
    files: FileTree
    name: str
    args: list[str]
    stdin: bytes = b""
    output: Output = field(default_factory=list)
    receive: Callable[[int], Awaitable[bytes]] | None = None
    """Reads this many bytes that the host sends after the command; None if it sends none."""
    emit: Callable[[int, bytes], Awaitable[None]] | None = None
    """Sends output to the host at once, for a command that runs on; None where it is piped."""
    environment: Mapping[str, str] = field(default_factory=dict)

    def out(self, text: str) -> None:
        """Write a line to stdout."""
        self.output.append((STDOUT, encode(text) + b"\n"))

    def out_bytes(self, data: bytes) -> None:
        self.output.append((STDOUT, data))

    def touch(self, act: Callable[[], int]) -> int:
        """Run a touch and return its exit code; the link may drop before or after it."""
        drop = self.phone.quirks.take(DROP_INPUT)
        if drop == "before":
            raise LinkDrop
        code = act()
        if drop == "after":
            raise LinkDrop
        return code

    def fail(self, text: str, exit_code: int = 1) -> int:
        """Write a line to stderr and return `exit_code`."""
        self.output.append((STDERR, encode(text) + b"\n"))
        return exit_code


Command = Callable[[Call], int | Awaitable[int]]
"""A command returns its exit code."""
CommandTable = Mapping[str, Command]


def encode(text: str) -> bytes:
    """Encode as the phone's shell does; whatever arrived over the wire is sent back unchanged."""
    return text.encode("utf-8", "surrogateescape")
