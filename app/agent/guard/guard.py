"""The rules of one task: which actions are free, which need consent, which are refused.

The model reads pages that others wrote, and is wrong now and then. So the rules stand outside it:
they see the action, the app and page in front, the label under the finger and the reason that the
model gives.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from app.agent.actions import Action, DoubleTap, LongPress, Swipe, Tap, TypeText
from app.agent.guard.category import Category, matching
from app.agent.guard.scene import FREE, Ruling, Scene

_TOUCHES = (Tap, DoubleTap, LongPress, TypeText)
_SHADE = "com.android.systemui"
_ALWAYS_THERE = ("android", _SHADE)
"""Packages of the shade and of system dialogs, which no list of apps would name."""


class Guard:
    """The rules of one task. `allowed` maps the packages that the task may use to their names; an
    empty mapping allows all."""

    def __init__(
        self, categories: Iterable[Category] = (), allowed: Mapping[str, str] | None = None
    ) -> None:
        self._categories: Sequence[Category] = tuple(categories)
        self.allowed = dict(allowed or {})
        self._granted: set[tuple[str, str, str]] = set()

    @property
    def has_rules(self) -> bool:
        """Whether anything can be asked about or refused, the model's own questions excluded."""
        return bool(self._categories or self.allowed)

    def review(self, action: Action, scene: Scene, thought: str) -> Ruling:
        """The ruling on an action on this screen; `review_launch` is for opening an app.

        In an app that the task must not use only leaving it is free. Where no rule speaks and the
        model asks by itself, the category of the ruling is "model".
        """
        if refusal := self._refusal(action, scene.package):
            return Ruling(refuse=refusal)
        if isinstance(action, (*_TOUCHES, Swipe)):
            for category in self._categories:
                ruling = self._judge(category, action, scene, thought)
                granted = (ruling.category, scene.package, scene.activity) in self._granted
                if ruling.confirm and not granted:
                    return ruling
        if isinstance(action, Tap) and action.message:
            where = scene.app or scene.package
            place = f" in {where}" if where else ""
            return Ruling(confirm=f"{action.describe()}{place}?", category="model")
        return FREE

    def review_launch(self, package: str) -> Ruling:
        """The ruling on opening an app, by the package that its name was resolved to."""
        if self.allowed and package not in self.allowed:
            return Ruling(refuse=self._not_allowed(package))
        return FREE

    def wants_labels(self, package: str, activity: str) -> bool:
        """Whether the app or page is sensitive enough to read its labels, which takes a second."""
        component = f"{package}/{activity}"
        return any(matching(component, (*c.ask_in, *c.look_in)) for c in self._categories)

    def grant(self, ruling: Ruling, scene: Scene) -> None:
        """The person said yes; what may be remembered holds for this app and page."""
        if ruling.remembered:
            self._granted.add((ruling.category, scene.package, scene.activity))

    def _refusal(self, action: Action, package: str) -> str:
        if not self.allowed or not isinstance(action, (*_TOUCHES, Swipe)):
            return ""
        if package not in (*self.allowed, *_ALWAYS_THERE):
            return self._not_allowed(package)
        if package == _SHADE and package not in self.allowed and isinstance(action, TypeText):
            return "Typing into the notification shade is not allowed in this task. Close it."
        return ""

    def _judge(self, category: Category, action: Action, scene: Scene, thought: str) -> Ruling:
        if isinstance(action, Swipe) and not _slides(action):
            return FREE
        component = f"{scene.package}/{scene.activity}"
        if matching(component, category.free_in):
            return FREE
        if pattern := matching(component, category.ask_in):
            rule, why = f"{category.name}:app:{pattern}", ""
        elif word := _spoken(thought, category):
            rule, why = f"{category.name}:word:{word}", f", by the word {word.partition(':')[2]!r}"
        else:
            return FREE
        where = scene.app or scene.package
        question = f"This is about {category.title}{why}: {action.describe()} in {where}."
        return Ruling(question, "", category.name, rule, category.remember)

    def _not_allowed(self, package: str) -> str:
        names = ", ".join(dict.fromkeys(self.allowed.values()))
        return f"The app {package} is not allowed in this task. Allowed: {names}. Leave it."


def _slides(action: Swipe) -> bool:
    (x1, y1), (x2, y2) = action.start, action.end
    return abs(x2 - x1) > abs(y2 - y1)


def _spoken(text: str, category: Category) -> str:
    for language, words in category.words.items():
        for word in words:
            edge = r"\b" if word.isascii() else ""
            if re.search(f"{edge}{re.escape(word)}{edge}", text, re.IGNORECASE):
                return f"{language}:{word}"
    return ""
