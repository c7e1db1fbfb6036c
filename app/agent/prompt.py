"""System prompts: files beside this module, one per model family and language."""

from __future__ import annotations

from datetime import date
from importlib import resources

from app.errors import ConfigError

_WEEKDAYS_ZH = ("星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日")


def load_prompt(name: str, lang: str, today: date) -> str:
    """The prompt `name` in `lang`, with `{date}` filled in.

    Raises ConfigError when there is no such prompt in that language.
    """
    path = resources.files("app.agent") / "prompts" / f"{name}.{lang}.md"
    if not path.is_file():
        raise ConfigError(
            f"profile.prompt: there is no prompt {name!r} in language {lang!r}",
            "Prompts: " + ", ".join(sorted(available())) + ".",
        )
    text = path.read_text(encoding="utf-8").strip()
    return text.replace("{date}", _written(today, lang))


def available() -> list[str]:
    """All prompts, as `name.lang`."""
    folder = resources.files("app.agent") / "prompts"
    return [path.name.removesuffix(".md") for path in folder.iterdir() if path.name.endswith(".md")]


def _written(day: date, lang: str) -> str:
    if lang == "zh":
        return f"{day.year}年{day.month:02d}月{day.day:02d}日 {_WEEKDAYS_ZH[day.weekday()]}"
    return f"{day:%Y-%m-%d, %A}"
