"""Judges the result of the demo's task by the virtual phone's state alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from app.virtual_phone.apps.catalogue import APPS
from app.virtual_phone.apps.settings import SWITCHES

ON = re.compile(r"\b(on|enable|activate)\b", re.IGNORECASE)
OFF = re.compile(r"\b(off|disable|deactivate)\b", re.IGNORECASE)
ALSO_CALLED = {
    "flight mode": "airplane_mode",
    "aeroplane mode": "airplane_mode",
    "cellular data": "mobile_data",
    "dark mode": "dark_theme",
    "auto rotate": "auto_rotate",
    "auto rotation": "auto_rotate",
    "dnd": "do_not_disturb",
    "gps": "location",
    "power saving": "battery_saver",
    "wlan": "wifi",
    "wi fi": "wifi",
}

State = dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    right: bool
    reason: str


@dataclass(frozen=True)
class SwitchExpected:
    key: str
    title: str
    want: bool

    def judge(self, before: State, after: State) -> Verdict:
        wanted = {**before, "settings": {**before["settings"], self.key: self.want}}
        state = "on" if self.want else "off"
        if after["settings"][self.key] != self.want:
            return Verdict(False, f"{self.title} is not {state}")
        return _nothing_else(wanted, after, f"{self.title} is {state}")


@dataclass(frozen=True)
class AppExpected:
    package: str
    label: str

    def judge(self, before: State, after: State) -> Verdict:
        if after["ui"]["foreground"] != self.package:
            return Verdict(False, f"{self.label} is not in front")
        return _nothing_else(before, after, f"{self.label} is in front")


Expected = SwitchExpected | AppExpected


def expected(goal: str) -> Expected | None:
    """Return the state that the goal asks for; None if the judge does not understand it."""
    words = f" {re.sub(r'[^a-z0-9]+', ' ', goal.lower())} "
    switch = _switch(words)
    on, off = bool(ON.search(words)), bool(OFF.search(words))
    if switch and on != off:
        title = next(s.title for s in SWITCHES if s.key == switch)
        return SwitchExpected(switch, title, on)
    found = [a.badge for a in APPS.values() if f" {a.badge.label.lower()} " in words]
    return AppExpected(found[0].package, found[0].label) if len(found) == 1 else None


def _switch(words: str) -> str | None:
    names = {re.sub(r"[^a-z0-9]+", " ", s.title.lower()): s.key for s in SWITCHES}
    names |= {"wifi": "wifi", **ALSO_CALLED}
    found = {key for name, key in names.items() if f" {name} " in words}
    return found.pop() if len(found) == 1 else None


def _nothing_else(wanted: State, after: State, said: str) -> Verdict:
    changed = [part for part in wanted if part != "ui" and wanted[part] != after[part]]
    if changed:
        return Verdict(False, f"{said}, but something else changed: {', '.join(changed)}")
    return Verdict(True, f"{said}, and nothing else changed")
