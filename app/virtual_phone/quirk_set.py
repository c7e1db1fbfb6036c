"""The current quirks of one phone: set, cleared, watched and queried."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from app.errors import ConfigError
from app.virtual_phone.quirk_values import Drops, Quirk
from app.virtual_phone.quirks import QUIRKS

T = TypeVar("T")


def _read(name: str, text: str) -> tuple[str, Any]:
    quirk = QUIRKS.get(name)
    if quirk is None:
        raise ConfigError(f"unknown quirk {name!r}", f"Known quirks: {', '.join(QUIRKS)}.")
    shown = text or quirk.bare
    if shown is None:
        raise ConfigError(f"quirk {name} needs a value", f"Allowed: {quirk.values}.")
    try:
        return shown, quirk.read(shown)
    except ValueError:
        raise ConfigError(
            f"quirk {name} cannot be {shown!r}", f"Allowed: {quirk.values}."
        ) from None


class Quirks:
    """The current quirks of a phone."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[str, Any]] = {}
        self._watchers: dict[str, list[Callable[[], None]]] = defaultdict(list)

    def get(self, quirk: Quirk[T]) -> T | None:
        """Return the value, or None if the phone does not have the quirk."""
        found: T | None = self._values.get(quirk.name, ("", None))[1]
        return found

    def take(self, quirk: Quirk[Drops]) -> str | None:
        """Use up one drop and return its moment; None if none is due."""
        due = self.get(quirk)
        if due is None:
            return None
        if due.times == 1:
            del self._values[quirk.name]
        else:
            left = Drops(due.when, due.times - 1)
            self._values[quirk.name] = (str(left), left)
        return due.when

    def change(self, wishes: Mapping[str, str | None]) -> None:
        """Set quirks (text; "" for the default of the bare name) and clear them (None).

        Raises ConfigError, without changing anything, if one of them is invalid.
        """
        read = {name: _read(name, text) for name, text in wishes.items() if text is not None}
        for name in wishes.keys() - read.keys():
            if name not in QUIRKS:
                _read(name, "")  # raises
        for name in wishes:
            self._values.pop(name, None)
        self._values.update(read)
        for name in wishes:
            for watcher in self._watchers[name]:
                watcher()

    def add(self, option: str) -> None:
        """Set one by its command-line text, `NAME` or `NAME=VALUE`; raises ConfigError."""
        name, equals, text = option.partition("=")
        if equals and not text:
            raise ConfigError(f"quirk {name} has an empty value", "Write NAME or NAME=VALUE.")
        self.change({name: text})

    def watch(self, quirk: Quirk[Any], watcher: Callable[[], None]) -> None:
        """Call `watcher` whenever the quirk is set or cleared."""
        self._watchers[quirk.name].append(watcher)

    def texts(self) -> dict[str, str]:
        """Return name and text of each quirk, in the order set."""
        return {name: text for name, (text, _) in self._values.items()}
