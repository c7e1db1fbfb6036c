"""System prompts: files next to this module; the person's own folder takes precedence.

A prompt is a text; `{date}` in it is replaced by the date of the request, and nothing else is
changed. AutoGLM-Phone was trained with a prompt by its makers, which is not part of this program: a
person who has it can import it, and it is used byte for byte.
"""

from __future__ import annotations

import ast
import re
from datetime import date
from importlib import resources
from pathlib import Path

from app.errors import ConfigError, InputError
from app.private import private_folder, write_private

LANGUAGES = ("en", "zh")
MAX_PROMPT = 100_000
"""Most bytes of a prompt; the longest known one has 10 kB."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_WEEKDAYS_ZH = ("星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日")


def load_prompt(name: str, lang: str, today: date, own: Path | None = None) -> str:
    """Return the prompt `name` in `lang`, with `{date}` filled in; the folder `own` is tried first.

    Raises ConfigError if there is no such prompt in that language.
    """
    text = read_prompt(name, lang, own)
    return text.replace("{date}", _written(today, lang))


def read_prompt(name: str, lang: str, own: Path | None = None) -> str:
    """Return the prompt as stored; raises ConfigError if there is none."""
    if not _NAME.fullmatch(name) or lang not in LANGUAGES:
        raise ConfigError(f"{name[:80]!r} in {lang[:10]!r} is not a prompt", f"{_hint(own)}")
    imported = own / f"{name}.{lang}.md" if own else None
    if imported is not None and imported.is_file():
        try:
            return imported.read_bytes().decode()
        except (OSError, UnicodeDecodeError) as exc:
            raise ConfigError(f"{imported} cannot be read: {exc}", "Import it again.") from exc
    path = resources.files("app.agent") / "prompts" / f"{name}.{lang}.md"
    if not path.is_file():
        raise ConfigError(f"profile.prompt: no prompt {name!r} in language {lang!r}", _hint(own))
    return path.read_text(encoding="utf-8").strip()


def shipped() -> list[str]:
    """List the prompts of this program, as `name.lang`."""
    folder = resources.files("app.agent") / "prompts"
    names = (path.name for path in folder.iterdir())
    return sorted(name.removesuffix(".md") for name in names if name.endswith(".md"))


def imported(own: Path) -> list[str]:
    """List the person's own prompts, as `name.lang`."""
    return sorted(path.name.removesuffix(".md") for path in own.glob("*.md"))


def import_prompt(source: Path, name: str, lang: str, own: Path) -> str:
    """Store a prompt as `name` in the folder `own` and return its text.

    `source` is a text file, or the Python file that assigns the prompt to a name with PROMPT in it,
    as AutoGLM's makers publish it; a date that it inserts becomes `{date}`. Raises InputError if it
    is not a prompt.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name[:80]!r} is not a valid prompt name", "Use small letters, digits, - and _."
        )
    if lang not in LANGUAGES:
        raise InputError(f"{lang[:10]!r} is not a language of prompts", "Use en or zh.")
    try:
        data = source.read_bytes()
        text = data.decode()
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(f"{source} cannot be read as text: {exc}") from exc
    if len(data) > MAX_PROMPT:
        raise InputError(f"{source} has {len(data)} bytes; a prompt has at most {MAX_PROMPT}")
    if source.suffix == ".py":
        text = _from_python(text, source)
    if not text.strip():
        raise InputError(f"{source} is empty")
    private_folder(own)
    partial = own / f".{name}.{lang}.part"
    write_private(partial, text.encode())
    partial.replace(own / f"{name}.{lang}.md")
    return text


def remove_prompt(name: str, lang: str, own: Path) -> None:
    """Delete an imported prompt. Raises InputError if it was not imported."""
    path = own / f"{name}.{lang}.md"
    if not _NAME.fullmatch(name) or lang not in LANGUAGES or not path.is_file():
        raise InputError(f"no prompt {name[:80]!r} in {lang[:10]!r} was imported", _hint(own))
    path.unlink()


def _from_python(code: str, source: Path) -> str:
    """Return what a Python file assigns to the first name with PROMPT, without running it."""
    try:
        module = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError) as exc:
        raise InputError(f"{source} is not valid Python: {exc}") from exc
    for node in module.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and "PROMPT" in target.id.upper()
            for target in node.targets
        ):
            return _text_of(node.value, source)
    raise InputError(
        f"{source} assigns no text to a name with PROMPT in it", "Save the prompt as a text file."
    )


def _text_of(node: ast.expr, source: Path) -> str:
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text_of(left, source) + _text_of(right, source)
        case ast.JoinedStr(values=values):
            return "".join(_text_of(value, source) for value in values)
        case ast.FormattedValue(value=value):
            return _text_of(value, source)
        case ast.Name(id=name) if "date" in name.lower() or "today" in name.lower():
            return "{date}"
    raise InputError(
        f"{source}:{node.lineno}: this part of the prompt is computed at run time",
        "Save the prompt as a text file, with {date} in place of the date.",
    )


def _hint(own: Path | None) -> str:
    return f"Prompts: {', '.join([*shipped(), *(imported(own) if own else [])])}."


def _written(day: date, lang: str) -> str:
    if lang == "zh":
        return f"{day.year}年{day.month:02d}月{day.day:02d}日 {_WEEKDAYS_ZH[day.weekday()]}"
    return f"{day:%Y-%m-%d, %A}"
