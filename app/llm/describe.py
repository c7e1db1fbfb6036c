"""What a GGUF file says of itself, for people: read from its header, not from its data."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from app.errors import ConfigError, EngineStartFailed
from app.llm.files import check_files
from app.llm.gguf import PROJECTOR, Array, Header, Value, check_gguf, read_header
from app.llm.memory import MIB, plans, shapes_of
from app.llm.parts import first_part, model_files, model_size, read_model

# llama.h, enum llama_ftype: what most matrices of a file are.
FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K",
    11: "Q3_K_S", 12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S",
    17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS",
    23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M",
    30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4_MOE",
    39: "NVFP4", 40: "Q1_0", 41: "Q2_0",
}  # fmt: skip
_TOKENS = "tokenizer.ggml."
_TEMPLATE = "tokenizer.chat_template"
SCREEN = (1080, 2400)


def describe(path: Path) -> dict[str, Any]:
    """The facts of a model or projector as JSON values; texts are as they stand in the file.

    Any part of a split model stands for all of it. Raises EngineStartFailed for a file that is no
    GGUF file or is cut short, and for a model with a part missing.
    """
    path = first_part(path)
    check_gguf(path, "engine.model")
    header = read_model(path)
    parts, unknown = len(model_files(path)), header.unknown_types
    count = sum(tensor.count for tensor in header.tensors)
    data = sum(tensor.nbytes for tensor in header.tensors)
    kinds = Counter(tensor.kind for tensor in header.tensors)
    facts: dict[str, Any] = {
        "file": str(path),
        "parts": parts if parts > 1 else None,
        "bytes": model_size(path),
        "name": _plain(header.metadata.get("general.name")),
        "architecture": header.architecture,
        "quantisation": quantisation(header),
        "tensor_types": dict(kinds.most_common()),
        "unknown_types": list(unknown) or None,
        "parameters": count,
        "bits_per_weight": round(data * 8 / count, 2) if count else 0.0,
    }
    more = _projector(header) if header.architecture == PROJECTOR else _model(header)
    return {key: value for key, value in (facts | more).items() if value is not None}


def quantisation(header: Header) -> str:
    """As llama.cpp names it; "unknown" for a file that does not tell."""
    kind = header.metadata.get("general.file_type")
    return FILE_TYPES.get(kind, f"type {kind}") if isinstance(kind, int) else "unknown"


def pair_facts(model: Path, mmproj: Path | None, context: int) -> dict[str, Any]:
    """Whether the two work together, and what a GPU must have for them at so many tokens."""
    facts: dict[str, Any] = {"fits_together": True}
    try:
        check_files(model, mmproj)
    except EngineStartFailed as exc:
        return {"fits_together": False, "problem": exc.message, "hint": exc.hint}
    try:
        shapes = shapes_of(read_model(model), read_header(mmproj) if mmproj else None)
    except ConfigError as exc:
        return facts | {"problem": exc.message, "hint": exc.hint}
    totals = [p.total // MIB for p in plans(shapes, vram=0, context=context, screen=SCREEN)]
    return facts | {
        "context": context,
        "gpu_mib_best": totals[0],
        "gpu_mib_least": min(totals),
    }


def _model(header: Header) -> dict[str, Any]:
    special = {
        key.removeprefix(_TOKENS).removesuffix("_token_id"): value
        for key, value in header.metadata.items()
        if key.startswith(_TOKENS) and key.endswith("_token_id") and isinstance(value, int)
    }
    vocabulary = header.metadata.get(f"{_TOKENS}tokens")
    return {
        "context_length": header.number("context_length") or None,
        "layers": header.number("block_count") or None,
        "width": header.number("embedding_length") or None,
        "vocabulary": vocabulary.length if isinstance(vocabulary, Array) else None,
        "tokenizer": _plain(header.metadata.get(f"{_TOKENS}pre")),
        "image_positions": _plain(
            header.metadata.get(f"{header.architecture}.rope.dimension_sections")
        ),
        "special_tokens": special,
        "chat_template": _plain(header.metadata.get(_TEMPLATE)),
    }


def _projector(header: Header) -> dict[str, Any]:
    return {
        "projector": _plain(header.metadata.get("clip.projector_type")),
        "layers": header.number("vision.block_count") or None,
        "width": header.number("vision.embedding_length") or None,
        "gives_width": header.number("vision.projection_dim") or None,
        "image_size": header.number("vision.image_size") or None,
        "patch_size": header.number("vision.patch_size") or None,
    }


def _plain(value: Value | None) -> object:
    if isinstance(value, Array):
        return list(value.values) if value.values is not None else value.length
    return value
