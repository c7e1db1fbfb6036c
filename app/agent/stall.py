"""Noticing that a task gets nowhere, which a model in a loop does not notice itself.

A model that decides by one screenshot at a time repeats what did nothing: the picture is the same,
so the answer is. The signs are counted on the small fingerprints of the screens: the same action on
the same screen, a round of two to six screens, a screen that stays whatever is done, and a page
that is noted over and over. A clock, an advert or a video changes a part of the picture and not
the situation; so a repeated action, and a round of actions, also count on screens that are alike.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from app.agent.actions import Action, Answer, CallApi, Interact, Note

SAME_ACTION = 3
"""The same action on the same screen this many times: the second may have met a slow phone."""
SAME_ACTION_ALIKE = 10
"""The same action on screens that are alike. More patience than above: what moves may be what the
action does, such as a number that is counted up."""
ROUNDS = {2: 3, 3: 3, 4: 3, 5: 2, 6: 2}
"""How often a round of this many screens, each with its action, has to be repeated. All of it is
noticed within twelve actions."""
UNCHANGED = 8
"""Steps of any kind on a screen that stays; also how often in a row a page may be noted."""
BANDS = 48
ALIKE = 0.4
"""The share of the horizontal bands of a picture that may differ between two screens that are
alike. A video in an upright window takes a third of them; a list that is scrolled changes most of
the bands, though few of its pixels."""

_WINDOW = max(UNCHANGED, SAME_ACTION_ALIKE, *(size * times for size, times in ROUNDS.items()))
_ELSEWHERE = (Note, CallApi, Interact, Answer)
"""What is not meant to change the screen."""


@dataclass(frozen=True)
class _Past:
    screen: bytes
    action: Action


def alike(one: bytes, other: bytes) -> bool:
    """Whether two fingerprints show the same situation, up to a part that moves."""
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
        """What is wrong, in a sentence for the model and the person; "" while all is well.

        Each sign is reported once, and again only when it has built up anew.
        """
        sign, involved = self._sign(screen)
        if sign:
            self._stuck = [past.screen for past in list(self._past)[-involved:]]
            self._past.clear()
            self._aside.clear()
        elif self._past and self._is_new(screen):
            # A screen that is new: it goes on. One of those it was stuck between is not.
            self._warned = self._warned and any(alike(stuck, screen) for stuck in self._stuck)
        return sign

    def warned(self) -> bool:
        """Whether this stall was reported before, with nothing new seen since; notes that it is."""
        before, self._warned = self._warned, True
        return before

    def forgive(self) -> None:
        """Start anew: a person looked at it and wants the task to go on."""
        self._past.clear()
        self._aside.clear()
        self._stuck.clear()
        self._warned = False

    def _is_new(self, screen: bytes) -> bool:
        return self._warned and all(past.screen != screen for past in self._past)

    def _sign(self, screen: bytes) -> tuple[str, int]:
        """(the sign or "", how many of the last screens it is about)."""
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
    """Whether these are whole rounds over the same screens, and the next one begins."""
    if len(past) < size * times or len({p.action for p in past[:size]}) == 1:
        return False  # the same action all along is the other sign's
    return (
        all(p.action == past[at % size].action for at, p in enumerate(past))
        and all(alike(p.screen, past[at % size].screen) for at, p in enumerate(past))
        and alike(past[0].screen, screen)
    )
