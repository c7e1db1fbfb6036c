"""What can be told of a GGUF file before an engine is started with it.

A file may come from anybody, so reading its header is bounded: in bytes, in counts, and in what is
kept of it. What llama.cpp refuses is refused here with the reason; only a type of tensor that is
not known here is none, because a newer engine may know it.
"""

from __future__ import annotations

import math
import stat
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

from app.errors import EngineStartFailed
from app.llm.tensor_types import TENSOR_TYPES
from app.visible import one_line

# ggml/docs/gguf.md: the first four bytes of every file, and the types of its values
MAGIC = b"GGUF"
VERSIONS = (2, 3)
"""Those that llama.cpp b11434 reads; they differ only in that 3 may be big-endian."""
PROJECTOR = "clip"
"""The architecture that vision projectors name, whatever model they belong to."""
_SCALARS = {
    0: struct.Struct("<B"), 1: struct.Struct("<b"), 2: struct.Struct("<H"), 3: struct.Struct("<h"),
    4: struct.Struct("<I"), 5: struct.Struct("<i"), 6: struct.Struct("<f"), 7: struct.Struct("<?"),
    10: struct.Struct("<Q"), 11: struct.Struct("<q"), 12: struct.Struct("<d"),
}  # fmt: skip
_STRING, _ARRAY = 8, 9
_U32, _U64 = _SCALARS[4], _SCALARS[10]

MAX_HEADER = 64 << 20
"""Bytes. A vocabulary of 262144 tokens with 500000 merges takes about 20 MiB."""
MAX_VALUES = 1 << 14
MAX_TENSORS = 1 << 16
"""A mixture of experts that was never merged into three dimensions has about 30000."""
MAX_TEXT = 1 << 18
"""Bytes that are kept of a text; chat templates have up to 50000, and what is longer is a tokenizer
in another format."""
MAX_KEPT = 8 << 20
"""Bytes of all texts that are kept."""
_MAX_KEY = (1 << 16) - 1
_MAX_NAME = 63
"""Bytes of a tensor's name (GGML_MAX_NAME, less the zero that ends it)."""
_SHORT = 64
"""Arrays of numbers up to this length are kept; the longer ones belong to the vocabulary."""
_MOST_DIMENSIONS = 4
_MOST_VALUES = (1 << 63) - 1
_ALIGNMENT_KEY = "general.alignment"
_ALIGNMENT = 32
_CHUNK = 1 << 16
_KEPT_HEADERS = 8

_AGAIN = "Download or convert the file again."

Scalar = str | int | float | bool


@dataclass(frozen=True)
class Array:
    """`values` is None for a long one."""

    length: int
    values: tuple[Scalar, ...] | None


Value = Scalar | Array


@dataclass(frozen=True, slots=True)
class Tensor:
    """`shape` is ggml's: the fastest dimension first. `kind` is the type's name, "type 57" for one
    that is not known here; then `nbytes` is the room that it has in the file and not `exact`."""

    name: str
    shape: tuple[int, ...]
    kind: str
    nbytes: int
    exact: bool = True

    @property
    def count(self) -> int:
        """How many values."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Header:
    """What a GGUF file says of itself. Texts in `metadata` are cut to `MAX_TEXT` bytes."""

    metadata: Mapping[str, Value]
    tensors: tuple[Tensor, ...]

    @property
    def architecture(self) -> str:
        return str(self.metadata.get("general.architecture", ""))

    def number(self, key: str, default: int = 0) -> int:
        """A whole number below the architecture's name, e.g. "block_count"."""
        value = self.metadata.get(f"{self.architecture}.{key}", default)
        return value if isinstance(value, int) else default

    @property
    def unknown_types(self) -> tuple[str, ...]:
        """The types of tensors that are not known here."""
        return tuple(sorted({tensor.kind for tensor in self.tensors if not tensor.exact}))


class _Wrong(Exception):
    """What is wrong with a header, with a stable reason."""

    def __init__(self, what: str, reason: str = "header_invalid", hint: str = _AGAIN) -> None:
        super().__init__(what)
        self.reason = reason
        self.hint = hint


def check_gguf(path: Path, key: str) -> None:
    """Raise `EngineStartFailed` unless `path` is there and begins as a GGUF file does.

    `key` is the setting that names the file, such as "engine.model".
    """
    what = "model" if key == "engine.model" else "projector"
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for its writer
            raise EngineStartFailed(
                f"{what} is not a file: {path}", f"Check {key}.", reason="not_gguf"
            )
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
    """All of one file that comes before its data; of a model in several files see `read_model`.

    A header that was read is kept until the file's size or time of change is another one. Raises
    EngineStartFailed with a reason: file_truncated, gguf_version, big_endian, header_too_large,
    header_invalid or not_gguf.
    """
    with _explained(path):
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise _Wrong("it is not a file", "not_gguf")
        return _read(path, found.st_size, found.st_mtime_ns, found.st_ino)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except _Wrong as exc:
        raise EngineStartFailed(
            f"the header of {path} cannot be read: {exc}", exc.hint, reason=exc.reason
        ) from exc
    except OSError as exc:
        raise EngineStartFailed(
            f"the header of {path} cannot be read: {exc.strerror or exc}",
            _AGAIN,
            reason="file_truncated",
        ) from exc


@lru_cache(maxsize=_KEPT_HEADERS)
def _read(path: Path, size: int, changed_ns: int, inode: int) -> Header:
    """The last two only tell one state of the file from another."""
    with path.open("rb") as opened:
        file = _HeaderBytes(opened, size)
        if file.take(len(MAGIC)) != MAGIC:
            raise _Wrong("it is not a GGUF file", "not_gguf")
        _check_version(file.number(_U32))
        tensors = _counted(file.number(_U64), MAX_TENSORS, "tensors")
        values = _counted(file.number(_U64), MAX_VALUES, "values")
        metadata = _metadata(file, values)
        alignment = _alignment(metadata)
        places = [_tensor(file) for _ in range(tensors)]
        begin = -(-file.at // alignment) * alignment if places else file.at
        return Header(MappingProxyType(metadata), _placed(places, size - begin, alignment))


class _HeaderBytes:
    """The bytes of a header in their order, `MAX_HEADER` of them at most."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self._chunk = b""
        self._chunk_at = 0
        self.kept = 0
        """Bytes of texts that the caller has kept so far."""
        self.at = 0

    def take(self, count: int) -> bytes:
        begin = self._reach(count) - count
        return self._chunk[begin : begin + count]

    def number(self, form: struct.Struct) -> Any:
        end = self._reach(form.size)
        return form.unpack_from(self._chunk, end - form.size)[0]

    def skip(self, count: int) -> None:
        """Pass over `count` bytes, which need not be read."""
        if count > MAX_HEADER - self.at and self.at + count <= self._size:
            raise _Wrong(f"it takes more than {MAX_HEADER >> 20} MiB", "header_too_large")
        if count > self._size - self.at:
            raise _Wrong(f"the file ends after {self._size} bytes, within it", "file_truncated")
        self.at += count

    def skip_texts(self, count: int) -> None:
        """Pass over an array of strings, of which a vocabulary has hundreds of thousands."""
        length = _U64.unpack_from
        while count:
            self._reach(_U64.size)
            self.at -= _U64.size
            chunk, begin = self._chunk, self.at - self._chunk_at
            at, last = begin, len(chunk) - _U64.size
            while count and at <= last:
                at += _U64.size + length(chunk, at)[0]
                count -= 1
            self.skip(at - begin)

    def _reach(self, count: int) -> int:
        """Have the next `count` bytes in the chunk, pass over them, and return their end in it."""
        begin = self.at
        self.skip(count)
        if not self._chunk_at <= begin <= self.at <= self._chunk_at + len(self._chunk):
            self._file.seek(begin)
            self._chunk, self._chunk_at = self._file.read(max(count, _CHUNK)), begin
            if len(self._chunk) < count:  # it was cut while we read it
                raise _Wrong(f"the file ends after {begin + len(self._chunk)} bytes, within it",
                             "file_truncated")  # fmt: skip
        return self.at - self._chunk_at


def _check_version(version: int) -> None:
    if version in VERSIONS:
        return
    if version & 0xFFFF == 0:
        raise _Wrong(
            "its numbers are big-endian",
            "big_endian",
            "It was made for another kind of processor; download or convert it again for this one.",
        )
    newer = version > VERSIONS[-1]
    raise _Wrong(
        f"its format has version {version}, and {VERSIONS[0]} to {VERSIONS[-1]} are known",
        "gguf_version",
        "A newer phonepilot may know it." if newer else "Convert it again with a newer llama.cpp.",
    )


def _counted(count: int, most: int, what: str) -> int:
    if count > most:
        raise _Wrong(f"it announces {count} {what}, more than any model has")
    return count


def _metadata(file: _HeaderBytes, count: int) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for _ in range(count):
        name = _text(file, _MAX_KEY)
        if not name or name in found:
            raise _Wrong(f"the key {_quoted(name)} is there twice" if name else "a key is empty")
        found[name] = _value(file, name, file.number(_U32))
    return found


def _value(file: _HeaderBytes, name: str, kind: int) -> Value:
    if kind == _ARRAY:
        return _array(file, name)
    if kind == _STRING:
        return _text(file)
    if kind not in _SCALARS:
        raise _Wrong(f"the value of {_quoted(name)} has the unknown type {kind}")
    number: Scalar = file.number(_SCALARS[kind])
    return number


def _array(file: _HeaderBytes, name: str) -> Array:
    kind, count = file.number(_U32), file.number(_U64)
    if kind == _STRING:
        file.skip_texts(count)
        return Array(count, None)
    if kind not in _SCALARS:
        what = "an array of arrays" if kind == _ARRAY else f"an array of the unknown type {kind}"
        raise _Wrong(f"the value of {_quoted(name)} is {what}")
    if count <= _SHORT:
        return Array(count, tuple(file.number(_SCALARS[kind]) for _ in range(count)))
    file.skip(_SCALARS[kind].size * count)
    return Array(count, None)


def _alignment(metadata: Mapping[str, Value]) -> int:
    value = metadata.get(_ALIGNMENT_KEY, _ALIGNMENT)
    if not isinstance(value, int) or value <= 0 or value & (value - 1):
        raise _Wrong(f"{_ALIGNMENT_KEY} is not a power of two")
    return value


@dataclass(frozen=True, slots=True)
class _Place:
    """A tensor, with its number of a type and its offset in the data."""

    tensor: Tensor
    kind: int
    offset: int


def _tensor(file: _HeaderBytes) -> _Place:
    name, dimensions = _text(file, _MAX_NAME), file.number(_U32)
    if dimensions > _MOST_DIMENSIONS:
        raise _Wrong(f"the tensor {_quoted(name)} has {dimensions} dimensions")
    shape = tuple(file.number(_U64) for _ in range(dimensions))
    kind, offset = file.number(_U32), file.number(_U64)
    if math.prod(shape) > _MOST_VALUES or any(side > _MOST_VALUES for side in shape):
        raise _Wrong(f"the tensor {_quoted(name)} has more values than can be counted")
    known = TENSOR_TYPES.get(kind)
    if known is None:
        return _Place(Tensor(name, shape, f"type {kind}", 0, exact=False), kind, offset)
    if (shape[0] if shape else 1) % known.block:
        raise _Wrong(
            f"a row of the tensor {_quoted(name)} is not made of whole blocks of {known.name}"
        )
    nbytes = math.prod(shape) // known.block * known.nbytes
    return _Place(Tensor(name, shape, known.name, nbytes), kind, offset)


def _placed(places: Sequence[_Place], room: int, alignment: int) -> tuple[Tensor, ...]:
    """The tensors, each of which lies within the `room` bytes of data that the file has."""
    names: set[str] = set()
    for place in places:
        name = place.tensor.name
        if name in names:
            raise _Wrong(f"the tensor {_quoted(name)} is there twice")
        names.add(name)
        if place.offset % alignment:
            raise _Wrong(f"the tensor {_quoted(name)} is not aligned")
        if place.offset + place.tensor.nbytes > room:
            raise _Wrong(
                f"the data of the tensor {_quoted(name)} ends "
                f"{place.offset + place.tensor.nbytes - room} bytes after the file",
                "file_truncated",
            )
    if all(place.tensor.exact for place in places):
        return tuple(place.tensor for place in places)
    following: dict[int, int] = {}
    end = room
    for offset in sorted({place.offset for place in places}, reverse=True):
        following[offset], end = end, offset
    return tuple(
        place.tensor
        if place.tensor.exact
        else replace(place.tensor, nbytes=following[place.offset] - place.offset)
        for place in places
    )


def _text(file: _HeaderBytes, most: int | None = None) -> str:
    """With `most`, no more bytes may be there; without, no more than `MAX_TEXT` are kept."""
    length = file.number(_U64)
    if most is not None and length > most:
        raise _Wrong(f"a name of {length} bytes, where {most} are allowed")
    kept = min(length, MAX_TEXT)
    file.kept += kept
    if file.kept > MAX_KEPT:
        raise _Wrong(f"its texts take more than {MAX_KEPT >> 20} MiB", "header_too_large")
    data = file.take(kept)
    file.skip(length - kept)
    return data.decode("utf-8", "replace")


def _quoted(name: str) -> str:
    return repr(one_line(name, 80))
