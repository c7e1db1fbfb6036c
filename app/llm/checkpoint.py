"""A checkpoint as transformers saves it: a folder with weights, configuration and tokenizer."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from app.errors import InputError
from app.llm.safetensors import open_checkpoint

_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")


@dataclass(frozen=True)
class Checkpoint:
    """A folder with weights; `size` is theirs in bytes, `vision` what the eyes take of it as far as
    that can be told, `architecture` transformers' name."""

    folder: Path
    architecture: str
    size: int
    sees: bool
    vision: int = 0

    def blinded(self) -> Checkpoint:
        """The text part alone."""
        return replace(self, size=self.size - self.vision, vision=0, sees=False)


def read_checkpoint(folder: Path, *, trust_code: bool = False) -> Checkpoint:
    """Look at a checkpoint before hours are spent on it.

    Raises InputError for a folder that is none, and for one that brings code of its own, which
    the converter would run.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder", "Give the folder of the checkpoint.")
    config = _json(folder / "config.json")
    weights = [path for pattern in _WEIGHTS for path in folder.glob(pattern)]
    if not weights:
        gguf = any(folder.glob("*.gguf"))
        raise InputError(
            f"{folder} contains no weights (*.safetensors)",
            "It holds GGUF files already." if gguf else "Download all files of the checkpoint.",
        )
    tokenizer = folder / "tokenizer_config.json"
    code = {**config, **(_json(tokenizer) if tokenizer.exists() else {})}.get("auto_map")
    if code and not trust_code:
        raise InputError(
            "the checkpoint contains Python code, which the converter would run",
            "Read it; if you trust it, add --trust-code.",
        )
    names = config.get("architectures")
    name = names[0] if isinstance(names, list) and names else ""
    size = sum(path.stat().st_size for path in weights)
    sees = "vision_config" in config
    return Checkpoint(folder.resolve(), str(name), size, sees, _vision(folder) if sees else 0)


def _vision(folder: Path) -> int:
    """Bytes of the tensors that see; 0 for weights that are stored in another way."""
    try:
        with open_checkpoint(folder) as tensors:
            return sum(
                len(stored.data)
                for name, stored in tensors.items()
                if any(part.startswith(("visual", "vision")) for part in name.split("."))
            )
    except InputError:
        return 0


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise InputError(
            f"{path} cannot be read: {exc}", "Download all files of the checkpoint."
        ) from exc
    if not isinstance(value, dict):
        raise InputError(f"{path} is not a JSON object", "Download the checkpoint again.")
    return value
