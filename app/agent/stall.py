"""Noticing that a task gets nowhere, which a model in a loop does not notice itself.

A model that decides by one screenshot at a time repeats what did nothing: the picture is the same,
so the answer is. Four signs are counted, each on the small fingerprints of the screens: the same
action on the same screen, two screens in turn, a screen that stays whatever is done, and a page
that is noted over and over.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from app.agent.actions import Action, CallApi, Interact, Note

SAME_ACTION = 3
"""The same action on the same screen so many times: the second may have met a slow phone."""
IN_TURN = 3
"""Rounds of two screens in turn, each with the action it had before."""
UNCHANGED = 8
"""Steps of any kind on a screen that stays; also how often in a row a page may be noted."""

_WINDOW = max(UNCHANGED, 2 * IN_TURN, SAME_ACTION)
_ELSEWHERE = (Note, CallApi, Interact)
"""What is not meant to change the screen."""


@dataclass(frozen=True)
class _Past:
    screen: bytes
    action: Action


class StallWatch:
    """Watches one task: `acted` after each action, `check` at the next look."""

    def __init__(self) -> None:
        self._past: deque[_Past] = deque(maxlen=_WINDOW)
        self._stuck: set[bytes] = set()
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
        sign = self._sign(screen)
        if sign:
            self._stuck = {past.screen for past in list(self._past)[-2:]}
            self._past.clear()
            self._aside.clear()
        elif self._past and all(past.screen != screen for past in self._past):
            # A screen that is new: it goes on. One of those it was stuck between is not.
            self._warned = self._warned and screen in self._stuck
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

    def _sign(self, screen: bytes) -> str:
        past = list(self._past)
        same = past[-SAME_ACTION:]
        if len(same) == SAME_ACTION and all(p == _Past(screen, same[0].action) for p in same):
            done = same[0].action.describe()
            return f"The last {SAME_ACTION} actions were the same and did nothing: {done}."
        rounds = past[-2 * IN_TURN :]
        if len(rounds) == 2 * IN_TURN and _alternates(rounds) and screen == rounds[0].screen:
            return f"The last {2 * IN_TURN} actions went to and fro between two screens."
        stays = past[-UNCHANGED:]
        if len(stays) == UNCHANGED and all(p.screen == screen for p in stays):
            return f"The screen has not changed for {UNCHANGED} actions."
        aside = list(self._aside)
        if len(aside) == UNCHANGED and all(p == _Past(screen, aside[0].action) for p in aside):
            return f"The last {UNCHANGED} actions were the same: {aside[0].action.describe()}."
        return ""


def _alternates(past: list[_Past]) -> bool:
    first, second = past[0], past[1]
    return first.screen != second.screen and all(
        p == (first, second)[number % 2] for number, p in enumerate(past)
    )
