"""Does it fit? GPU memory for a model, by arithmetic on the shapes in its GGUF files; pure.

Weights and the KV cache are exact, but for types of tensors that are not known here. The compute
buffers are not: llama.cpp allocates them by its own graph, so they are scaled from what
llama-server logs for GLM-4.1V-9B (docs/measurements/memory.md). The first real screenshot takes
more than llama-server's own warm-up, which is why recipes that "start fine" run out of memory at
the first task; the plan counts the screenshot.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.errors import ConfigError
from app.llm.gguf import Header, Tensor
from app.llm.tensor_types import BY_NAME, TENSOR_TYPES, TensorType
from app.settings import ModelMemory

MIB = 1 << 20
CUDA_CONTEXT = 400 * MIB
"""What the driver and CUDA take for a process, before anything of ours."""
COMPUTE = 300 * MIB
"""The text model's compute buffer with flash attention and `UBATCH`; it grows with the batch: on
the CPU 136 MiB at 512 and 545 at 2048."""
UBATCH = 512
"""llama.cpp's physical batch when nothing else is set."""
IQ4_XS_SHARE = 0.9215
"""Of a Q4_K_S file without its embedding of tokens: 4745 of 5150 MiB for AutoGLM-Phone-9B, by dry
runs of llama-quantize."""
FIT_TARGET = 1024 * MIB
"""What llama-server's `--fit` leaves free of a device when nothing else is set (common.h)."""
TIGHT_FIT_TARGET = 256 * MIB
"""For a card that a plan fills: its figures already hold the screenshot, which `--fit` does not
know of, and what a desktop takes."""
VISION_BYTES = 166
"""Of the projector's compute buffer, for each image token and unit of its width: 515 MiB at 2116
tokens and 816 at 3354 with a width of 1536."""
MARGIN_SHARE = 0.09
"""Of the card: what a desktop and the allocator's fragments take."""
FRAGMENTS_SHARE = 0.02
"""Of the card: the fragments alone, where it is known what others take."""
CELL = 28
"""Pixels of a screenshot's side to an image token, in Glm4v."""
MOST_IMAGE_TOKENS = 4096
IMAGE_CAPS = (0, 2048, 1500, 1024)
"""0 leaves screenshots as they are; fewer tokens cost detail, not the place of things."""
CPU_BATCH = 256

_CACHE_BYTES = {kind.name.lower(): kind.nbytes / kind.block for kind in TENSOR_TYPES.values()}
_HALVES = ("f16", "bf16")
_EMBEDDING = "token_embd.weight"


@dataclass(frozen=True)
class Shapes:
    """What a model takes, in bytes.

    `weights_iq4_xs` is the size of the weights in a file of the type IQ4_XS, `projector_q8_0` the
    projector's size once it is quantised, `kv_values` the number of cached values for each token,
    `vision_width` the width of the projector's transformer; 0 without one. `unknown` are types of
    tensors that are not known here: these were counted by the room that they have in the file.
    """

    weights: int
    host_weights: int
    projector: int
    projector_q8_0: int
    projector_kind: str
    kv_values: int
    vision_width: int
    weights_iq4_xs: int
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choice:
    """Settings that cost memory, as in [engine]; `projector_kind` asks for another file, and
    `iq4_xs` for another one of the model."""

    cache_type: str
    image_max_tokens: int
    projector_kind: str
    mmproj_offload: bool = True
    iq4_xs: bool = False


@dataclass(frozen=True)
class Plan:
    """A choice with what it takes of the card, in bytes, by part; `free` is what others leave of
    it, None where that is not known."""

    choice: Choice
    parts: dict[str, int]
    vram: int
    image_tokens: int
    free: int | None = None

    @property
    def total(self) -> int:
        return sum(self.parts.values())

    @property
    def margin(self) -> int:
        return (self.vram if self.free is None else self.free) - self.total

    @property
    def fits(self) -> bool:
        return self.total <= self.usable

    @property
    def usable(self) -> int:
        return usable(self.vram, self.free)

    @property
    def fit_target(self) -> int:
        """`engine.fit_target` in MiB: llama-server would otherwise put layers on the CPU until its
        own target is left free, which a plan that fits does not need."""
        return 0 if self.usable - self.total >= FIT_TARGET else TIGHT_FIT_TARGET // MIB

    def settings(self) -> list[str]:
        """The choice as lines of a configuration's [engine]."""
        lines = [
            f'cache_type_k = "{self.choice.cache_type}"',
            f'cache_type_v = "{self.choice.cache_type}"',
            f"image_max_tokens = {self.choice.image_max_tokens}",
            f"mmproj_offload = {str(self.choice.mmproj_offload).lower()}",
        ]
        if self.fit_target:
            lines.append(f"fit_target = {self.fit_target}")
        # llama.cpp quantises V only with flash attention.
        return lines if self.choice.cache_type == "f16" else [*lines, 'flash_attention = "on"']


def usable(vram: int, free: int | None = None) -> int:
    """What a plan may take of so many bytes, of which `free` are left by other programs."""
    most = int(vram * (1 - MARGIN_SHARE))
    return most if free is None else max(0, min(most, free - int(vram * FRAGMENTS_SHARE)))


def shapes_of(model: Header, projector: Header | None) -> Shapes:
    """From the headers of the files; raises ConfigError for a file that is no text model."""
    layers, heads = model.number("block_count"), model.number("attention.head_count")
    if not layers or not heads:
        raise ConfigError(
            f"a file of the architecture {model.architecture!r} is not a text model",
            "engine.model and engine.mmproj may be swapped.",
        )
    each = model.number("embedding_length") // heads
    keys = model.number("attention.key_length", each)
    values = model.number("attention.value_length", each)
    kv_heads = model.number("attention.head_count_kv", heads)
    # The embedding of tokens stays in main memory: llama.cpp looks rows up there.
    on_host = sum(t.nbytes for t in model.tensors if t.name == _EMBEDDING)
    tensors = projector.tensors if projector else ()
    matrices = [t for t in tensors if len(t.shape) > 1]
    return Shapes(
        weights=sum(t.nbytes for t in model.tensors) - on_host,
        weights_iq4_xs=sum(map(_as_iq4_xs, (t for t in model.tensors if t.name != _EMBEDDING))),
        host_weights=on_host,
        projector=sum(t.nbytes for t in tensors),
        projector_q8_0=sum(map(_as_q8_0, tensors)),
        projector_kind=max(matrices, key=lambda t: t.count).kind.lower() if matrices else "",
        kv_values=layers * kv_heads * (keys + values),
        vision_width=projector.number("vision.embedding_length") if projector else 0,
        unknown=model.unknown_types + (projector.unknown_types if projector else ()),
    )


def catalogue_shapes(memory: ModelMemory) -> Shapes:
    """The shapes of a model that is known before any file of it is here: Q4_K_S, f16 projector."""
    return Shapes(
        weights=int(memory.weights * MIB),
        weights_iq4_xs=int(memory.weights * IQ4_XS_SHARE * MIB),
        host_weights=int(memory.host_weights * MIB),
        projector=int(memory.projector_f16 * MIB),
        projector_q8_0=int(memory.projector_q8_0 * MIB),
        projector_kind="f16",
        kv_values=memory.kv_values,
        vision_width=memory.vision_width,
    )


def _as_q8_0(tensor: Tensor) -> int:
    q8_0 = BY_NAME["Q8_0"]
    matrix = len(tensor.shape) == 2 and tensor.shape[0] % q8_0.block == 0
    return _size(tensor, q8_0) if matrix else tensor.nbytes


def _as_iq4_xs(tensor: Tensor) -> int:
    """As llama-quantize chooses (llama-quant.cpp of b11434): the output and V get more bits, and
    rows that are not whole blocks of 256 a type with blocks of 32. Within 2 % of its dry runs."""
    if len(tensor.shape) < 2 or tensor.kind == "F32":
        return tensor.nbytes
    names = {"output.weight": "Q6_K"}
    name = names.get(tensor.name, "Q5_K" if tensor.name.endswith("attn_v.weight") else "IQ4_XS")
    row = tensor.shape[0]
    kind = BY_NAME[name if row % BY_NAME[name].block == 0 else "IQ4_NL"]
    return min(tensor.nbytes, _size(tensor, kind)) if row % kind.block == 0 else tensor.nbytes


def _size(tensor: Tensor, kind: TensorType) -> int:
    return tensor.count // kind.block * kind.nbytes


def image_tokens(width: int, height: int, cap: int = 0) -> int:
    """Tokens of a screenshot of so many pixels, shrunk to at most `cap` (0 for llama.cpp's own
    limit) with its sides in proportion and in whole cells."""
    columns, rows = round(width / CELL), round(height / CELL)
    limit = cap or MOST_IMAGE_TOKENS
    if columns * rows <= limit:
        return columns * rows
    scale = (limit / (width / CELL * height / CELL)) ** 0.5
    return int(width * scale / CELL) * int(height * scale / CELL)


def cache_bytes(kind: str) -> float:
    """Bytes of a cached value, by a name as of `engine.cache_type_k`."""
    return _CACHE_BYTES[kind]


def screenshot_bytes(shapes: Shapes, screen: tuple[int, int], cap: int) -> int:
    """What the projector allocates for a screenshot of `screen` pixels of at most `cap` tokens."""
    if not shapes.vision_width:
        return 0
    return image_tokens(*screen, cap) * shapes.vision_width * VISION_BYTES


def compute_bytes(ubatch: int) -> int:
    """The text model's compute buffer for `engine.ubatch` tokens at once, 0 for llama.cpp's own."""
    return COMPUTE * (ubatch or UBATCH) // UBATCH


def plan(
    shapes: Shapes,
    choice: Choice,
    *,
    vram: int,
    context: int,
    screen: tuple[int, int],
    free: int | None = None,
    ubatch: int = 0,
) -> Plan:
    """What one choice takes; `ubatch` as in [engine]."""
    tokens = image_tokens(*screen, choice.image_max_tokens) if shapes.vision_width else 0
    projector = shapes.projector
    if choice.projector_kind == "q8_0" and shapes.projector_kind in _HALVES:
        projector = shapes.projector_q8_0
    parts = {
        "weights": shapes.weights_iq4_xs if choice.iq4_xs else shapes.weights,
        "projector": projector if choice.mmproj_offload else 0,
        "KV cache": int(shapes.kv_values * context * cache_bytes(choice.cache_type)),
        "screenshot": (
            screenshot_bytes(shapes, screen, choice.image_max_tokens)
            if choice.mmproj_offload
            else 0
        ),
        "compute": compute_bytes(ubatch),
        "CUDA": CUDA_CONTEXT,
    }
    return Plan(choice, parts, vram, tokens, free)


def choices(shapes: Shapes) -> Iterator[Choice]:
    """From the best to the one that costs the most quality or time: a quantised cache and
    projector cost little, smaller screenshots cost detail, a file of IQ4_XS has to be got and costs
    quality, a projector on the CPU seconds to minutes for each screenshot."""
    kinds = [shapes.projector_kind]
    if shapes.projector_kind in _HALVES:
        kinds.append("q8_0")
    for cap in IMAGE_CAPS if shapes.vision_width else (0,):
        for kind in kinds:
            for cache in ("f16", "q8_0"):
                yield Choice(cache, cap, kind)
    smaller = shapes.weights_iq4_xs < shapes.weights
    if smaller:
        for cap in IMAGE_CAPS[-2:] if shapes.vision_width else (0,):
            for cache in ("f16", "q8_0"):
                yield Choice(cache, cap, kinds[-1], iq4_xs=True)
    if shapes.vision_width:
        for cache in ("f16", "q8_0"):
            yield Choice(cache, IMAGE_CAPS[-1], kinds[0], mmproj_offload=False)
        if smaller:
            yield Choice("q8_0", IMAGE_CAPS[-1], kinds[0], mmproj_offload=False, iq4_xs=True)


def plans(
    shapes: Shapes,
    *,
    vram: int,
    context: int,
    screen: tuple[int, int],
    free: int | None = None,
    ubatch: int = 0,
) -> Sequence[Plan]:
    """All choices with what they take, best first."""
    return [
        plan(shapes, choice, vram=vram, context=context, screen=screen, free=free, ubatch=ubatch)
        for choice in choices(shapes)
    ]


def best(found: Sequence[Plan]) -> Plan:
    """The first plan that fits; raises ConfigError with the smallest one when none does."""
    for candidate in found:
        if candidate.fits:
            return candidate
    least = min(found, key=lambda candidate: candidate.total)
    hint = "Use a smaller quantisation or context, or leave layers on the CPU: engine.gpu_layers."
    if least.free is not None and least.total <= usable(least.vram):
        hint = (
            f"Other programs take {(least.vram - least.free) // MIB} MiB, among them an engine "
            f"that runs: end them, or plan for the card alone with --vram {least.vram // MIB}MiB."
        )
    raise ConfigError(
        f"nothing fits: the smallest plan takes {least.total // MIB} MiB of "
        f"{least.vram // MIB}, of which {least.usable // MIB} may be used",
        hint,
    )
