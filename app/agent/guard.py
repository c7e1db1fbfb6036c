"""What a task may do on the phone without asking, whatever the model says.

The model reads pages that others wrote, and is wrong now and then. So the rules stand outside it:
they see the action, the app in front and the reason that the model gives, and say whether the
action goes on, needs the person's consent, or is not allowed. They cannot see what a button says;
they know payments, installs, messages and debugging switches by the app and page in front and by
the model's own words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from app.agent.actions import Action, DoubleTap, LongPress, Swipe, Tap, TypeText

_TOUCHES = (Tap, DoubleTap, LongPress, TypeText)
_ALWAYS_THERE = ("android", "com.android.systemui")
"""Packages of the shade and of system dialogs, which no list of apps would name."""


@dataclass(frozen=True)
class Sensitive:
    """One kind of thing to be asked about: `apps` are patterns of package/activity, `words` what
    the model says when it is about to do it. `each_time` asks for every action, not once a task.
    """

    name: str
    apps: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    each_time: bool = False


@dataclass(frozen=True)
class Ruling:
    """`confirm` is the question for the person, `refuse` what the model is told; both empty when
    the action is free. `subject` is what an answer counts for: "" for this action alone."""

    confirm: str = ""
    refuse: str = ""
    subject: str = ""


FREE = Ruling()


@dataclass
class Guard:
    """The rules of one task. `allowed` are packages, none meaning all; `names` their names.

    What the person consented to once is remembered for this task only.
    """

    sensitive: Sequence[Sensitive] = ()
    allowed: Mapping[str, str] = field(default_factory=dict)
    _granted: set[str] = field(default_factory=set, init=False)

    def review(self, action: Action, package: str, activity: str, thought: str) -> Ruling:
        """The ruling on an action in the app in front; `review_launch` is for opening one.

        In an app that the task must not use only leaving it is free.
        """
        inside = not self.allowed or package in (*self.allowed, *_ALWAYS_THERE)
        if not inside and isinstance(action, (*_TOUCHES, Swipe)):
            return Ruling(refuse=self._not_allowed(package))
        if isinstance(action, Tap) and action.message:
            return Ruling(confirm=action.message)
        if not (isinstance(action, _TOUCHES) or _slides(action)):
            return FREE
        said = f"{thought}\n{action.text if isinstance(action, TypeText) else ''}"
        component = f"{package}/{activity}"
        for kind in self.sensitive:
            if kind.name in self._granted:
                continue
            if _matches(component, kind.apps):
                where = f"in {package}"
            elif word := _spoken(said, kind.words):
                where = f"as the model says {word!r}"
            else:
                continue
            question = f"This is about {kind.name}, {where}: {action.describe()}."
            return Ruling(confirm=question, subject="" if kind.each_time else kind.name)
        return FREE

    def review_launch(self, package: str) -> Ruling:
        """The ruling on opening an app, by the package that its name was resolved to."""
        if self.allowed and package not in self.allowed:
            return Ruling(refuse=self._not_allowed(package))
        return FREE

    def grant(self, ruling: Ruling) -> None:
        """The person said yes."""
        if ruling.subject:
            self._granted.add(ruling.subject)

    def _not_allowed(self, package: str) -> str:
        names = ", ".join(dict.fromkeys(self.allowed.values()))
        return f"The app {package} is not allowed in this task. Allowed: {names}. Leave it."


def _slides(action: Action) -> bool:
    """Whether it draws the finger across, as what is slid to pay or to unlock wants it; up and down
    only scrolls."""
    if not isinstance(action, Swipe):
        return False
    (x1, y1), (x2, y2) = action.start, action.end
    return abs(x2 - x1) > abs(y2 - y1)


def _matches(component: str, patterns: Iterable[str]) -> bool:
    name = component.casefold()
    return any(fnmatchcase(name, pattern.casefold()) for pattern in patterns)


def _spoken(text: str, words: Iterable[str]) -> str:
    """The first of `words` that stands in the text: whole words, or any place in Chinese."""
    for word in words:
        edge = r"\b" if word.isascii() else ""
        if re.search(f"{edge}{re.escape(word)}{edge}", text, re.IGNORECASE):
            return word
    return ""
