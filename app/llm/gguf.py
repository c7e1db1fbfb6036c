"""What can be told of a GGUF file before an engine is started with it."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from app.errors import EngineStartFailed

# ggml/docs/gguf.md: the first four bytes of every file, and the types of its values
MAGIC = b"GGUF"
PROJECTOR = "clip"
"""The architecture that vision projectors name, whatever model they belong to."""
_SCALARS = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i",
    6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d",
}  # fmt: skip
_STRING, _ARRAY = 8, 9
_MAX_TEXT = 1 << 20

Scalar = str | int | float | bool


def check_gguf(path: Path, key: str) -> None:
    """Raise `EngineStartFailed` unless `path` is there and begins as a GGUF file does.

    `key` is the setting that names the file, such as "engine.model".
    """
    what = "model" if key == "engine.model" else "projector"
    try:
        with path.open("rb") as file:
            magic = file.read(len(MAGIC))
    except FileNotFoundError as exc:
        raise EngineStartFailed(
            f"{what} file not found: {path}",
            f"Check {key}, or try the model that comes with phonepilot: --config demo.",
        ) from exc
    except OSError as exc:
        raise EngineStartFailed(
            f"{what} file cannot be read: {path}: {exc.strerror}", f"Check {key}."
        ) from exc
    if magic != MAGIC:
        raise EngineStartFailed(
            f"{what} file is not a GGUF file: {path}",
            "Download or convert it again; Safetensors files must be converted first.",
        )


def read_metadata(path: Path) -> dict[str, Scalar]:
    """The file's single values up to its vocabulary, e.g. "general.architecture".

    Raises EngineStartFailed for a file that ends or goes astray before that.
    """
    try:
        with path.open("rb") as file:
            return dict(_pairs(file))
    except (OSError, struct.error, ValueError) as exc:
        raise EngineStartFailed(
            f"the head of {path} cannot be read: {exc}", "Download or convert the file again."
        ) from exc


def _pairs(file: BinaryIO) -> Iterator[tuple[str, Scalar]]:
    file.seek(len(MAGIC) + 12)  # version and number of tensors
    for _ in range(_number(file, "<Q")):
        name, kind = _text(file), _number(file, "<I")
        if kind == _ARRAY and name.startswith("tokenizer."):
            return
        if kind == _ARRAY:
            _skip_array(file)
        elif kind == _STRING:
            yield name, _text(file)
        elif kind in _SCALARS:
            yield name, _number(file, _SCALARS[kind])
        else:
            raise ValueError(f"{name} has the unknown type {kind}")


def _skip_array(file: BinaryIO) -> None:
    kind, count = _number(file, "<I"), _number(file, "<Q")
    if kind in _SCALARS:
        file.seek(struct.calcsize(_SCALARS[kind]) * count, os.SEEK_CUR)
    elif kind == _STRING:
        for _ in range(count):
            file.seek(_number(file, "<Q"), os.SEEK_CUR)
    else:
        raise ValueError(f"an array of type {kind}")


def _text(file: BinaryIO) -> str:
    length = _number(file, "<Q")
    if length > _MAX_TEXT:
        raise ValueError(f"a text of {length} bytes")
    return file.read(length).decode("utf-8", "replace")


def _number(file: BinaryIO, form: str) -> Any:
    (value,) = struct.unpack(form, file.read(struct.calcsize(form)))
    return value
