"""Places on a screen that a model can be asked to tap, with the right answer from the widget tree.

The screens are those of the virtual phone, drawn in this process: neither adb nor a phone's speed
affects where a model taps.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

from app.adb.screen import Frame
from app.virtual_phone.apps.settings import SWITCHES
from app.virtual_phone.phone import Phone
from app.virtual_phone.toolkit.scene import Scene, Spot

Kind = Literal["icon", "switch", "row", "button"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_OF_SPOT: dict[str, Kind] = {"icon": "icon", "switch": "switch", "link": "row", "button": "button"}
_SIGNS = frozenset(
    {"Navigate up", "New note", "Delete", "Save", "Pause", "Play", "Previous", "Next", "⌫"}
)
"""Buttons of the virtual phone that show an icon instead of their name."""
_SWITCH_FROM_RIGHT = 126
"""Pixels from the right edge of a row to the centre of its switch (toolkit.rows.SwitchRow)."""
_TAUGHT_KINDS: tuple[Kind, ...] = ("icon", "switch")
_TAUGHT = frozenset(switch.title for switch in SWITCHES)


@dataclass(frozen=True)
class Target:
    """A place to tap. `box` is (left, top, right, bottom) in pixels, right and bottom exclusive: a
    tap inside is a hit. `middle` is the ideal place; its x is None for a row, which is as wide as
    the screen and may be tapped anywhere."""

    kind: Kind
    label: str
    value: str
    box: tuple[int, int, int, int]
    middle: tuple[int | None, int]

    def holds(self, x: int, y: int) -> bool:
        left, top, right, bottom = self.box
        return left <= x < right and top <= y < bottom


@dataclass(frozen=True)
class Shown:
    """A target on the screen of the phone with `seed`, which has `app` in front."""

    seed: int
    app: str
    frame: Frame
    target: Target

    def goal(self, prompt: str) -> str:
        """Return the request to the model, as the sentence of a task. The demo's model was trained
        on its own goals, not on orders to tap."""
        label, value = self.target.label, self.target.value
        if prompt == "demo":
            if self.target.kind == "icon":
                return f"Open {label}"
            return f"Turn {'off' if value == 'on' else 'on'} {label}"
        if self.target.kind == "switch":
            return f'Tap the switch of "{label}"'
        return f'Tap "{label}"'


def targets(count: int, first_seed: int, prompt: str) -> Iterator[Shown]:
    """Yield `count` targets, each on another phone's screen; deterministic.

    The kinds are about equally frequent: screens with only common ones are skipped.
    """
    phone, seed = Phone(0), first_seed
    chosen: Counter[Kind] = Counter()
    kinds = _TAUGHT_KINDS if prompt == "demo" else KINDS
    most = -(-count // len(kinds))
    while chosen.total() < count:
        phone.reset(seed, scatter=True)
        choose = random.Random(f"taps {seed}")
        found = [
            target
            for target in _on(phone.scene())
            if chosen[target.kind] < most and (prompt != "demo" or _taught(target))
        ]
        if found:
            rarest = min((target.kind for target in found), key=lambda kind: chosen[kind])
            target = choose.choice([target for target in found if target.kind == rarest])
            chosen[rarest] += 1
            image = phone.frame()
            frame = Frame(image.width, image.height, datetime.now(UTC), image)
            yield Shown(seed, phone.foreground.label, frame, target)
        seed += 1


def _taught(target: Target) -> bool:
    """Whether the demo model was trained on it: opening apps, and the switches of Settings."""
    return target.kind == "icon" or (target.kind == "switch" and target.label in _TAUGHT)


def _on(scene: Scene) -> list[Target]:
    """Return all possible targets on a screen: with a unique text, wholly visible, uncovered."""
    names = Counter(spot.name for spot in scene.spots)
    return [
        _target(spot)
        for spot in scene.spots
        if spot.kind in _OF_SPOT
        and spot.name not in _SIGNS
        and any(character.isalnum() for character in spot.name)
        and names[spot.name] == 1
        and _wholly(spot, scene)
    ]


def _wholly(spot: Spot, scene: Scene) -> bool:
    rect = spot.rect
    view = scene.scrollable if scene.scroll_range else None
    if view is not None and (rect.top <= view.top or rect.bottom >= view.bottom):
        return False
    target = _target(spot)
    x, y = target.middle
    uncovered = scene.at(rect.center[0] if x is None else x, y)
    return uncovered[0] is spot


def _target(spot: Spot) -> Target:
    rect = spot.rect
    kind = _OF_SPOT[spot.kind]
    x: int | None = rect.center[0]
    if kind == "switch":
        x = rect.right - _SWITCH_FROM_RIGHT
    elif kind == "row":
        x = None
    box = (rect.left, rect.top, rect.right, rect.bottom)
    return Target(kind, spot.name, spot.value, box, (x, rect.center[1]))
