"""Models by name: what the catalogue knows, and what of it lies in the data folder."""

from __future__ import annotations

import difflib
import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from app.errors import EngineStartFailed, InputError, ModelError
from app.llm.files import check_files
from app.private import FILE, private_folder
from app.settings import PULLED_FILE, ModelEntry, PulledFile, PulledModel, load_pulled

PART = ".part"
"""Ends the name of a file that is not whole yet."""
_CHUNK = 1 << 20

Progress = Callable[[str, int, int], None]
"""Told a file's name, how many bytes are done, and of how many."""


@dataclass(frozen=True)
class Place:
    """A name with its folder. `entry` is None for a model that only lies here, `pulled` for one of
    which no whole pair lies here, and `parts` are bytes of files that are not whole."""

    name: str
    folder: Path
    entry: ModelEntry | None
    pulled: PulledModel | None
    parts: int

    @property
    def model(self) -> Path | None:
        if self.pulled:
            return self.folder / self.pulled.model.name
        return self.entry.model if self.entry else None

    @property
    def mmproj(self) -> Path | None:
        if self.pulled:
            return self.folder / self.pulled.mmproj.name
        return self.entry.mmproj if self.entry else None

    @property
    def is_shipped(self) -> bool:
        """Whether its files are those that come with phonepilot."""
        return self.pulled is None and self.model is not None


def place(entries: Sequence[ModelEntry], models_dir: Path, name: str) -> Place:
    """The place of a name; raises InputError for one that is neither known nor here."""
    entry = next((entry for entry in entries if entry.name == name), None)
    folder = models_dir / name
    pulled = load_pulled(models_dir, name)
    if entry is None and pulled is None:
        known = [entry.name for entry in entries]
        close = difflib.get_close_matches(name, known, n=1)
        guess = f"Did you mean {close[0]}? " if close else ""
        raise InputError(f"unknown model: {name!r}", f"{guess}Known: {', '.join(known)}.")
    parts = sum(part.stat().st_size for part in folder.glob(f"*{PART}"))
    return Place(name, folder, entry, pulled, parts)


def places(entries: Sequence[ModelEntry], models_dir: Path) -> list[Place]:
    """The catalogue in its order, then what lies here besides."""
    known = [entry.name for entry in entries]
    here = sorted(path.parent.name for path in models_dir.glob(f"*/{PULLED_FILE}"))
    names = [*known, *(name for name in here if name not in known)]
    return [place(entries, models_dir, name) for name in names]


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Make the folder of a model, which no other command of ours writes to during the block.

    Raises ModelError while one does, and when the folder cannot be made. The lock ends with its
    process, however that ends.
    """
    try:
        private_folder(folder)
        # Beside the folder, which may be removed under the lock.
        with FileLock(folder.with_name(f".{folder.name}.lock"), timeout=0, mode=FILE):
            yield
    except Timeout as exc:
        raise ModelError(
            f"another command is using {folder.name}", "Wait for it to finish."
        ) from exc
    except OSError as exc:
        raise ModelError(f"{folder}: cannot be used: {exc.strerror or exc}") from exc


def record(folder: Path, pulled: PulledModel, *, keep: bool = False) -> None:
    """From now on the files in `folder` are a pair that can be run; parts and, but for `keep`,
    other models' files go. Raises ModelError."""
    lines = [f'repository = "{pulled.repository}"', f'revision = "{pulled.revision}"']
    tables = [("[model]", pulled.model), ("[mmproj]", pulled.mmproj)]
    for table, file in [*tables, *(("[[parts]]", part) for part in pulled.parts)]:
        lines += ["", table, f'name = "{file.name}"', f"size = {file.size}"]
        lines += [f'sha256 = "{file.sha256}"']
    new = folder / f"{PULLED_FILE}{PART}"
    ours = {file.name for file in pulled.files}
    old = (PART,) if keep else (PART, ".gguf")
    try:
        new.write_text("\n".join(lines) + "\n", encoding="utf-8")
        new.replace(folder / PULLED_FILE)
        for path in folder.iterdir():
            if path.suffix in old and path.name not in ours:
                path.unlink()
    except OSError as exc:
        raise ModelError(f"{folder}: cannot be written: {exc.strerror}") from exc


def verify(found: Place, on_progress: Progress) -> list[str]:
    """What is wrong with the files of a place, nothing for none; raises InputError without any.

    Shipped files have no checksums of their own: the package has them.
    """
    if found.model is None:
        raise InputError(
            f"{found.name} is not installed",
            f"Get it: {found.entry.command}." if found.entry else "See phonepilot models list.",
        )
    wrong = []
    for file in found.pulled.files if found.pulled else ():
        path = found.folder / file.name
        try:
            if path.stat().st_size != file.size:
                wrong.append(f"{file.name} has {path.stat().st_size} bytes, not {file.size}")
            elif sha256_of(path, on_progress) != file.sha256:
                wrong.append(f"{file.name} has changed: its checksum differs")
        except OSError as exc:
            wrong.append(f"{file.name} cannot be read: {exc.strerror}")
    try:
        check_files(found.model, found.mmproj)
    except EngineStartFailed as exc:
        wrong.append(exc.message)
    return wrong


def sha256_of(path: Path, on_progress: Progress) -> str:
    """The hash of a file as hexadecimal digits; raises OSError."""
    digest, done, size = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            done += len(chunk)
            on_progress(f"checking {path.name}", done, size)
    return digest.hexdigest()


def measured(path: Path, on_progress: Progress) -> PulledFile:
    """A file as it is now; raises OSError."""
    return PulledFile(name=path.name, size=path.stat().st_size, sha256=sha256_of(path, on_progress))


def free_space(folder: Path) -> int:
    """Bytes that are free where `folder` is or will be."""
    there = folder.resolve()
    while not there.exists():
        there = there.parent
    return shutil.disk_usage(there).free


def need_space(folder: Path, size: int, what: str) -> None:
    """Raises ModelError unless `size` bytes and a little more are free below `folder`."""
    spare = 64 << 20  # a file system that is full to the brim stops more than this program
    free = shutil.disk_usage(folder).free
    if free < size + spare:
        raise ModelError(
            f"{what} needs {size >> 20} MiB, and {folder} has {free >> 20} MiB free",
            "Make room, or choose another folder with service.data_dir.",
        )


def remove(found: Place) -> int:
    """Delete the folder with all that lies in it; the bytes that are free now.

    Raises InputError for a place where nothing lies, ModelError when it cannot be deleted.
    """
    if found.is_shipped:
        raise InputError(f"{found.name} comes with phonepilot and stays")
    if not found.folder.is_dir():
        raise InputError(f"no files of {found.name} is here")
    size = sum(path.stat().st_size for path in found.folder.rglob("*") if path.is_file())
    try:
        with alone(found.folder):
            shutil.rmtree(found.folder)
    except OSError as exc:
        raise ModelError(f"{found.folder}: cannot be removed: {exc.strerror or exc}") from exc
    return size
