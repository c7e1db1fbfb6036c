"""The messages of scrcpy's control socket, for server 3.3.1 to 3.3.4; pure.

Everything is big-endian. To the phone: `ControlMessageReader.java`; from the phone:
`DeviceMessageWriter.java`, both of Genymobile/scrcpy at the tag v3.3.4.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

DOWN, UP, MOVE, CANCEL = 0, 1, 2, 3
"""Actions of android.view.MotionEvent; keys have the first two."""
FINGER = -2
"""The pointer id of a finger; -1 would be a mouse, which gets other events."""
META_CTRL = 0x3000
"""META_CTRL_ON and META_CTRL_LEFT_ON of android.view.KeyEvent."""
MAX_TEXT = 300
"""Most bytes of one text message (`CONTROL_MSG_INJECT_TEXT_MAX_LENGTH` of the client)."""
MAX_MESSAGE = 2**18
"""Most bytes of any message, in both directions."""
MAX_CLIPBOARD = MAX_MESSAGE - 14
"""Most bytes of a clipboard's text on its way to the phone, where a message has 14 bytes more."""

_KEY, _TEXT, _TOUCH, _GET_CLIPBOARD, _SET_CLIPBOARD = 0, 1, 2, 8, 9
_PRESSURE = 0xFFFF


class UnknownMessage(Exception):
    """The phone sent something that is not a message of this protocol."""


@dataclass(frozen=True, slots=True)
class ClipboardText:
    """The text in the phone's clipboard."""

    text: str


@dataclass(frozen=True, slots=True)
class ClipboardSet:
    """A clipboard message was handled; `sequence` is its number. It does not say that the clipboard
    was set: the server acknowledges failures too."""

    sequence: int


DeviceMessage = ClipboardText | ClipboardSet


def key(action: int, code: int, meta: int = 0) -> bytes:
    """A key goes down or up; `code` as in android.view.KeyEvent."""
    return struct.pack(">BBIII", _KEY, action, code, 0, meta)


def press(code: int, meta: int = 0) -> bytes:
    """A key goes down and up."""
    return key(DOWN, code, meta) + key(UP, code, meta)


def touch(action: int, x: int, y: int) -> bytes:
    """A finger goes down, moves, goes up, or is cancelled; in pixels of the display.

    The size beside the place is that of the video, and is not compared without one.
    """
    pressure = 0 if action in (UP, CANCEL) else _PRESSURE
    return struct.pack(">BBqiiHHHII", _TOUCH, action, FINGER, x, y, 0, 0, pressure, 0, 0)


def text(part: str) -> bytes:
    """Type by the phone's own key map; at most MAX_TEXT bytes of UTF-8."""
    data = part.encode()
    return struct.pack(">BI", _TEXT, len(data)) + data


def get_clipboard() -> bytes:
    """Ask for the clipboard. One that is empty or holds no text is never answered."""
    return bytes((_GET_CLIPBOARD, 0))


def set_clipboard(sequence: int, content: str) -> bytes:
    """Set the clipboard, without the paste key; acknowledged with `sequence`, from 1.

    `content` has at most MAX_CLIPBOARD bytes of UTF-8.
    """
    data = content.encode()
    return struct.pack(">BQBI", _SET_CLIPBOARD, sequence, False, len(data)) + data


class DeviceMessages:
    """Splits the bytes of a control socket into messages."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[DeviceMessage]:
        """Yield the messages that are complete now. Raises UnknownMessage."""
        self._rest += data
        while self._rest:
            head, size = self._rest[0], len(self._rest)
            if head == 0:
                if size < 5:
                    return
                length = int.from_bytes(self._rest[1:5])
                if length > MAX_MESSAGE:
                    raise UnknownMessage(f"a clipboard of {length} bytes")
                if size < 5 + length:
                    return
                content, self._rest = self._rest[5 : 5 + length], self._rest[5 + length :]
                yield ClipboardText(content.decode("utf-8", "replace"))
            elif head == 1:
                if size < 9:
                    return
                sequence, self._rest = int.from_bytes(self._rest[1:9]), self._rest[9:]
                yield ClipboardSet(sequence)
            else:  # 2 is for virtual keyboards, which are never made here
                raise UnknownMessage(f"a message of type {head}")
