"""The phone's keys, under the names that models give them."""

from __future__ import annotations

from typing import get_args

from app.agent.actions import Action, Back, Home, Key, KeyName
from app.errors import ReplyUnparseable, UnknownAction

_KEYS: dict[str, KeyName] = {name: name for name in get_args(KeyName)} | {
    "menu": "recents",
    "recent": "recents",
    "app_switch": "recents",
    "backspace": "delete",
    "del": "delete",
    "return": "enter",
    "volumeup": "volume_up",
    "volumedown": "volume_down",
}


def button(name: object) -> Action:
    """Return the action for a key's name. Raises UnknownAction for a key that is not listed."""
    if not isinstance(name, str):
        raise ReplyUnparseable("the name of a key must be text")
    found = name.strip().casefold().replace(" ", "_").removeprefix("keycode_")
    if found == "back":
        return Back()
    if found == "home":
        return Home()
    if found not in _KEYS:
        keys = ", ".join(("back", "home", *get_args(KeyName)))
        raise UnknownAction(f"there is no key {name[:80]!r}", f"Keys are: {keys}.")
    return Key(key=_KEYS[found])
