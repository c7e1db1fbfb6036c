"""What can be told of a GGUF file before an engine is started with it."""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
_SHORT = 64
"""Arrays of numbers up to this length are kept; the longer ones belong to the vocabulary."""
_MOST_DIMENSIONS = 4

TENSOR_TYPES: dict[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22), 7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 40),
    10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292),
    20: ("IQ4_NL", 32, 18), 23: ("IQ4_XS", 256, 136), 24: ("I8", 1, 1), 25: ("I16", 1, 2),
    26: ("I32", 1, 4), 28: ("F64", 1, 8), 30: ("BF16", 1, 2),
}  # fmt: skip
"""ggml's types (ggml.h, ggml-common.h): name, values in a block, bytes of a block."""

Scalar = str | int | float | bool


@dataclass(frozen=True)
class Array:
    """`values` is None for a long one."""

    length: int
    values: tuple[Scalar, ...] | None


Value = Scalar | Array


@dataclass(frozen=True)
class Tensor:
    """`shape` is ggml's: the fastest dimension first. `kind` is the type's name."""

    name: str
    shape: tuple[int, ...]
    kind: str
    block: int
    block_bytes: int

    @property
    def count(self) -> int:
        """How many values."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of its data."""
        return self.count // self.block * self.block_bytes


@dataclass(frozen=True)
class Header:
    """What a GGUF file says of itself."""

    metadata: dict[str, Value]
    tensors: tuple[Tensor, ...]

    @property
    def architecture(self) -> str:
        return str(self.metadata.get("general.architecture", ""))

    def number(self, key: str, default: int = 0) -> int:
        """A whole number below the architecture's name, e.g. "block_count"."""
        value = self.metadata.get(f"{self.architecture}.{key}", default)
        return value if isinstance(value, int) else default


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
            reason="file_missing",
        ) from exc
    except OSError as exc:
        raise EngineStartFailed(
            f"{what} file cannot be read: {path}: {exc.strerror}", f"Check {key}."
        ) from exc
    if magic != MAGIC:
        raise EngineStartFailed(
            f"{what} file is not a GGUF file: {path}",
            "Download or convert it again; Safetensors files must be converted first.",
            reason="not_gguf",
        )


def read_header(path: Path) -> Header:
    """All of the file that comes before its data.

    Raises EngineStartFailed for a file that ends or goes astray before that, or has a tensor of a
    type that is not known here.
    """
    with _reading(path) as file:
        file.seek(len(MAGIC) + 4)
        tensors, pairs = _number(file, "<Q"), _number(file, "<Q")
        metadata = dict(_values(file, pairs))
        return Header(metadata, tuple(_tensor(file) for _ in range(tensors)))


@contextmanager
def _reading(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            yield file
    except (OSError, struct.error, ValueError, OverflowError, MemoryError) as exc:
        raise EngineStartFailed(
            f"the head of {path} cannot be read: {exc}",
            "Download or convert the file again.",
            reason="file_truncated",
        ) from exc


def _values(file: BinaryIO, count: int) -> Iterator[tuple[str, Value]]:
    for _ in range(count):
        name, kind = _text(file), _number(file, "<I")
        if kind == _ARRAY:
            yield name, _array(file)
        elif kind == _STRING:
            yield name, _text(file)
        elif kind in _SCALARS:
            yield name, _number(file, _SCALARS[kind])
        else:
            raise ValueError(f"{name} has the unknown type {kind}")


def _array(file: BinaryIO) -> Array:
    kind, count = _number(file, "<I"), _number(file, "<Q")
    if kind in _SCALARS:
        if count <= _SHORT:
            return Array(count, tuple(_number(file, _SCALARS[kind]) for _ in range(count)))
        file.seek(struct.calcsize(_SCALARS[kind]) * count, os.SEEK_CUR)
    elif kind == _STRING:
        for _ in range(count):
            file.seek(_number(file, "<Q"), os.SEEK_CUR)
    else:
        raise ValueError(f"an array of type {kind}")
    return Array(count, None)


def _tensor(file: BinaryIO) -> Tensor:
    name, dimensions = _text(file), _number(file, "<I")
    if dimensions > _MOST_DIMENSIONS:
        raise ValueError(f"{name} has {dimensions} dimensions")
    shape = tuple(_number(file, "<Q") for _ in range(dimensions))
    kind, _offset = _number(file, "<I"), _number(file, "<Q")
    if kind not in TENSOR_TYPES:
        raise ValueError(f"{name} has the unknown type {kind}")
    return Tensor(name, shape, *TENSOR_TYPES[kind])


def _text(file: BinaryIO) -> str:
    length = _number(file, "<Q")
    if length > _MAX_TEXT:
        raise ValueError(f"a text of {length} bytes")
    return file.read(length).decode("utf-8", "replace")


def _number(file: BinaryIO, form: str) -> Any:
    (value,) = struct.unpack(form, file.read(struct.calcsize(form)))
    return value
