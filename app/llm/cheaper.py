"""The settings that an engine is started with: those configured, or cheaper ones once GPU memory
ran out.

What is given up first costs the least: a cache in 8 bits, then detail of screenshots, a quarter of
the layers (on the CPU each token takes longer), half of a long context, the projector (on the CPU
each screenshot takes seconds to minutes), and then ever more layers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from app.errors import AppError
from app.llm.gguf import read_header
from app.llm.memory import (
    CUDA_CONTEXT,
    FRAGMENTS_SHARE,
    IMAGE_CAPS,
    MIB,
    Shapes,
    cache_bytes,
    compute_bytes,
    screenshot_bytes,
    shapes_of,
)
from app.llm.offload import Offload
from app.llm.parts import read_model
from app.settings import EngineSettings

MOST_LOADS = 3
"""Of a model in a row, the first one included: each takes seconds to minutes."""
LEAST_SAVED = 200 * MIB
"""A step that frees less is not worth a load."""
LEAST_CONTEXT = 8192
"""Tokens of a slot: a screenshot of 3,354, a reply of 3,000, and a conversation."""
SCREEN = (1080, 2400)
"""Pixels of the usual phone."""
_CACHE = "q8_0"
_LAYERS = (Fraction(3, 4), Fraction(1, 2), Fraction(1, 4))
"""Of those that were on the GPU."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Model:
    """What the files of a model say of its memory; `layers` counts the output as one."""

    shapes: Shapes
    layers: int

    @classmethod
    def of(cls, settings: EngineSettings) -> Model:
        """Read the headers of the configured files. Raises an `AppError`."""
        assert settings.model is not None
        text = read_model(settings.model)
        projector = read_header(settings.mmproj) if settings.mmproj else None
        return cls(shapes_of(text, projector), text.number("block_count") + 1)


def cost(model: Model, settings: EngineSettings, on_gpu: int) -> int:
    """Bytes that `settings` take of a GPU, with `on_gpu` layers on it unless they name a number."""
    shapes = model.shapes
    share = Fraction(min(_layers(settings, on_gpu), model.layers), model.layers)
    # Keys and values are of one size; some models have wider keys, which changes little.
    kinds = cache_bytes(settings.cache_type_k) + cache_bytes(settings.cache_type_v)
    cache = shapes.kv_values * settings.context * kinds / 2
    with_layers = int((shapes.weights + cache) * share)
    if not settings.mmproj_offload:
        return with_layers
    return (
        with_layers + shapes.projector + screenshot_bytes(shapes, SCREEN, settings.image_max_tokens)
    )


def cheaper(model: Model, settings: EngineSettings, on_gpu: int) -> Iterator[EngineSettings]:
    """Ever cheaper settings that need no other file, each `LEAST_SAVED` below the one before.

    `on_gpu` is the number of layers on the GPU now.
    """
    now = cost(model, settings, on_gpu)
    for changes in _steps(model, settings, on_gpu):
        less = settings.model_copy(update=changes)
        then = cost(model, less, on_gpu)
        if now - then >= LEAST_SAVED:
            settings, now = less, then
            yield less


def _steps(model: Model, settings: EngineSettings, on_gpu: int) -> Iterator[Mapping[str, object]]:
    yield {
        name: _CACHE
        for name in ("cache_type_k", "cache_type_v")
        if cache_bytes(getattr(settings, name)) > cache_bytes(_CACHE)
    } | {"flash_attention": "on"}  # without it llama.cpp quantises no values
    for cap in IMAGE_CAPS:
        if cap and not 0 < settings.image_max_tokens <= cap:
            least = min(settings.image_min_tokens, cap)
            yield {"image_max_tokens": cap, "image_min_tokens": least}
    layers = _layers(settings, on_gpu)
    yield {"gpu_layers": int(layers * _LAYERS[0])}
    if settings.context // 2 >= LEAST_CONTEXT * settings.parallel:
        yield {"context": settings.context // 2}
    if model.shapes.vision_width:
        yield {"mmproj_offload": False}
    for share in _LAYERS[1:]:
        yield {"gpu_layers": int(layers * share)}


def _layers(settings: EngineSettings, on_gpu: int) -> int:
    return on_gpu if isinstance(settings.gpu_layers, str) else min(settings.gpu_layers, on_gpu)


class CheaperSettings:
    """`settings` are those of the next start; `changes` says what is less in them, step by step."""

    def __init__(self, configured: EngineSettings) -> None:
        self._configured = configured
        self.settings = configured
        self.changes: tuple[str, ...] = ()

    def forget(self) -> None:
        """Go back to what is configured."""
        self.settings, self.changes = self._configured, ()

    def take_less(self, offload: Offload, *, last_load: bool = False) -> str:
        """Go on to cheaper settings after memory ran out; return what changed, "" when nothing can.

        Takes the first ones that fit into the memory that was free before, by what the engine has
        reported in `offload`. Where it has reported nothing, or nothing fits: the next ones, or the
        cheapest for the `last_load`.
        """
        less = self._less(offload, last_load=last_load)
        if less is None:
            return ""
        changed = ", ".join(
            f"{name} = {getattr(less, name)}"
            for name in type(less).model_fields
            if getattr(less, name) != getattr(self.settings, name)
        )
        self.settings = less
        self.changes = (*self.changes, changed)
        logger.warning("out of GPU memory; next with %s", changed)
        return changed

    def _less(self, offload: Offload, *, last_load: bool) -> EngineSettings | None:
        if self.settings.model is None:
            return None
        try:
            model = Model.of(self.settings)
        except AppError:
            return None  # files that cannot be read are the start's to complain about
        on_gpu = offload.layers.offloaded if offload.layers else model.layers
        steps = list(cheaper(model, self.settings, on_gpu))
        ubatch = self.settings.ubatch
        free = sum(device.free_mib for device in offload.devices) * MIB
        room = int(free * (1 - FRAGMENTS_SHARE)) - compute_bytes(ubatch) - CUDA_CONTEXT
        fitting = (step for step in steps if free and cost(model, step, on_gpu) <= room)
        others = steps[-1:] if last_load else steps[:1]
        return next(fitting, others[0] if others else None)
