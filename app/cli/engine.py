"""The command `phonepilot engine`: plans memory, and has the service use another model."""

from __future__ import annotations

import asyncio
import re
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.options import SERVICE_URL, Config, Json, Url, pixels, run_to_end
from app.cli.show import Terminal, print_json, shown
from app.errors import ConfigError, InputError

if TYPE_CHECKING:
    from app.llm.memory import Plan, Shapes
    from app.settings import Settings

engine_app = typer.Typer(
    help="Plan the engine's memory, and choose its model.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(g|gb|gib|m|mb|mib)?", re.IGNORECASE)


@engine_app.callback()
def engine() -> None:
    """Plan the engine's memory, and choose its model."""


@engine_app.command(
    epilog="Examples: `phonepilot engine use qwen3-vl-8b`, `phonepilot engine use demo --json`"
)
def use(
    name: Annotated[str, typer.Argument(help="As in `phonepilot models list`.")],
    url: Url = SERVICE_URL,
    json_: Json = False,
) -> None:
    """Have the running service use another installed model, until its next start.

    Running tasks end with the model that they began with, and so do paused ones; the others wait
    for the new one. Ctrl-C gives up while it waits.
    """
    terminal = Terminal()
    with nullcontext() if json_ else terminal.working(f"changing to {shown(name)}"):
        answer = run_to_end(_use(url, name))
    if json_:
        print_json(answer)
        return
    terminal.say(f"The engine is {shown(answer['state'])}, with {shown(answer['name'])}.")


async def _use(url: str, name: str) -> dict[str, Any]:
    from app.client import ServiceClient

    async with ServiceClient(url) as service:
        return await service.post("/engine/model", {"name": name}, patient=True)


@engine_app.command(
    epilog="Examples: `phonepilot engine plan --vram 8GiB`, "
    "`phonepilot engine plan -c mine.toml --screen 1440x3200`"
)
def plan(
    vram: Annotated[
        str | None,
        typer.Option(
            help="Memory of the card, as 8GiB or 8188MiB. Default: what of yours is free."
        ),
    ] = None,
    screen: Annotated[str, typer.Option(help="Pixels of the phone.")] = "1080x2400",
    config: Config = None,
    json_: Json = False,
) -> None:
    """Show what part of a model fits into a GPU's memory, and with which settings."""
    from app.llm.memory import best, plans
    from app.settings import load_settings

    settings = load_settings(config or ["autoglm-phone-9b"])
    name, shapes = _shapes(settings)
    card, size, free = ("a card", _bytes(vram), None) if vram else _card()
    context = settings.engine.context
    found = plans(
        shapes,
        vram=size,
        free=free,
        context=context,
        screen=pixels(screen),
        ubatch=settings.engine.ubatch,
    )
    try:
        chosen: Plan | None = best(found)
    except ConfigError:
        chosen = None
        if json_:
            raise
    if json_:
        assert chosen is not None
        print_json(
            {
                "model": name,
                "vram": size,
                "free": free,
                "context": context,
                "unknown_types": list(shapes.unknown),
                **_as_json(chosen),
            }
        )
        return
    terminal = Terminal()
    terminal.say(
        f"[bold]{shown(name)}[/] at {context} tokens of context, screenshots of {shown(screen)}, "
        f"on {shown(card)} with {_mib(size)} MiB"
    )
    _table(terminal, found, chosen)
    if chosen is None:
        best(found)  # raises, and says how much is missing
        return
    _explain(terminal, chosen, shapes)


def _shapes(settings: Settings) -> tuple[str, Shapes]:
    """Return the shapes from the configured files, or from the catalogue if there are none yet."""
    from app.llm.gguf import check_gguf, read_header
    from app.llm.memory import catalogue_shapes, shapes_of
    from app.llm.parts import first_part, read_model
    from app.settings import load_models

    engine = settings.engine
    if engine.model is not None:
        check_gguf(first_part(engine.model), "engine.model")
        projector = read_header(engine.mmproj) if engine.mmproj else None
        return engine.model.name, shapes_of(read_model(engine.model), projector)
    name = settings.agent.profile
    for entry in load_models(settings.models):
        if name in (entry.name, entry.config) and entry.memory is not None:
            return f"{entry.title} Q4_K_S", catalogue_shapes(entry.memory)
    raise ConfigError(
        f"no model file is configured, and the sizes of {name!r} are not in the catalogue",
        "Set engine.model and engine.mmproj, or use -c autoglm-phone-9b.",
    )


def _card() -> tuple[str, int, int]:
    """Return name, bytes and free bytes of the GPU with the most free memory; raises InputError."""
    from app.llm.gpu import find_gpus

    gpus = asyncio.run(find_gpus())
    if not gpus:
        raise InputError(
            "no NVIDIA GPU was found on this computer", "Give the memory of a card: --vram 8GiB."
        )
    gpu = max(gpus, key=lambda found: found.free)
    return f"{gpu.name} ({_mib(gpu.free)} MiB free now)", gpu.total, gpu.free


def _table(terminal: Terminal, found: Any, chosen: Plan | None) -> None:
    head = f"{'in MiB':<12}{'model':<8}{'projector':<12}{'KV cache':<10}{'image tokens':>12}"
    terminal.say(f"[bold]{head}{'together':>10}{'left':>8}[/]")
    for candidate in found:
        choice = candidate.choice
        where = choice.projector_kind if choice.mmproj_offload else "on the CPU"
        mark = "chosen" if candidate is chosen else "" if candidate.fits else "too much"
        terminal.say(
            f"{mark:<12}{'iq4_xs' if choice.iq4_xs else 'as is':<8}{where:<12}"
            f"{choice.cache_type:<10}{candidate.image_tokens:>12}"
            f"{_mib(candidate.total):>10}{_mib(candidate.margin):>8}"
        )


def _explain(terminal: Terminal, chosen: Plan, shapes: Shapes) -> None:
    parts = ", ".join(f"{name} {_mib(size)}" for name, size in chosen.parts.items() if size)
    terminal.say(
        f"\nTakes: {parts} (MiB). Compute buffers are scaled from measurements, not exact; "
        f"{_mib(chosen.total + chosen.margin - chosen.usable)} MiB have to be left over."
    )
    if shapes.unknown:
        terminal.say(
            f"Tensors of unknown types ({shown(', '.join(shapes.unknown))}) are counted by their "
            "room in the file."
        )
    terminal.say("\n[bold]\\[engine][/]")
    for line in chosen.settings():
        terminal.say(shown(line))
    if chosen.choice.projector_kind != shapes.projector_kind:
        terminal.say(
            "\nThe projector has to be quantised first: "
            "phonepilot models quantise mmproj-f16.gguf --to q8_0"
        )
    if chosen.choice.iq4_xs:
        terminal.say(
            "\nThe model has to be a file of the type IQ4_XS: phonepilot models pull NAME --quant "
            "iq4_xs, or models convert --quantize iq4_xs"
        )


def _as_json(chosen: Plan) -> dict[str, Any]:
    return {
        "parts": chosen.parts,
        "total": chosen.total,
        "image_tokens": chosen.image_tokens,
        "projector_kind": chosen.choice.projector_kind,
        "model_kind": "iq4_xs" if chosen.choice.iq4_xs else None,
        "settings": chosen.settings(),
    }


def _bytes(text: str) -> int:
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise InputError(f"{text!r} is not a size", "Write it as 8GiB or 8188MiB.")
    unit = (match[2] or "g").casefold()[0]
    return int(float(match[1]) * (1 << 30 if unit == "g" else 1 << 20))


def _mib(size: int) -> int:
    return size >> 20
