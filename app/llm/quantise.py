"""A GGUF file of 16 bits made smaller, with llama.cpp's own `llama-quantize`."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.errors import EngineStartFailed, InputError, ModelError
from app.llm.catalogue import PART, Progress, need_space
from app.llm.gguf import check_gguf
from app.llm.image import FOLDER, Image
from app.llm.parts import first_part, model_files, read_model
from app.llm.tool import KILLED, Finished, run_tool

TYPES = (
    "Q8_0",
    "Q6_K",
    "Q5_1",
    "Q5_K_M",
    "Q5_K_S",
    "Q5_0",
    "Q4_K_M",
    "Q4_K_S",
    "Q4_0",
    "IQ4_XS",
    "Q3_K_M",
    "Q2_K",
)
"""From the largest to the smallest, by the file of AutoGLM-Phone-9B."""
PROGRAM = "llama-quantize"
# tools/quantize of llama.cpp b11434: "[  24/  29] blk.0.attn_k.weight - [...], type = bf16, ..."
_STEP = re.compile(r"^\[\s*(\d+)/\s*(\d+)\]")
_SIZE = re.compile(r"quant size\s*=\s*([\d.]+) MiB")
_BUILT = ("build/bin", "build/bin/Release", "bin", ".")
"""Where a checkout of llama.cpp has its programs, built with CMake on each system."""


@dataclass(frozen=True)
class Quantizer:
    """The program, here or in an image."""

    program: Path
    image: Image | None = None

    def command(self, arguments: Sequence[str], *files: Path) -> list[str]:
        """`files` are those among the arguments, or to be."""
        own = [str(self.program), *arguments]
        return self.image.command(own, [f.parent for f in files]) if self.image else own


def find_quantizer(llama_cpp: Path | None, image: Image | None = None) -> Quantizer:
    """The program in the image, in the checkout or else in PATH; raises ModelError."""
    if image is not None:
        return Quantizer(FOLDER / PROGRAM, image)
    name = f"{PROGRAM}.exe" if sys.platform == "win32" else PROGRAM
    for folder in _BUILT if llama_cpp is not None else ():
        candidate = llama_cpp / folder / name  # type: ignore[operator]
        if candidate.is_file():
            return Quantizer(candidate)
    found = shutil.which(PROGRAM)
    if found is None:
        raise ModelError(
            f"{PROGRAM} was not found" + (f" in {llama_cpp}" if llama_cpp else ""),
            "Build it: cmake -B build && cmake --build build --target llama-quantize in a checkout "
            "of llama.cpp, and give that with --llama-cpp-path; or put it into PATH.",
        )
    return Quantizer(Path(found))


def known_type(text: str, allowed: tuple[str, ...] = TYPES) -> str:
    """A quantisation as llama.cpp spells it; raises InputError."""
    if text.upper() not in allowed:
        raise InputError(f"{text!r} is not a quantisation type", f"There are {', '.join(allowed)}.")
    return text.upper()


def quantised_size(quantizer: Quantizer, source: Path, kind: str) -> int:
    """Bytes that the weights of `source` will take; reads only its header. Raises ModelError."""
    source, files = _source(source)
    done = run_tool(quantizer.command(["--dry-run", str(source), kind], *files))
    found = _SIZE.search(done.text)
    if done.code or found is None:
        raise _failure(done, source, kind)
    return int(float(found[1]) * (1 << 20))


def quantise(
    quantizer: Quantizer, source: Path, target: Path, kind: str, on_progress: Progress
) -> Path:
    """Write `source` as `kind` to `target`, which gets its name when it is whole. Of a source in
    several parts any part may be given.

    Raises ModelError, and EngineStartFailed when `source` is no GGUF file or lacks a part.
    """
    source = first_part(source)
    check_gguf(source, "engine.model")
    read_model(source)
    size = quantised_size(quantizer, source, kind)
    need_space(target.parent, size, f"{kind} of {source.name}")
    part = target.resolve().with_name(target.name + PART)
    whole, files = _source(source)
    words = [str(whole), str(part), kind]

    def line(text: str) -> None:
        if step := _STEP.match(text):
            number, count = int(step[1]), int(step[2])
            on_progress(f"{kind} {target.name}", size * number // max(count, 1), size)

    try:
        done = run_tool(quantizer.command(words, *files, part), line)
        if done.code:
            raise _failure(done, source, kind)
        try:
            check_gguf(part, "engine.model")
        except EngineStartFailed as exc:
            raise _failure(done, source, kind) from exc
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return target


def _source(path: Path) -> tuple[Path, list[Path]]:
    """The file that the program is given, and the files that it reads, where they really lie.

    In the hub's cache a file is a link to one with another name; only parts have to keep theirs.
    """
    files = model_files(path)
    if len(files) == 1:
        return path.resolve(), [path.resolve()]
    first = files[0].absolute()
    return first, [first, *(file.resolve() for file in files)]


def _failure(done: Finished, source: Path, kind: str) -> ModelError:
    what, hint = f"{PROGRAM} could not make {kind} of {source.name}: {done.last}", ""
    if done.code == KILLED:
        what, hint = f"{PROGRAM} was killed", "The computer ran out of memory, most likely."
    elif "invalid ftype" in done.text:
        hint = f"This {PROGRAM} does not know {kind}; build a newer llama.cpp."
    elif "No space left" in done.text or "failed to write" in done.text:
        what, hint = "the disk is full", "Make room and give the command again."
    elif "requantiz" in done.text:
        hint = "It is quantised already; take the BF16 or F16 file."
    elif done.code in (126, 127):
        what, hint = f"{PROGRAM} cannot be run", "Give another one with --llama-cpp-path."
    return ModelError(what, hint, log_tail=done.tail)
