"""The command `phonepilot prompts`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import Config, Json
from app.cli.show import Terminal, print_json, shown

prompts_app = typer.Typer(
    help="List, show and import system prompts.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
Name = Annotated[str, typer.Argument(help="As in the list, without the language.")]
Lang = Annotated[str, typer.Option(help="en or zh.")]


def _folder(config: list[str] | None) -> Path:
    from app.settings import load_settings

    return load_settings(config or []).prompts_dir


@prompts_app.command("list", epilog="Example: `phonepilot prompts list`")
def list_prompts(config: Config = None, json_: Json = False) -> None:
    """List the prompts of this program and the imported ones."""
    from app.agent.prompt import imported, shipped

    own = imported(_folder(config))
    rows = [{"prompt": name, "imported": name in own} for name in sorted({*shipped(), *own})]
    if json_:
        print_json({"prompts": rows})
        return
    for row in rows:
        origin = "imported" if row["imported"] else "ours"
        Terminal().say(f"{shown(str(row['prompt'])):<28}{origin}")


@prompts_app.command(epilog="Example: `phonepilot prompts show autoglm --lang zh`")
def show(name: Name, lang: Lang = "en", config: Config = None) -> None:
    """Print a prompt as the model gets it today."""
    from app.agent.prompt import load_prompt

    today = datetime.now().astimezone().date()
    typer.echo(load_prompt(name, lang, today, _folder(config)))


@prompts_app.command(
    "import",
    epilog="Examples: `phonepilot prompts import prompts_zh.py --name autoglm --lang zh`, "
    "`phonepilot prompts import mine.txt --name mine --lang en`",
)
def import_(
    file: Annotated[Path, typer.Argument(help="A text file, or the Python file that holds it.")],
    name: Annotated[str, typer.Option(help="autoglm to be used in place of ours.")] = "autoglm",
    lang: Lang = "zh",
    config: Config = None,
) -> None:
    """Import a prompt of your own, used byte for byte; `{date}` in it becomes the current date."""
    from app.agent.prompt import import_prompt

    folder = _folder(config)
    text = import_prompt(file, name, lang, folder)
    terminal = Terminal()
    terminal.say(
        f"Imported {shown(name)}.{lang}: {len(text)} characters, into {shown(str(folder))}"
    )
    if "{date}" not in text:
        terminal.say("It has no {date}; the model will not be told the day.")
    terminal.say(f"Used where profile.prompt is {shown(name)} and the language {lang}.")


@prompts_app.command(epilog="Example: `phonepilot prompts remove autoglm --lang zh`")
def remove(name: Name, lang: Lang = "zh", config: Config = None) -> None:
    """Remove an imported prompt; the program's own one of that name, if any, is used again."""
    from app.agent.prompt import remove_prompt

    remove_prompt(name, lang, _folder(config))
    Terminal().say(f"Forgot {shown(name)}.{shown(lang)}.")
