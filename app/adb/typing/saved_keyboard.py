"""Stores which keyboard a person had before ADBKeyboard was switched on, until it is restored.

A process that dies while typing leaves ADBKeyboard behind, with which a person cannot write. The
file survives, and the next start restores the keyboard.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

from app.private import private_folder, touch_private


class SavedKeyboard:
    """The id of one phone's keyboard in a file; without a folder, in memory only."""

    def __init__(self, folder: Path | None, serial: str) -> None:
        self._path = folder / f"keyboard-{quote(serial, safe='')}.txt" if folder else None
        self._value: str | None = None
        if self._path is not None and self._path.is_file():
            self._value = self._path.read_text(encoding="utf-8").strip()

    @property
    def value(self) -> str | None:
        """The id, `""` for a phone that had none, None if nothing has to be restored."""
        return self._value

    def keep(self, keyboard: str) -> None:
        """Store the id; it is on disk when this returns. Raises OSError."""
        if self._path is not None:
            private_folder(self._path.parent)
            new = self._path.with_suffix(".new")
            touch_private(new)
            with new.open("w", encoding="utf-8") as file:
                file.write(keyboard)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
        self._value = keyboard

    def forget(self) -> None:
        """Delete the id: the keyboard is restored."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        self._value = None
