"""The commands `phonepilot models convert` and `phonepilot models quantise`."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import Config, Json
from app.cli.progress import Bars
from app.cli.show import Terminal, print_json, shown
from app.errors import InputError

if TYPE_CHECKING:
    from app.llm.catalogue import Place
    from app.llm.checkpoint import Checkpoint
    from app.llm.family import Family

CONVERT_EXAMPLES = (
    "Examples: `phonepilot models convert --model-path AutoGLM-Phone-9B --name autoglm-phone-9b`, "
    "`phonepilot models convert --model-path AutoGLM-Phone-9B "
    "--output-path models/AutoGLM-Phone-9B-Q8_0.gguf --quantize q8_0 --mmproj q8_0`"
)
QUANTISE_EXAMPLES = (
    "Example: `phonepilot models quantise mmproj-AutoGLM-Phone-9B-f16.gguf --to q8_0`"
)
LlamaCpp = Annotated[
    Path | None,
    typer.Option(
        "--llama-cpp-path",
        "--llama_cpp_path",
        envvar="LLAMA_CPP_PATH",
        help="A checkout of llama.cpp; its llama-quantize is used where it was built.",
    ),
]
LlamaCppImage = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="In place of a checkout: the full Docker image, ghcr.io/ggml-org/llama.cpp:full.",
    ),
]


def convert(
    model_path: Annotated[
        Path,
        typer.Option("--model-path", "--model_path", help="Folder of the original checkpoint."),
    ],
    output_path: Annotated[
        Path | None,
        typer.Option("--output-path", "--output_path", help="The GGUF file to write."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="In place of --output-path: put it where `models pull` would."),
    ] = None,
    quantize: Annotated[
        str | None,
        typer.Option(
            help="q8_0, q6_k, q5_1, q5_k_m, q5_k_s, q5_0, q4_k_m, q4_k_s, q4_0, iq4_xs, q3_k_m, "
            "q2_k, f16, bf16. Default: q4_k_s."
        ),
    ] = None,
    mmproj: Annotated[
        str,
        typer.Option(help="The projector: f16, bf16, q8_0, or none for the text part alone."),
    ] = "f16",
    llama_cpp_path: LlamaCpp = None,
    llama_cpp_image: LlamaCppImage = None,
    python: Annotated[
        str | None, typer.Option(help="A Python with torch and transformers; default: this one.")
    ] = None,
    pre_tokenizer: Annotated[
        str, typer.Option(help="For a tokenizer that llama.cpp does not know: glm4, ...")
    ] = "",
    keep: Annotated[bool, typer.Option("--keep", help="Keep the 16-bit files.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show the sizes, and whether the disk has room.")
    ] = False,
    trust_code: Annotated[
        bool, typer.Option("--trust-code", help="Run Python code that the checkpoint brings.")
    ] = False,
    config: Config = None,
    json_: Json = False,
) -> None:
    """Convert a checkpoint to GGUF files: the model, quantised, and its projector."""
    from app.llm.catalogue import alone, measured, record
    from app.llm.checkpoint import read_checkpoint
    from app.llm.convert import convert as convert_files
    from app.llm.convert import find_converter
    from app.llm.family import family_of
    from app.llm.image import find_image
    from app.llm.quantise import find_quantizer
    from app.settings import PulledModel

    if (output_path is None) == (name is None):
        raise InputError("no destination: use --output-path or --name")
    checkpoint = read_checkpoint(model_path, trust_code=True)
    if (family := family_of(model_path)) is not None:
        _convert_family(family, checkpoint, output_path, quantize, json_)  # runs none of its code
        return
    quantize = quantize or "q4_k_s"
    checkpoint = read_checkpoint(model_path, trust_code=trust_code)
    if mmproj.lower() == "none":
        checkpoint, mmproj = checkpoint.blinded(), "f16"
    place = _place(name, config) if name is not None else None
    if place is not None:
        if not checkpoint.sees:
            raise InputError("the model would be blind", "Give --output-path instead.")
        output_path = place.folder / f"{place.name}-{quantize.upper()}.gguf"
    assert output_path is not None
    if dry_run:
        _foretell(checkpoint, output_path, quantize, mmproj, json_)
        return
    image = find_image(llama_cpp_image) if llama_cpp_image else None
    converter = find_converter(llama_cpp_path, python or sys.executable, pre_tokenizer, image)
    half = {"f16", "bf16"}
    needed = quantize.lower() not in half or (checkpoint.sees and mmproj.lower() not in half)
    quantizer = find_quantizer(llama_cpp_path, image) if needed else None
    with Bars() as bars, alone(place.folder) if place is not None else nullcontext():
        model, projector = convert_files(
            converter,
            quantizer,
            checkpoint,
            output_path,
            quantize,
            mmproj,
            bars.tell,
            keep=keep,
        )
        if place is not None:
            assert projector is not None
            pair = PulledModel(
                model=measured(model, bars.tell), mmproj=measured(projector, bars.tell)
            )
            record(place.folder, pair, keep=keep)
    files = [path for path in (model, projector) if path is not None]
    if json_:
        print_json({"files": [{"path": str(p), "bytes": p.stat().st_size} for p in files]})
        return
    terminal = Terminal()
    for path in files:
        terminal.say(f"{shown(str(path))}  {path.stat().st_size / (1 << 20):.1f} MiB")
    if place is not None:
        terminal.say(f'In a configuration: engine.model = "model:{shown(place.name)}"')


def _foretell(
    checkpoint: Checkpoint, output_path: Path, quantize: str, mmproj: str, json_: bool
) -> None:
    from dataclasses import asdict

    from app.llm.catalogue import free_space
    from app.llm.convert import foresee

    coming, free = foresee(checkpoint, quantize, mmproj), free_space(output_path.parent)
    if json_:
        print_json({**asdict(coming), "total": coming.total, "free": free})
        return
    terminal = Terminal()
    for what, size in (("model", coming.model), ("projector", coming.projector)):
        if size:
            terminal.say(f"{what:<12}about {size >> 20} MiB")
    if coming.half:
        terminal.say(f"{'meanwhile':<12}{coming.half >> 20} MiB of 16 bits, beside these")
    enough = "enough" if free > coming.total else "[red]too little[/]"
    terminal.say(f"{'free':<12}{free >> 20} MiB, {enough}")


def _convert_family(
    family: Family,
    checkpoint: Checkpoint,
    output_path: Path | None,
    quantize: str | None,
    json_: bool,
) -> None:
    """Write a family that llama.cpp does not convert, by its table of names, in 16 bits."""
    from app.llm.catalogue import need_space
    from app.llm.family import write_family
    from app.llm.pull import quantisation

    if output_path is None:
        raise InputError(f"{family.name} cannot be put where models pull would", "--output-path.")
    for kind in (quantize, quantisation(output_path.name)):
        if kind and kind.lower() not in ("f16", "bf16"):
            raise InputError(
                f"{family.name} is written in 16 bits and not as {kind}",
                "llama-quantize only handles what llama.cpp converts.",
            )
    output_path.parent.mkdir(parents=True, exist_ok=True)
    need_space(output_path.parent, checkpoint.size, output_path.name)
    with Bars() as bars:
        write_family(
            checkpoint.folder,
            output_path,
            family,
            lambda done, count: bars.tell(f"writing {output_path.name}", done, count),
        )
    size = output_path.stat().st_size
    if json_:
        runs = family.runs_in_llama_cpp
        print_json({"files": [{"path": str(output_path), "bytes": size}], "runs": runs})
        return
    terminal = Terminal()
    terminal.say(f"{shown(str(output_path))}  {size / (1 << 20):.1f} MiB")
    if not family.runs_in_llama_cpp:
        terminal.say(f"llama.cpp has no graph for {family.name}: no engine answers with this file.")


def quantise(
    file: Annotated[
        Path, typer.Argument(help="A GGUF file of 16 bits, or any part of a split one.")
    ],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="q8_0, q6_k, q5_1, q5_k_m, q5_k_s, q5_0, q4_k_m, q4_k_s, q4_0, iq4_xs, q3_k_m, "
            "q2_k; q8_0 for projectors.",
        ),
    ],
    output_path: Annotated[
        Path | None, typer.Option(help="Default: beside it, with the quantisation in its name.")
    ] = None,
    llama_cpp_path: LlamaCpp = None,
    llama_cpp_image: LlamaCppImage = None,
    json_: Json = False,
) -> None:
    """Quantise a 16-bit file to a smaller one."""
    from app.llm.image import find_image
    from app.llm.parts import part_name
    from app.llm.quantise import find_quantizer, known_type
    from app.llm.quantise import quantise as quantise_file

    kind, part = known_type(to), part_name(file.name)
    stem = part.stem if part else file.stem
    target = output_path or file.with_name(f"{_bare(stem)}-{kind}.gguf")
    if target.exists():
        raise InputError(f"{target} already exists", "Choose another file with --output-path.")
    image = find_image(llama_cpp_image) if llama_cpp_image else None
    quantizer = find_quantizer(llama_cpp_path, image)
    with Bars() as bars:
        quantise_file(quantizer, file, target, kind, bars.tell)
    size = target.stat().st_size
    if json_:
        print_json({"file": str(target), "bytes": size})
    else:
        Terminal().say(f"{shown(str(target))}  {size / (1 << 20):.1f} MiB")


def _bare(stem: str) -> str:
    head, _, last = stem.rpartition("-")
    return head if head and last.lower() in ("f16", "bf16", "f32") else stem


def _place(name: str, config: list[str] | None) -> Place:
    from app.llm.catalogue import place
    from app.settings import load_models, load_settings

    settings = load_settings(config or ())
    return place(load_models(settings.models), settings.models_dir, name)
