"""scrcpy's server: which version, where copies of it are, and where it is released.

It is the work of Genymobile (Apache-2.0) and no part of phonepilot. A copy is recognised by its
SHA-256, never by its name: the server refuses a client of any other version, and installed copies
have no version in their names.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from app.errors import InputError

VERSION = "3.3.4"
SHA256 = "8588238c9a5a00aa542906b6ec7e6d5541d9ffb9b5d0f6e1bc0e365e2303079e"
"""As in `doc/build.md` of Genymobile/scrcpy at the tag v3.3.4."""
SIZE = 90_980
NAME = f"scrcpy-server-v{VERSION}"
ADDRESS = f"https://github.com/Genymobile/scrcpy/releases/download/v{VERSION}/{NAME}"
_FOLDER = "scrcpy"


def find(chosen: Path | None, data_dir: Path) -> bytes | None:
    """Return the server: the chosen file, the downloaded one, or that of an installed scrcpy 3.3.4.

    None if there is none. Raises InputError if `chosen` is another file.
    """
    if chosen is not None:
        data = _read(chosen)
        if data is None:
            raise InputError(
                f"{chosen} is not scrcpy's server {VERSION}",
                f"Its SHA-256 must be {SHA256}; it is released at {ADDRESS}",
            )
        return data
    places = [stored(data_dir), *_installed()]
    return next((data for place in places if (data := _read(place))), None)


def source(wanted: bool, chosen: Path | None, data_dir: Path) -> Callable[[], bytes | None] | None:
    """Return what looks for the server each time it is needed; None if it is not `wanted`."""
    return (lambda: find(chosen, data_dir)) if wanted else None


def stored(data_dir: Path) -> Path:
    """Where a downloaded server is kept."""
    return data_dir / _FOLDER / NAME


def _installed() -> Iterator[Path]:
    """Yield where installed copies of scrcpy keep their server."""
    if told := os.environ.get("SCRCPY_SERVER_PATH"):  # scrcpy's own variable
        yield Path(told)
    for folder in ("/usr/share", "/usr/local/share", "/opt/homebrew/share", "/snap/scrcpy/current"):
        yield Path(folder) / "scrcpy" / "scrcpy-server"
    yield Path.home() / ".local/share/scrcpy/scrcpy-server"
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        if folder:  # beside scrcpy.exe
            yield Path(folder) / "scrcpy-server"
    if sys.platform == "win32":
        yield Path.home() / "scoop/apps/scrcpy/current/scrcpy-server"


def _read(path: Path) -> bytes | None:
    try:
        if path.stat().st_size != SIZE:
            return None
        data = path.read_bytes()
    except OSError:
        return None
    return data if is_server(data) else None


def is_server(data: bytes) -> bool:
    """Whether these bytes are scrcpy's server VERSION."""
    return hashlib.sha256(data).hexdigest() == SHA256
