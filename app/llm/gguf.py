"""What can be told of a GGUF file before an engine is started with it."""

from __future__ import annotations

from pathlib import Path

from app.errors import EngineStartFailed

MAGIC = b"GGUF"  # ggml/docs/gguf.md: the first four bytes of every file


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
