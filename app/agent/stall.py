"""Notices that a task is stuck, which a model in a loop does not notice itself.

A model that decides from one screenshot at a time repeats an action without effect: the same
picture gives the same answer. The signs are counted on the small fingerprints of the screens: the
same action on the same screen, a cycle of two to six screens, a screen that never changes, and a
page that is noted again and again. A clock, an advert or a video changes part of the picture but
not the situation; so a repeated action, and a cycle of actions, also count on screens that are
alike.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from app.agent.actions import Action, Answer, CallApi, Interact, Note

SAME_ACTION = 3
"""Repetitions of an action on the same screen: the second may have met a slow phone."""
SAME_ACTION_ALIKE = 10
"""Repetitions of an action on screens that are alike. More than above, because the moving part may
be the effect of the action, such as a counter going up."""
ROUNDS = {2: 3, 3: 3, 4: 3, 5: 2, 6: 2}
"""How often a cycle of this many screens, each with its action, has to repeat. Every cycle is
noticed within twelve actions."""
UNCHANGED = 8
"""Steps of any kind on an unchanged screen; also how often in a row a page may be noted."""
BANDS = 48
ALIKE = 0.4
"""The share of a picture's horizontal bands that may differ between screens that are alike. A video
in an upright window takes a third of the bands; scrolling a list changes most of them, although few
of its pixels."""

_WINDOW = max(UNCHANGED, SAME_ACTION_ALIKE, *(size * times for size, times in ROUNDS.items()))
_ELSEWHERE = (Note, CallApi, Interact, Answer)
"""Actions that are not meant to change the screen."""


@dataclass(frozen=True)
class _Past:
    screen: bytes
    action: Action


def alike(one: bytes, other: bytes) -> bool:
    """Whether two fingerprints show the same situation, except for a moving part."""
    if one == other:
        return True
    if len(one) != len(other):
        return False
    band = -(-len(one) // BANDS)
    starts = range(0, len(one), band)
    changed = sum(one[at : at + band] != other[at : at + band] for at in starts)
    return changed <= len(starts) * ALIKE


class StallWatch:
    """Watches one task: `acted` after each action, `check` at the next look."""

    def __init__(self) -> None:
        self._past: deque[_Past] = deque(maxlen=_WINDOW)
        self._stuck: list[bytes] = []
        self._warned = False
        self._aside: deque[_Past] = deque(maxlen=UNCHANGED)

    def acted(self, screen: bytes, action: Action) -> None:
        """`action` was carried out on the screen with this fingerprint."""
        if isinstance(action, _ELSEWHERE):
            self._aside.append(_Past(screen, action))
        else:
            self._past.append(_Past(screen, action))
            self._aside.clear()

    def check(self, screen: bytes) -> str:
        """Return what is wrong, in a sentence for the model and the person; "" if all is well.

        Each sign is reported once, and again only after it has built up anew.
        """
        sign, involved = self._sign(screen)
        if sign:
            self._stuck = [past.screen for past in list(self._past)[-involved:]]
            self._past.clear()
            self._aside.clear()
        elif self._past and self._is_new(screen):
            # A new screen is progress, unless it is one of those that the task was stuck between.
            self._warned = self._warned and any(alike(stuck, screen) for stuck in self._stuck)
        return sign

    def warned(self) -> bool:
        """Whether this stall was already reported, with nothing new since; marks it as reported."""
        before, self._warned = self._warned, True
        return before

    def forgive(self) -> None:
        """Start over: a person has looked and wants the task to continue."""
        self._past.clear()
        self._aside.clear()
        self._stuck.clear()
        self._warned = False

    def _is_new(self, screen: bytes) -> bool:
        return self._warned and all(past.screen != screen for past in self._past)

    def _sign(self, screen: bytes) -> tuple[str, int]:
        """Return (the sign or "", the number of last screens that it concerns)."""
        past = list(self._past)
        if sign := _same_action(past, screen):
            return sign, 1
        for size, times in ROUNDS.items():
            if _goes_round(past[-size * times :], size, times, screen):
                return _round(size, size * times), size
        stays = past[-UNCHANGED:]
        if len(stays) == UNCHANGED and all(p.screen == screen for p in stays):
            return f"The screen has not changed for {UNCHANGED} actions.", 1
        aside = list(self._aside)
        if len(aside) == UNCHANGED and all(p == _Past(screen, aside[0].action) for p in aside):
            return f"The last {UNCHANGED} actions were the same: {aside[0].action.describe()}.", 1
        return "", 0


def _same_action(past: list[_Past], screen: bytes) -> str:
    if not past:
        return ""
    last = past[-1].action
    same = past[-SAME_ACTION:]
    if len(same) == SAME_ACTION and all(p == _Past(screen, last) for p in same):
        return f"The last {SAME_ACTION} actions were the same and did nothing: {last.describe()}."
    same = past[-SAME_ACTION_ALIKE:]
    if (
        len(same) == SAME_ACTION_ALIKE
        and all(p.action == last for p in same)
        and all(alike(p.screen, screen) for p in same)
    ):
        done = last.describe()
        return f"The last {SAME_ACTION_ALIKE} actions were the same and changed little: {done}."
    return ""


def _round(size: int, count: int) -> str:
    if size == 2:
        return f"The last {count} actions went to and fro between two screens."
    return f"The last {count} actions went round the same {size} screens."


def _goes_round(past: list[_Past], size: int, times: int, screen: bytes) -> bool:
    """Whether these are whole cycles over the same screens, and the next one begins."""
    if len(past) < size * times or len({p.action for p in past[:size]}) == 1:
        return False  # the same action throughout is another sign
    return (
        all(p.action == past[at % size].action for at, p in enumerate(past))
        and all(alike(p.screen, past[at % size].screen) for at, p in enumerate(past))
        and alike(past[0].screen, screen)
    )
