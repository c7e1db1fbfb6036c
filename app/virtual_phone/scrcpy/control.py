"""The control socket of scrcpy's server: messages in, touches, keys, texts and clipboard out.

Panels, rotation, the display's power, virtual keyboards and the video are read and have no effect.
Formats as in `ControlMessageReader.java` and `DeviceMessageWriter.java` of 3.3.4; big-endian.
"""

from __future__ import annotations

import struct
import unicodedata
from collections.abc import Awaitable, Callable

from app.virtual_phone.editing import KEY_CTRL_LEFT
from app.virtual_phone.phone import Phone
from app.virtual_phone.quirks import NO_INJECT, SCRCPY
from app.virtual_phone.touches import Touches

Read = Callable[[int], Awaitable[bytes]]
Send = Callable[[bytes], Awaitable[None]]
Log = Callable[[str, str], Awaitable[None]]
"""Prints a line of the server: its level, and the text."""

_LENGTHS = {0: 13, 2: 31, 3: 20, 4: 1, 5: 0, 6: 0, 7: 0, 8: 1, 10: 1, 11: 0, 13: 4, 14: 2, 15: 0}
"""Bytes after the type, where that does not depend on them."""
_MAX_TEXT = 2**18
_DOWN, _UP, _MOVE, _CANCEL = 0, 1, 2, 3
_META_CTRL = 0x1000
_REFUSED_PAUSE_S = 3.0
_DYING_AFTER = 10


class UnknownMessage(Exception):
    """The server takes it for a closed socket."""


class Control:
    """Carries out the messages of one session on the phone."""

    def __init__(self, phone: Phone, read: Read, send: Send, log: Log, touches: Touches) -> None:
        self._phone = phone
        self._read = read
        self._send = send
        self._log = log
        self._touches = touches
        self._refused_at = float("-inf")
        self._count = 0

    async def run(self) -> None:
        """Carry out messages until the socket ends. Raises UnknownMessage, EOFError."""
        while True:
            kind = (await self._read(1))[0]
            self._count += 1
            if self._phone.quirks.get(SCRCPY) == "dies" and self._count > _DYING_AFTER:
                return
            await self._one(kind)

    async def _one(self, kind: int) -> None:
        if kind == 1:
            await self._text(await self._long_text())
        elif kind == 9:
            sequence, paste = struct.unpack(">QB", await self._read(9))
            await self._set_clipboard(await self._long_text(), sequence, bool(paste))
        elif kind == 12:
            await self._read(6)
            await self._read((await self._read(1))[0])
            await self._read(int.from_bytes(await self._read(2)))
        elif kind == 16:
            name = await self._read((await self._read(1))[0])
            await self._start_app(name.decode("utf-8", "replace"))
        elif kind == 17:
            return  # without a video there is nothing to restart
        elif kind in _LENGTHS:
            data = await self._read(_LENGTHS[kind])
            if kind == 13:
                await self._read(int.from_bytes(data[2:]))
            await self._fixed(kind, data)
        else:
            raise UnknownMessage(kind)

    async def _long_text(self) -> str:
        length = int.from_bytes(await self._read(4))
        if length > _MAX_TEXT:
            raise UnknownMessage(f"a text of {length} bytes")
        return (await self._read(length)).decode("utf-8", "replace")

    async def _fixed(self, kind: int, data: bytes) -> None:
        if self._phone.quirks.get(SCRCPY) == "deaf":
            return
        if kind == 0:
            action, code, _, meta = struct.unpack(">BIII", data)
            if action == _DOWN and await self._may_inject():
                self._key(code, meta)
        elif kind == 2:
            action, pointer, x, y, _, _, _, _, _ = struct.unpack(">BqiiHHHII", data)
            if await self._may_inject():
                await self._touch(action, pointer, x, y)
        elif kind == 3:
            x, y, _, _, _, up, _ = struct.unpack(">iiHHhhI", data)
            if await self._may_inject():
                self._scroll(x, y, up / 0x8000 * 16)
        elif kind == 4:
            if data[0] == _DOWN and await self._may_inject():
                self._phone.press_key(4 if self._phone.state.power.awake else 26)
        elif kind == 8:
            await self._get_clipboard(data[0])

    async def _may_inject(self) -> bool:
        """Whether the phone lets events be injected; else it is said, once in three seconds."""
        if self._phone.quirks.get(NO_INJECT) is None:
            return True
        now = self._phone.now()
        if now - self._refused_at > _REFUSED_PAUSE_S:
            self._refused_at = now
            await self._log(
                "ERROR",
                "Injecting input events requires the caller (or the source of the instrumentation, "
                "if any) to have the INJECT_EVENTS permission.",
            )
            await self._log(
                "ERROR",
                'Make sure you have enabled "USB debugging (Security Settings)" and then rebooted '
                "your device.",
            )
        return False

    def _key(self, code: int, meta: int) -> None:
        if meta & _META_CTRL:
            self._phone.press_together([KEY_CTRL_LEFT, code])
        else:
            self._phone.press_key(code)

    async def _touch(self, action: int, pointer: int, x: int, y: int) -> None:
        point = self._phone.panel.touched(x, y)
        if action == _DOWN:
            if not self._touches.down(pointer, point):
                await self._log("WARN", "Too many pointers for touch event")
        elif action == _MOVE:
            self._touches.move(pointer, point)
        elif action == _UP:
            self._touches.up(pointer, point)
        elif action == _CANCEL:
            self._touches.cancel(pointer)

    def _scroll(self, x: int, y: int, notches: float) -> None:
        self._phone.wheel(*self._phone.panel.touched(x, y), notches)

    async def _text(self, text: str) -> None:
        """Type what the virtual keyboard's map has keys for, one UTF-16 unit after the other."""
        units = text.encode("utf-16-be", "surrogatepass")
        for at in range(0, len(units), 2):
            unit = int.from_bytes(units[at : at + 2])
            if self._phone.quirks.get(SCRCPY) == "deaf":
                continue
            if not _has_keys(chr(unit)):
                await self._log("WARN", f"Could not inject char u+{unit:04x}")
            elif await self._may_inject():
                self._phone.type_text(chr(unit))

    async def _get_clipboard(self, copy_key: int) -> None:
        if copy_key and await self._may_inject():
            self._phone.press_key(278 if copy_key == 1 else 277)
        text = self._phone.state.clipboard
        if text is not None:
            data = text.encode("utf-8", "replace")[: _MAX_TEXT - 5]
            await self._send(b"\0" + len(data).to_bytes(4) + data)

    async def _set_clipboard(self, text: str, sequence: int, paste: bool) -> None:
        quirk = self._phone.quirks.get(SCRCPY)
        if quirk == "deaf":
            return
        if quirk != "clipboard" and self._phone.state.clipboard != text:
            self._phone.state.clipboard = text
            self._phone.log("clipboard", length=len(text))
            await self._log("INFO", "Device clipboard set")
        if paste and await self._may_inject():
            self._phone.press_key(279)
        if sequence:
            await self._send(b"\1" + sequence.to_bytes(8))

    async def _start_app(self, name: str) -> None:
        stop, name = name.startswith("+"), name.removeprefix("+")
        badges = self._phone.packages
        if name.startswith("?"):
            label = name[1:].lower()
            await self._log("INFO", "Processing Android apps... (this may take some time)")
            found = [badge for badge in badges if badge.label.lower().startswith(label)]
            if len(found) != 1:
                kind = "unique app" if found else "app"
                await self._log("WARN", f'No {kind} found for name "{name[1:]}"')
                return
        else:
            found = [badge for badge in badges if badge.package == name]
            if not found:
                await self._log("WARN", f'No app found for package "{name}"')
                return
        badge = found[0]
        await self._log("INFO", f'Starting app "{badge.label}" [{badge.package}] on display 0...')
        if stop:
            self._phone.force_stop(badge.package)
        self._phone.launch(badge.package)


def _has_keys(character: str) -> bool:
    """Whether the virtual keyboard's map types it: ASCII, and letters with one of five accents
    (`KeyComposition.java`)."""
    if " " <= character <= "~" or character in "\n\t":
        return True
    parts = unicodedata.normalize("NFD", character)
    return len(parts) == 2 and parts[0].isascii() and parts[1] in "\u0300\u0301\u0302\u0303\u0308"
