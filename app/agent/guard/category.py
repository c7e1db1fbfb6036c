"""One kind of action that needs consent, as configs/guard.toml describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

Lists = Mapping[str, tuple[str, ...]]
"""Words and phrases by language code."""


@dataclass(frozen=True, eq=False)
class Category:
    """One kind of action that needs consent.

    `name` is stable ("pay"), `title` is how a question calls it ("a payment"). `ask_in` are
    patterns of package/activity in which a touch asks unless its label is known and harmless;
    `look_in` are those in which labels are worth reading; `free_in` are those to which the category
    does not apply. `words` are said by the model or stand on a button, `labels` only stand on a
    button, `fields` name what is typed into. `enter` says that a typed line end may send in
    `look_in`.
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
    """The first of `patterns` that fits package/activity; "" when none does."""
    name = component.casefold()
    return next((each for each in patterns if fnmatchcase(name, each.casefold())), "")
