"""What is wrong with a pair of model files, told before llama.cpp aborts on it."""

from __future__ import annotations

from pathlib import Path

from app.errors import EngineStartFailed
from app.llm.gguf import PROJECTOR, Array, Header, check_gguf, read_header
from app.llm.parts import first_part, read_model
from app.visible import one_line

_NEED_IMAGE_POSITIONS = ("glm4", "glm4moe")
"""Text models whose images have positions of their own (m-rope). llama.cpp aborts at the first
image when `rope.dimension_sections` is missing (src/models/glm4.cpp)."""
_GLM4V = "glm4v"
_GATE = "mm.gate.weight"
"""The matrix that conversions of Glm4v as an INTERNVL projector have lost."""


def check_files(model: Path | None, mmproj: Path | None) -> None:
    """Raises EngineStartFailed, with a reason, for files that an engine could not work with.

    Reads the headers of files that may be on a slow disk: not for the event loop. Any part of a
    split model stands for all of it.
    """
    if model is None:
        raise EngineStartFailed(
            "no model is configured",
            "Pull one (phonepilot models list), set engine.model and engine.mmproj, or try the "
            "model that comes with phonepilot: --config demo.",
            reason="no_model",
        )
    if first_part(model) == model:
        check_gguf(model, "engine.model")
    text = read_model(model)
    if mmproj is not None:
        check_gguf(mmproj, "engine.mmproj")
        _check_pair(text, read_header(mmproj))
    else:
        _check_model(text)


def _check_model(text: Header) -> None:
    if text.architecture == PROJECTOR:
        raise EngineStartFailed(
            "engine.model is a vision projector",
            "Set it as engine.mmproj; the two may be swapped.",
            reason="files_swapped",
        )


def _check_pair(text: Header, vision: Header) -> None:
    _check_model(text)
    if vision.architecture != PROJECTOR:
        kind = one_line(vision.architecture, 40)
        raise EngineStartFailed(
            f"engine.mmproj is a model and not a vision projector ({kind})",
            "Projectors are the files named mmproj-*.gguf.",
            reason="projector_unreadable",
        )
    kind = one_line(str(vision.metadata.get("clip.projector_type", "")), 40)
    names = {tensor.name for tensor in vision.tensors}
    if text.architecture in _NEED_IMAGE_POSITIONS and (
        kind == "internvl" or (kind == _GLM4V and _GATE not in names)
    ):
        raise EngineStartFailed(
            f"the projector is damaged: converted as {kind!r}, it lacks a matrix of the merger",
            "Convert it again with a llama.cpp of 2026: phonepilot models convert.",
            reason="projector_damaged",
        )
    sections = text.metadata.get(f"{text.architecture}.rope.dimension_sections")
    if text.architecture in _NEED_IMAGE_POSITIONS and not isinstance(sections, Array):
        raise EngineStartFailed(
            "the model was converted without image positions (rope.dimension_sections)",
            "Convert it again with a llama.cpp of 2026: phonepilot models convert.",
            reason="no_image_positions",
        )
    width, wanted = text.number("embedding_length"), vision.number("vision.projection_dim")
    if width and wanted and width != wanted:
        raise EngineStartFailed(
            f"engine.mmproj gives vectors of {wanted} numbers, engine.model takes {width}",
            "They belong to different models; take both from the same conversion.",
            reason="pair_mismatch",
        )
