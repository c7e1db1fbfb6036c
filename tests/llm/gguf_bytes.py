"""Writes GGUF files byte by byte: also those that no program would write."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

Scalar = str | int | bool

ALIGNMENT = 32
TextOrNumbers = Scalar | Sequence[int] | Sequence[str]


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def value(given: TextOrNumbers) -> bytes:
    """With its type: u32 for numbers, as most of llama.cpp's keys have."""
    if isinstance(given, bool):
        return struct.pack("<I?", 7, given)
    if isinstance(given, int):
        return struct.pack("<II", 4, given)
    if isinstance(given, str):
        return struct.pack("<I", 8) + text(given)
    if given and isinstance(given[0], str):
        items = b"".join(text(str(item)) for item in given)
        return struct.pack("<IIQ", 9, 8, len(given)) + items
    return struct.pack("<IIQ", 9, 4, len(given)) + struct.pack(f"<{len(given)}I", *given)


def tensor(name: str, shape: Sequence[int], kind: int, offset: int) -> bytes:
    sides = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return text(name) + sides + struct.pack("<IQ", kind, offset)


def header(
    values: Mapping[str, TextOrNumbers] | None = None,
    tensors: Sequence[bytes] = (),
    *,
    version: int = 3,
    counts: tuple[int, int] | None = None,
) -> bytes:
    """`counts` are the numbers of tensors and values that it announces, when not the true ones."""
    values = values or {}
    announced = counts or (len(tensors), len(values))
    pairs = b"".join(text(key) + value(given) for key, given in values.items())
    return b"GGUF" + struct.pack("<IQQ", version, *announced) + pairs + b"".join(tensors)


def padded(data: bytes, alignment: int = ALIGNMENT) -> bytes:
    return data + bytes(-len(data) % alignment)


def write_part(path: Path, number: int, count: int, names: Sequence[str], total: int) -> None:
    """Part `number`, from 0, of a split model, with a tensor of 8 F32 values for each name."""
    first: dict[str, TextOrNumbers] = {
        "general.architecture": "glm4",
        "glm4.block_count": 2,
        "glm4.attention.head_count": 2,
        "glm4.embedding_length": 64,
    }
    split: dict[str, TextOrNumbers] = {
        "split.no": number,
        "split.count": count,
        "split.tensors.count": total,
    }
    infos = [tensor(name, [8], 0, at * ALIGNMENT) for at, name in enumerate(names)]
    data = padded(header((first if number == 0 else {}) | split, infos))
    path.write_bytes(data + bytes(ALIGNMENT) * len(names))
