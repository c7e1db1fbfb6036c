"""The command `phonepilot models`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.check import CHECK_EXAMPLES, check
from app.cli.convert import CONVERT_EXAMPLES, QUANTISE_EXAMPLES, convert, quantise
from app.cli.options import Config, Json
from app.cli.progress import Bars
from app.cli.show import Terminal, print_json, shown
from app.errors import InputError

if TYPE_CHECKING:
    from app.llm.catalogue import Place
    from app.settings import Settings

models_app = typer.Typer(
    help="Find, pull, check and convert models.", no_args_is_help=True, rich_markup_mode="markdown"
)
models_app.command(epilog=CONVERT_EXAMPLES)(convert)
models_app.command(epilog=QUANTISE_EXAMPLES)(quantise)
models_app.command(epilog=CHECK_EXAMPLES)(check)
Name = Annotated[str, typer.Argument(help="As in `phonepilot models list`.")]
TEMPLATE_LINES = 6
_TEXT = 160


@dataclass(frozen=True)
class _Shelf:
    """The settings, with all model folders that they know."""

    settings: Settings

    def find(self, name: str) -> Place:
        from app.llm.catalogue import place
        from app.settings import load_models

        return place(load_models(self.settings.models), self.settings.models_dir, name)

    def all(self) -> list[Place]:
        from app.llm.catalogue import places
        from app.settings import load_models

        return places(load_models(self.settings.models), self.settings.models_dir)


def _shelf(config: list[str] | None) -> _Shelf:
    from app.settings import load_settings

    return _Shelf(load_settings(config or ()))


@models_app.command("list", epilog="Example: `phonepilot models list`")
def list_models(config: Config = None, json_: Json = False) -> None:
    """List the models that are known by name, and what is installed of them."""
    shelf = _shelf(config)
    rows = [_row(found) for found in shelf.all()]
    if json_:
        print_json({"folder": str(shelf.settings.models_dir), "models": rows})
        return
    terminal = Terminal()
    for row in rows:
        here = f"[green]{row['model']}[/], {row['mib']} MiB" if row["here"] else row["state"]
        if row.get("parts", 1) > 1:
            here += f" in {row['parts']} parts"
        terminal.say(f"[bold]{row['name']:<30}[/] {here}")
    terminal.say(f"[dim]in {shown(str(shelf.settings.models_dir))}[/]")


def _row(found: Place) -> dict[str, Any]:
    entry, pulled = found.entry, found.pulled
    row: dict[str, Any] = {
        "name": found.name,
        "title": entry.title if entry else found.name,
        "here": pulled is not None,
        "repository": entry.repository if entry else "",
        "checkpoint": entry.checkpoint if entry else "",
        "config": entry.config if entry else "",
    }
    if pulled is not None:
        return row | {
            "state": "here",
            "model": pulled.model.name,
            "mmproj": pulled.mmproj.name,
            "parts": 1 + len(pulled.parts),
            "bytes": pulled.size,
            "mib": pulled.size >> 20,
        }
    if found.is_shipped:
        assert found.model is not None
        files = [path for path in (found.model, found.mmproj) if path is not None]
        size = sum(path.stat().st_size for path in files)
        return row | {
            "here": True,
            "state": "comes with phonepilot",
            "model": found.model.name,
            "mmproj": found.mmproj.name if found.mmproj else "",
            "bytes": size,
            "mib": size >> 20,
        }
    if found.parts:
        return row | {"state": f"begun, {found.parts >> 20} MiB here; pull it again"}
    if row["repository"]:
        return row | {"state": f"can be pulled from {row['repository']}"}
    return row | {"state": f"to be converted from {row['checkpoint']}"}


@models_app.command(
    epilog="Examples: `phonepilot models show autoglm-phone-9b`, "
    "`phonepilot models show model-Q4_K_S.gguf --mmproj mmproj-f16.gguf`"
)
def show(
    model: Annotated[str, typer.Argument(help="A name, or the path of a GGUF file.")],
    mmproj: Annotated[
        Path | None, typer.Option(help="The projector to a model given by its path.")
    ] = None,
    config: Config = None,
    json_: Json = False,
) -> None:
    """Show what a model's files contain, whether they fit together, and their GPU memory."""
    from app.llm.describe import describe, pair_facts

    shelf = _shelf(config)
    file: Path | None = Path(model).expanduser()
    if not model.endswith(".gguf"):
        found = shelf.find(model)
        file, mmproj = found.model, mmproj or found.mmproj
        if file is None:
            _show_entry(found, json_)
            return
    assert file is not None
    facts = {"model": describe(file)}
    if mmproj is not None:
        facts["projector"] = describe(mmproj)
    if facts["model"]["architecture"] != "clip":
        facts["pair"] = pair_facts(file, mmproj, shelf.settings.engine.context)
    if json_:
        print_json(facts)
        return
    terminal = Terminal()
    for part, values in facts.items():
        terminal.say(f"[bold]{part}[/]")
        for key, value in values.items():
            _say_fact(terminal, key, value)


def _show_entry(found: Place, json_: bool) -> None:
    if json_:
        print_json(_row(found))
        return
    for key, value in _row(found).items():
        if value != "" and key != "here":
            _say_fact(Terminal(), key, value)


def _say_fact(terminal: Terminal, key: str, value: object) -> None:
    label = f"  [dim]{key.replace('_', ' '):<18}[/]"
    if isinstance(value, dict):
        value = ", ".join(f"{name} {number}" for name, number in value.items())
    if key == "unknown_types" and isinstance(value, list):
        value = f"{', '.join(map(str, value))}: not known here, counted by their room in the file"
    if key == "bytes" and isinstance(value, int):
        key, value = "size", f"{value} ({value / (1 << 20):.1f} MiB)"
    lines = str(value).splitlines() or [""]
    terminal.say(f"{label} {shown(lines[0][:_TEXT])}")
    for line in lines[1:TEMPLATE_LINES]:
        terminal.say(f"{'':>20} {shown(line[:_TEXT])}")
    if len(lines) > TEMPLATE_LINES:
        terminal.say(f"{'':>20} [dim]and {len(lines) - TEMPLATE_LINES} more lines[/]")


@models_app.command(
    epilog="Examples: `phonepilot models pull glm-4.6v-flash`, "
    "`phonepilot models pull glm-4.6v-flash --quant Q8_0`, "
    "`phonepilot models pull autoglm-phone-9b --repository OWNER/NAME-GGUF`"
)
def pull(
    name: Name,
    quant: Annotated[
        str | None, typer.Option(help="Such as Q4_K_S; default: the smallest good one.")
    ] = None,
    mmproj: Annotated[str | None, typer.Option(help="The projector: f16 or Q8_0.")] = None,
    repository: Annotated[
        str | None, typer.Option(help="OWNER/NAME on the hub in place of the catalogue's.")
    ] = None,
    config: Config = None,
    json_: Json = False,
) -> None:
    """Download a model and its projector; an interrupted download resumes where it stopped."""
    from app.llm.pull import pull as pull_pair
    from app.llm.pull import quantisation as kind_in_name

    found = _shelf(config).find(name)
    source = _repository(found, repository)
    if found.pulled is not None:  # a newer version of the same kinds, unless others are requested
        quant = quant or kind_in_name(found.pulled.model.name) or None
        mmproj = mmproj or kind_in_name(found.pulled.mmproj.name) or None
    with Bars() as bars:
        pulled = pull_pair(source, found.folder, bars.tell, quant=quant, projector=mmproj)
    if json_:
        print_json({"name": name, "folder": str(found.folder), **pulled.model_dump()})
        return
    terminal = Terminal()
    more = f", {len(pulled.parts)} more parts" if pulled.parts else ""
    terminal.say(f"{shown(pulled.model.name)}{more} and {shown(pulled.mmproj.name)} are here.")
    _say_use(terminal, found)


def _repository(found: Place, given: str | None) -> str:
    if given is not None:
        return given
    if found.is_shipped:
        raise InputError(
            f"{found.name} comes with phonepilot: there is nothing to pull",
            f"Run it: phonepilot serve -c {found.entry.config if found.entry else found.name}.",
        )
    if found.entry is not None and found.entry.repository:
        return found.entry.repository
    checkpoint = found.entry.checkpoint if found.entry else ""
    raise InputError(
        f"no repository with ready files is known for {found.name}",
        f"Convert the original, {checkpoint or 'its checkpoint'}: phonepilot models convert "
        f"--model-path FOLDER --name {found.name}. Or name one: --repository OWNER/NAME.",
    )


def _say_use(terminal: Terminal, found: Place) -> None:
    if found.entry is not None and found.entry.config:
        terminal.say(f"Run it: phonepilot serve -c {shown(found.entry.config)}")
    terminal.say(f'In a configuration of your own: engine.model = "model:{shown(found.name)}"')


@models_app.command(epilog="Example: `phonepilot models verify glm-4.6v-flash`")
def verify(name: Name, config: Config = None, json_: Json = False) -> None:
    """Compare the files with their checksums, and check that they are readable and fit together."""
    from app.llm.catalogue import verify as verify_files

    found = _shelf(config).find(name)
    with Bars() as bars:
        wrong = verify_files(found, bars.tell)
    looked_at = "headers and pair" if found.is_shipped else "checksums, headers and pair"
    if json_:
        print_json({"name": name, "right": not wrong, "problems": wrong})
    else:
        terminal = Terminal()
        for problem in wrong:
            terminal.say(f"[red]wrong[/]  {shown(problem)}")
        terminal.say(
            f"Pull it again: phonepilot models pull {shown(name)}"
            if wrong
            else f"[green]right[/]  {shown(name)}: {looked_at}"
        )
    raise typer.Exit(1 if wrong else 0)


@models_app.command(epilog="Example: `phonepilot models remove glm-4.6v-flash --yes`")
def remove(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: Config = None,
    json_: Json = False,
) -> None:
    """Delete the files of a model from the data folder."""
    from app.llm.catalogue import remove as remove_files

    found = _shelf(config).find(name)
    if not yes and found.folder.is_dir():
        typer.confirm(f"Delete {found.folder}?", abort=True, err=True)
    freed = remove_files(found)
    if json_:
        print_json({"name": name, "freed_bytes": freed})
    else:
        Terminal().say(f"{shown(name)} is gone; {freed >> 20} MiB are free again.")
