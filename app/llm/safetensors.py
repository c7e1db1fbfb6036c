"""The tensors of a Hugging Face checkpoint, read where they lie.

A safetensors file begins with the length of its JSON head (u64, little-endian) and the head, which
tells each tensor's type, shape and place (https://github.com/huggingface/safetensors#format). The
data is mapped, not read: a checkpoint is larger than the memory of most computers.
"""

from __future__ import annotations

import json
import mmap
import struct
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.errors import InputError

_HEAD = struct.Struct("<Q")
_MAX_HEAD = 100_000_000
SIZES = {"F32": 4, "F16": 2, "BF16": 2}


@dataclass(frozen=True)
class Stored:
    """A tensor: its type (F32, F16 or BF16), its shape, slowest dimension first, and its bytes."""

    kind: str
    shape: tuple[int, ...]
    data: memoryview


@contextmanager
def open_checkpoint(folder: Path) -> Iterator[Mapping[str, Stored]]:
    """All tensors of the safetensors files in a folder, by name, while the block runs.

    Raises InputError for a folder without such files and for files that are broken.
    """
    paths = sorted(folder.glob("*.safetensors"))
    if not paths:
        raise InputError(f"{folder} contains no *.safetensors files", "Give a checkpoint's folder.")
    found: dict[str, Stored] = {}
    with ExitStack() as stack:
        for path in paths:
            file = stack.enter_context(path.open("rb"))
            try:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except ValueError as exc:
                raise InputError(f"{path} is empty") from exc
            view = memoryview(mapped)
            tensors = _tensors(path, view)
            for name, stored in tensors.items():
                stack.callback(stored.data.release)
                if name in found:
                    raise InputError(f"{name} is in two files of {folder}")
                found[name] = stored
            stack.callback(view.release)
        yield found


def _tensors(path: Path, view: memoryview) -> dict[str, Stored]:
    try:
        (length,) = _HEAD.unpack_from(view)
        if length > min(_MAX_HEAD, len(view) - _HEAD.size):
            raise ValueError(f"a head of {length} bytes")
        begin = _HEAD.size + length
        head = json.loads(bytes(view[_HEAD.size : begin]))
        return {
            name: _stored(name, entry, view[begin:])
            for name, entry in head.items()
            if name != "__metadata__"
        }
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise InputError(f"{path} is not a complete safetensors file: {exc}") from exc


def _stored(name: str, entry: Mapping[str, object], data: memoryview) -> Stored:
    kind, shape, places = str(entry["dtype"]), entry["shape"], entry["data_offsets"]
    if kind not in SIZES:
        raise ValueError(f"{name} has the type {kind}")
    if not (isinstance(shape, list) and isinstance(places, list)):
        raise ValueError(f"{name} has no shape or place")
    begin, end = (int(place) for place in places)
    count = 1
    for side in shape:
        count *= int(side)
    if not 0 <= begin <= end <= len(data) or end - begin != count * SIZES[kind]:
        raise ValueError(f"{name} is outside the file, or its size does not match its shape")
    return Stored(kind, tuple(int(side) for side in shape), data[begin:end])
