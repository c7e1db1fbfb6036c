"""The guard's lists: the shipped ones, the operator's additions, and what is switched off."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from app.errors import ConfigError
from app.settings.files import configs_folder, read_toml
from app.settings.sections import GuardSettings, Section, Words

Lists = dict[Annotated[str, Field(pattern=r"^[a-z]{2,3}$")], Words]
"""Entries by language code."""
_PATTERNS = {"ask_in": "app", "look_in": "look", "free_in": "free"}
_ENTRIES = {"words": "word", "labels": "label", "fields": "field"}
"""The keys of the lists, and the kinds that the ids of their entries contain."""


class GuardCategory(Section):
    """One table of guard.toml; its comments explain the keys."""

    title: str = ""
    enter: bool = False
    ask_in: Words = ()
    look_in: Words = ()
    free_in: Words = ()
    words: Lists = {}
    labels: Lists = {}
    fields: Lists = {}


def load_guard(settings: GuardSettings) -> dict[str, GuardCategory]:
    """Return the shipped categories by name, with the operator's additions and without what is off.

    Raises `ConfigError`.
    """
    categories = _read(configs_folder() / "guard.toml")
    if settings.file is not None:
        for name, added in _read(settings.file).items():
            categories[name] = _joined(categories.get(name, GuardCategory()), added)
            if not categories[name].title:
                raise ConfigError(
                    f"{settings.file}: {name}: a category of your own needs a title",
                    f"Known categories: {', '.join(categories)}.",
                )
    return _without(categories, settings.off)


def _read(path: Path) -> dict[str, GuardCategory]:
    found = {}
    for name, table in read_toml(path).items():
        try:
            found[name] = GuardCategory.model_validate(table)
        except ValidationError as exc:
            first = exc.errors()[0]
            where = ".".join([name, *(str(part) for part in first["loc"])])
            raise ConfigError(
                f"{path}: {where}: {first['msg']}",
                f"A category has the keys {', '.join(GuardCategory.model_fields)}.",
            ) from exc
    return found


def _joined(base: GuardCategory, added: GuardCategory) -> GuardCategory:
    update: dict[str, object] = {
        key: (*getattr(base, key), *getattr(added, key)) for key in _PATTERNS
    }
    for key in _ENTRIES:
        ours, theirs = getattr(base, key), getattr(added, key)
        languages = dict.fromkeys((*ours, *theirs))
        update[key] = {each: (*ours.get(each, ()), *theirs.get(each, ())) for each in languages}
    update["title"] = added.title or base.title
    update["enter"] = added.enter or base.enter
    return base.model_copy(update=update)


def _without(categories: dict[str, GuardCategory], off: Words) -> dict[str, GuardCategory]:
    """Remove whole categories and single entries; raises ConfigError for an unknown id."""
    known = dict.fromkeys(categories)
    for name, category in categories.items():
        known |= dict.fromkeys(_ids(name, category))
    for each in off:
        if each not in known:
            close = difflib.get_close_matches(each, known, n=1)
            guess = f"Did you mean {close[0]!r}? " if close else ""
            raise ConfigError(
                f"guard.off: no such category or entry: {each!r}",
                f"{guess}Categories: {', '.join(categories)}. "
                "The id of an entry is that of its rule, such as pay:word:en:donate.",
            )
    left = set(off)
    return {
        name: _reduced(name, category, left)
        for name, category in categories.items()
        if name not in left
    }


def _ids(name: str, category: GuardCategory) -> list[str]:
    found = []
    for key, kind in _PATTERNS.items():
        found += [f"{name}:{kind}:{pattern}" for pattern in getattr(category, key)]
    for key, kind in _ENTRIES.items():
        for language, entries in getattr(category, key).items():
            found += [f"{name}:{kind}:{language}:{entry}" for entry in entries]
    return found


def _reduced(name: str, category: GuardCategory, off: set[str]) -> GuardCategory:
    update: dict[str, object] = {}
    for key, kind in _PATTERNS.items():
        kept = (each for each in getattr(category, key) if f"{name}:{kind}:{each}" not in off)
        update[key] = tuple(kept)
    for key, kind in _ENTRIES.items():
        update[key] = {
            language: tuple(e for e in entries if f"{name}:{kind}:{language}:{e}" not in off)
            for language, entries in getattr(category, key).items()
        }
    return category.model_copy(update=update)
