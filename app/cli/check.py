"""The command `phonepilot models check`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import Config, Json, run_to_end
from app.cli.show import Terminal, print_json, shown
from app.errors import InputError

CHECK_EXAMPLES = (
    "Examples: `phonepilot models check autoglm-phone-9b --checkpoint AutoGLM-Phone-9B "
    "--python venv/bin/python`, `phonepilot models check q8_0.gguf q4_k_s.gguf --mmproj "
    "mmproj-f16.gguf --checkpoint DIR`"
)
_WHOLE = ("F32", "F16", "BF16")


def check(
    models: Annotated[
        list[str], typer.Argument(help="A name as in the list, or GGUF files of one model.")
    ],
    checkpoint: Annotated[
        Path, typer.Option(help="Folder of the original, as transformers reads it.")
    ],
    mmproj: Annotated[
        Path | None, typer.Option(help="The projector to files; none for a blind model.")
    ] = None,
    python: Annotated[
        str | None, typer.Option(help="A Python with torch and transformers; default: this one.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, max=1000, help="Screens to ask about.")] = 5,
    tokens: Annotated[int, typer.Option(min=1, max=256, help="Tokens of a reply at most.")] = 4,
    half: Annotated[
        bool, typer.Option("--half", help="The checkpoint in 16 bits: half the memory, less exact.")
    ] = False,
    trust_code: Annotated[
        bool, typer.Option("--trust-code", help="Go on when the checkpoint brings Python code.")
    ] = False,
    config: Config = None,
    json_: Json = False,
) -> None:
    """Compare what an engine computes with the original: the cost of quantising, in numbers.

    Use `phonepilot bench taps` to measure where it taps.
    """
    from dataclasses import asdict

    from app.bench.fidelity import GOAL, measure
    from app.llm.checkpoint import read_checkpoint
    from app.llm.describe import quantisation
    from app.llm.gguf import check_gguf
    from app.llm.parts import first_part, read_model
    from app.settings import load_settings

    settings = load_settings(config or ())
    files, projector = _files(models, mmproj, config)
    files = [first_part(file) for file in files]
    for file in files:
        check_gguf(file, "engine.model")
    original = read_checkpoint(checkpoint, trust_code=trust_code)
    if original.sees != (projector is not None):
        raise InputError(
            "the checkpoint takes pictures and --mmproj is missing"
            if original.sees
            else "the checkpoint takes no pictures and a projector is given"
        )

    def tell(line: str) -> None:
        typer.echo(line, err=True)

    work = measure(
        settings,
        files,
        projector,
        original,
        python or sys.executable,
        count=count,
        tokens=tokens,
        half=half,
        progress=tell,
    )
    rows = run_to_end(work)
    kinds = [quantisation(read_model(file)) for file in files]
    wrong = [
        row.model
        for row, kind in zip(rows, kinds, strict=True)
        if kind in _WHOLE and not row.reaches_goal
    ]
    if json_:
        each = [{**asdict(row), "quantisation": k} for row, k in zip(rows, kinds, strict=True)]
        print_json({"checkpoint": str(original.folder), "goal": GOAL, "rows": each})
    else:
        terminal = Terminal()
        head = f"{'correlation':<14}{'first, worst':>14}{'median':>10}{'all, worst':>12}"
        terminal.say(f"[bold]{head}{'median':>10}{'same choice':>15}[/]")
        for row, kind in zip(rows, kinds, strict=True):
            terminal.say(
                f"{kind:<14}{row.first_worst:>14.5f}{row.first_median:>10.5f}{row.worst:>12.5f}"
                f"{row.median:>10.5f}{f'{row.same} of {row.tokens}':>15}"
            )
        for name in wrong:
            terminal.say(
                f"[red]wrong[/]  {shown(name)} has 16 bits or more and stays below {GOAL}: engine "
                "or conversion compute something else"
            )
    raise typer.Exit(1 if wrong else 0)


def _files(
    models: list[str], mmproj: Path | None, config: list[str] | None
) -> tuple[list[Path], Path | None]:
    """Return the files of a model name, or the given files."""
    from app.llm.catalogue import place
    from app.settings import load_models, load_settings

    if all(model.endswith(".gguf") for model in models):
        return [Path(model).expanduser() for model in models], mmproj
    if len(models) > 1:
        raise InputError("give a model name or GGUF files")
    settings = load_settings(config or ())
    found = place(load_models(settings.models), settings.models_dir, models[0])
    if found.model is None:
        raise InputError(
            f"{found.name} is not installed",
            f"Get it: {found.entry.command}." if found.entry else "See phonepilot models list.",
        )
    return [found.model], mmproj or found.mmproj
