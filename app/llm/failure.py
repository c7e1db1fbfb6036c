"""Why an engine ended: the line of its log that says so, and what to do about it.

llama.cpp's last line is always a general one ("exiting due to model loading error"); the cause is
the first line that it logged as an error.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

# "0.00.008.404 E srv  load_model: ..." : time since start, level, then the message.
_STAMP = re.compile(r"^\d+\.\d\d\.\d\d\d\.\d\d\d [DIWE] ")
_ERROR = re.compile(
    r"^\d+\.\d\d\.\d\d\d\.\d\d\d E |^error\b|GGML_ASSERT|GGML_ABORT|Traceback", re.I
)

_SIGKILL_EXIT = 137
_SIGABRT_EXIT = 134

OUT_OF_MEMORY = "out_of_memory"

_CAUSES: tuple[tuple[str, re.Pattern[str], str], ...] = tuple(
    (reason, re.compile(pattern), hint)
    for reason, pattern, hint in (
        (
            "host_memory",
            r"bad_alloc|(failed|unable) to allocate (CPU\w*|\w+_Host) buffer|ErrorOutOfHostMemory|"
            r"insufficient memory \(attempted to allocate|Cannot allocate memory",
            "Out of main memory (not the GPU's). Lower engine.context or engine.cache_ram, close "
            "other programs, or take a smaller quantisation.",
        ),
        (
            "out_of_memory",
            r"out of memory|(failed|unable) to allocate \w+ buffer|ErrorOutOfDeviceMemory|"
            r"resource allocation failed|CUBLAS_STATUS_ALLOC_FAILED",
            "Out of GPU memory. Set cache_type_k/v = 'q8_0', image_max_tokens = 1024, fewer "
            "gpu_layers or mmproj_offload = false; configs/rtx-4060-8gb.toml shows a set that fits "
            "8 GB.",
        ),
        (
            "file_missing",
            r"failed to open GGUF file",
            "Check engine.model and engine.mmproj in your configuration.",
        ),
        (
            "gguf_version",
            r"this GGUF file is version \d+ but",
            "The file is of a newer GGUF version than this llama.cpp reads; use a newer "
            "llama-server.",
        ),
        (
            "gguf_version",
            r"GGUFv\d+ is no longer supported",
            "The file is of an old GGUF version; download or convert it again.",
        ),
        (
            "big_endian",
            r"mismatch between the host and model endianness",
            "The file was made for the other byte order; download or convert it again.",
        ),
        (
            "file_truncated",
            r"not within the file bounds|corrupted or incomplete|"
            r"failed to (read (header|key|tensor)|seek for tensor)",
            "The file is truncated; download or convert it again.",
        ),
        (
            "not_gguf",
            r"invalid magic",
            "The file is not a GGUF file; download or convert it again.",
        ),
        (
            "architecture_unknown",
            r"unknown model architecture",
            "This llama.cpp is older than the model; use a newer llama-server.",
        ),
        (
            "files_swapped",
            r"CLIP cannot be used as main model",
            "engine.model names the projector; swap engine.model and engine.mmproj.",
        ),
        (
            "pair_mismatch",
            r"mismatch between text model",
            "engine.mmproj belongs to another model; take both from the same conversion.",
        ),
        (
            "no_image_positions",
            r"does not support multimodal",
            "The model was converted without image positions; convert it again with a llama.cpp "
            "of 2026 or later.",
        ),
        (
            "projector_unreadable",
            r"failed to load multimodal model|Failed to load CLIP model",
            "engine.mmproj cannot be read as a vision projector; check the file.",
        ),
        (
            "context_impossible",
            r"failed to create context|cannot run the operation",
            "This context or cache type cannot be made; lower engine.context or set "
            "engine.cache_type_k/v = 'f16'.",
        ),
        (
            "port_taken",
            r"couldn't bind HTTP server socket",
            "The port is taken; set engine.port = 0 for a free one.",
        ),
        (
            "argument_unknown",
            r"invalid argument: |error while handling argument",
            "llama-server does not take this argument; check engine.extra_args.",
        ),
        (
            "binary_unfit",
            r"GLIBC|cannot open shared object|Illegal instruction",
            "The binary does not fit this machine; install another build of llama.cpp.",
        ),
    )
)


_OTHERWISE = "GET /engine/log, or the engine's own console, shows all of its lines."
_ASSERTION = (
    "llama.cpp ended itself over a value that it cannot work with: check engine.context, "
    "engine.batch and engine.extra_args, or take another build. " + _OTHERWISE
)


@dataclass(frozen=True)
class Failure:
    """`message` is the engine's own line without its time stamp, `reason` a stable word for the
    cause, "" for one that is not known."""

    message: str
    hint: str
    reason: str = ""


def diagnose(lines: Sequence[str], exit_code: int | None) -> Failure:
    """The cause of an end with `exit_code` (128 + n for signal n), read from the log lines."""
    if exit_code == _SIGKILL_EXIT:  # nothing that it wrote before is the cause
        hint = "Somebody killed it, often the system because memory ran out."
        return Failure("the engine was killed", hint, "killed")
    for line in lines:
        for reason, pattern, hint in _CAUSES:
            if pattern.search(line):
                return Failure(_plain(line), hint, reason)
    errors = [line for line in lines if _ERROR.search(line)]
    said = [line for line in lines if line.strip()]
    assertion = "assertion" if exit_code == _SIGABRT_EXIT else ""
    hint = _ASSERTION if assertion else _OTHERWISE
    if errors:
        return Failure(_plain(errors[0]), hint, assertion)
    if assertion or not said:
        return Failure(f"the engine ended with exit code {exit_code}", hint, assertion)
    return Failure(_plain(said[-1]), _OTHERWISE)


def _plain(line: str) -> str:
    return _STAMP.sub("", line).strip()
