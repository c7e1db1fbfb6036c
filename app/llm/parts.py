"""Models that are split into several files, as llama.cpp's `gguf-split` writes them.

Their names end with -00001-of-00003.gguf. llama.cpp is given the first part and finds the others
by their names beside it. The first one has all metadata, and each has tensors of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from app.errors import EngineStartFailed
from app.llm.gguf import Header, Tensor, read_header

MAX_PARTS = 1000
_NAME = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.DOTALL)
# llama.cpp's llama-arch.cpp, LLM_KV_SPLIT_*
_NUMBER, _COUNT, _TENSORS = "split.no", "split.count", "split.tensors.count"


@dataclass(frozen=True)
class PartName:
    """The name of a part: what comes before its number, the number from 1, and of how many."""

    stem: str
    number: int
    count: int

    def of(self, number: int) -> str:
        """The name of another part of the same model."""
        return f"{self.stem}-{number:05}-of-{self.count:05}.gguf"


def part_name(name: str) -> PartName | None:
    """None for a name that is not that of a part."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    number, count = int(match["number"]), int(match["count"])
    if not 1 <= number <= count <= MAX_PARTS:
        return None
    return PartName(match["stem"], number, count)


def first_part(path: Path) -> Path:
    """The file that llama.cpp is to be given: the first part, whichever `path` is; `path` for a
    model in one file."""
    part = part_name(path.name)
    return path.with_name(part.of(1)) if part else path


def model_files(path: Path) -> tuple[Path, ...]:
    """All files of the model in their order, by their names alone."""
    part = part_name(path.name)
    if part is None:
        return (path,)
    return tuple(path.with_name(part.of(number + 1)) for number in range(part.count))


def model_size(path: Path) -> int:
    """Bytes of all files of the model; raises OSError."""
    return sum(file.stat().st_size for file in model_files(path))


def read_model(path: Path) -> Header:
    """The header of a model: the metadata of its first part and the tensors of all.

    Raises EngineStartFailed as `read_header` does, and with a reason of its own for parts that are
    missing (part_missing), misnamed (part_misnamed) or of different models (parts_mismatch).
    """
    files = model_files(path)
    if len(files) > 1:
        _check_complete(files)
    headers = [read_header(file) for file in files]
    count = headers[0].metadata.get(_COUNT, 1)
    if count != len(files) and len(files) == 1:
        raise EngineStartFailed(
            f"{path} is one of {count} parts of a model, and its name does not say so",
            f"llama.cpp finds the parts by their names: NAME-00001-of-{count:05}.gguf, and so on."
            if isinstance(count, int)
            else "Download or convert the file again.",
            reason="part_misnamed",
        )
    if len(files) == 1:
        return headers[0]
    tensors: list[Tensor] = []
    for number, (file, header) in enumerate(zip(files, headers, strict=True)):
        said = header.metadata.get(_NUMBER), header.metadata.get(_COUNT)
        if said != (number, len(files)):
            raise _mismatch(f"{file} does not say that it is part {number + 1} of {len(files)}")
        tensors += header.tensors
    if len({tensor.name for tensor in tensors}) != len(tensors):
        raise _mismatch(f"some tensors are in two parts of {files[0]}")
    wanted = headers[0].metadata.get(_TENSORS, len(tensors))
    if wanted != len(tensors):
        raise _mismatch(f"the parts of {files[0]} have {len(tensors)} tensors and not {wanted}")
    return Header(headers[0].metadata, tuple(tensors))


def _check_complete(files: tuple[Path, ...]) -> None:
    for number, file in enumerate(files):
        if not file.is_file():
            raise EngineStartFailed(
                f"part {number + 1} of {len(files)} of the model is missing: {file}",
                "Put all parts into one folder under their original names; "
                "`phonepilot models pull` gets all of them.",
                reason="part_missing",
            )


def _mismatch(what: str) -> EngineStartFailed:
    return EngineStartFailed(
        f"the parts of a model do not belong together: {what}",
        "Take all parts from the same place.",
        reason="parts_mismatch",
    )
