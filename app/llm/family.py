"""Model families that llama.cpp does not convert: a table of names, and a GGUF file from it.

A family is a TOML file in `families/`: which checkpoint it is for, which numbers of its config.json
become metadata, and how each tensor is called in GGUF. Every tensor of the checkpoint must be named
by the table and every line of the table must name one, so nothing is lost or invented in silence.
Needs the packages `gguf` and `numpy` (the extra `convert`).
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from app.errors import ConfigError, InputError
from app.llm.safetensors import Stored, open_checkpoint

_PLACES = {"{n}": r"(?P<n>\d+)", "{p}": r"(?P<p>weight|bias)"}


class Family(BaseModel):
    """One family; see `families/got-ocr2.toml` for what the fields mean."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    checkpoint: str
    architecture: str
    runs_in_llama_cpp: bool
    numbers: dict[str, str]
    tensors: dict[str, str]

    def gguf_names(self, names: Iterable[str]) -> dict[str, str]:
        """The GGUF name of each tensor of a checkpoint; raises InputError when the two differ."""
        rules = [(_pattern(old), new, old) for old, new in self.tensors.items()]
        found: dict[str, str] = {}
        used: set[str] = set()
        for name in names:
            for pattern, new, old in rules:
                if match := pattern.fullmatch(name):
                    found[name] = new.format(**match.groupdict())
                    used.add(old)
                    break
            else:
                raise InputError(f"{self.name} has no tensor {name[:120]!r}")
        if missing := [old for old in self.tensors if old not in used]:
            raise InputError(f"the checkpoint lacks {missing[0]} of {self.name}")
        if len(set(found.values())) != len(found):
            raise InputError(f"two tensors of the checkpoint become one of {self.name}")
        return found


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"(\{n\}|\{p\})", template)
    return re.compile("".join(_PLACES.get(part, re.escape(part)) for part in parts))


def families() -> dict[str, Family]:
    """All families, by the architecture that their checkpoints name; raises ConfigError."""
    found = {}
    for path in (resources.files("app.llm") / "families").iterdir():
        if path.name.endswith(".toml"):
            try:
                family = Family.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
            except (ValidationError, tomllib.TOMLDecodeError) as exc:
                raise ConfigError(f"families/{path.name}: {exc}") from exc
            found[family.checkpoint] = family
    return found


def family_of(folder: Path) -> Family | None:
    """The family of a checkpoint's folder, None when none of ours; raises InputError."""
    architectures = _config(folder).get("architectures") or [""]
    return families().get(str(architectures[0]))


def write_family(
    folder: Path, target: Path, family: Family, progress: Callable[[int, int], None]
) -> None:
    """Write `target` from the checkpoint in `folder`; `progress` gets (bytes read, of how many).

    Matrices keep 16 bits, everything of one dimension becomes F32, as llama.cpp expects. The file
    has its name only once it is whole. Raises InputError and ConfigError.
    """
    try:
        import gguf
    except ImportError as exc:
        raise ConfigError(
            "writing GGUF files needs the packages gguf and numpy",
            "Install them: pip install 'phonepilot[convert]'.",
        ) from exc
    config = _config(folder)
    partial = target.with_name(f".{target.name}.part")
    writer: Any = gguf.GGUFWriter(partial, family.architecture)
    try:
        writer.add_name(family.name)
        for key, source in family.numbers.items():
            _add_number(writer, f"{family.architecture}.{key}", config, source)
        with open_checkpoint(folder) as tensors:
            names = family.gguf_names(tensors)
            for old, new in names.items():
                array, kind = _array(tensors[old])
                writer.add_tensor(new, array, raw_dtype=kind)
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_ti_data_to_file()
            total, done = sum(len(stored.data) for stored in tensors.values()), 0
            for old in names:
                array, _ = _array(tensors[old])
                writer.write_tensor_data(array)
                done += len(tensors[old].data)
                progress(done, total)
        writer.close()
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _array(stored: Stored) -> tuple[Any, Any]:
    """The tensor as GGUF has it, and its type where numpy has none for it."""
    import gguf
    import numpy as np

    kinds = {"F32": np.float32, "F16": np.float16, "BF16": np.uint16}
    array = np.frombuffer(stored.data, dtype=kinds[stored.kind]).reshape(stored.shape)
    if len(stored.shape) <= 1:
        if stored.kind == "BF16":
            array = (array.astype(np.uint32) << 16).view(np.float32)
        return array.astype(np.float32), None
    if stored.kind == "BF16":
        # gguf-py takes the bytes of a type that numpy does not have, two to a value.
        return array.view(np.uint8), gguf.GGMLQuantizationType.BF16
    return array, None


def _add_number(writer: Any, key: str, config: Mapping[str, Any], source: str) -> None:
    value = config.get(source)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"config.json has no number {source!r}")
    if isinstance(value, int):
        writer.add_uint32(key, value)
    else:
        writer.add_float32(key, value)


def _config(folder: Path) -> Mapping[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise InputError(f"{folder} has no readable config.json: {exc}") from exc
    if not isinstance(config, dict):
        raise InputError(f"{folder}/config.json is not an object")
    return config
