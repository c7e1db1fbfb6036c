"""A kind of action that needs consent, as described in configs/guard.toml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

Lists = Mapping[str, tuple[str, ...]]
"""Words and phrases by language code."""


@dataclass(frozen=True, eq=False)
class Category:
    """A kind of action that needs consent.

    `name` is stable ("pay"); `title` is its name in a question ("a payment"). `ask_in` are patterns
    of package/activity in which a touch asks unless its label is known and harmless; `look_in` are
    patterns in which labels are worth reading; `free_in` are patterns that the category does not
    apply to. `words` are said by the model or are on a button, `labels` are only on a button,
    `fields` are names of input fields. `enter`: in `look_in`, a typed newline may send.
    """

    name: str
    title: str
    ask_in: tuple[str, ...] = ()
    look_in: tuple[str, ...] = ()
    free_in: tuple[str, ...] = ()
    words: Lists = field(default_factory=dict)
    labels: Lists = field(default_factory=dict)
    fields: Lists = field(default_factory=dict)
    enter: bool = False


def matching(component: str, patterns: tuple[str, ...]) -> str:
    """Return the first of `patterns` that matches package/activity; "" if none does."""
    name = component.casefold()
    return next((each for each in patterns if fnmatchcase(name, each.casefold())), "")
