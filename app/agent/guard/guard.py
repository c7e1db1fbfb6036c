"""The rules of one task: which actions are free, which need consent, which are refused.

The model reads pages that others wrote, and it is sometimes wrong. So the rules are independent of
it: they see the action, the app and page in front, the label under the finger if the phone reports
it, and the reason that the model gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from app.agent.actions import Action, DoubleTap, Drag, Key, LongPress, Swipe, Tap, TypeText
from app.agent.guard.category import Category
from app.agent.guard.rules import Finding, compiled, sensitive
from app.agent.guard.scene import FREE, Ruling, Scene
from app.visible import one_line

_TOUCHES = (Tap, DoubleTap, LongPress, TypeText, Swipe, Drag, Key)
_LEAVING = ("recents", "volume_up", "volume_down")
"""Keys that do nothing in the app in front."""
_HARDWARE = ("power", "camera")
"""Keys that need consent everywhere."""
_SHADE = "com.android.systemui"
_ALWAYS_THERE = ("android", _SHADE)
"""Packages of the notification shade and of system dialogs, which no list of apps would name."""
_MAX_ACTION, _MAX_NAME, _MAX_LABEL = 120, 60, 80
"""Limits in characters on parts of a question that the phone or the model chose."""


class Guard:
    """The rules of one task. `allowed` maps the packages that the task may use to their names; an
    empty mapping allows all packages."""

    def __init__(
        self, categories: Iterable[Category] = (), allowed: Mapping[str, str] | None = None
    ) -> None:
        self._categories = tuple(categories)
        self.allowed = dict(allowed or {})

    @property
    def has_rules(self) -> bool:
        """Whether any rule can ask or refuse; the model's own questions do not count."""
        return bool(self._categories or self.allowed)

    def review(self, action: Action, scene: Scene, thought: str) -> Ruling:
        """Return the ruling on an action on this screen; `review_launch` is for opening an app.

        In an app that the task must not use, only leaving it is free. If no rule applies and the
        model itself asks, the category of the ruling is "model".
        """
        if refusal := self._refusal(action, scene.package):
            return Ruling(refuse=refusal)
        if self._categories and isinstance(action, _TOUCHES):
            finding = compiled(self._categories).finding(action, scene, thought)
            if finding is not None:
                return _ruling(finding, action, scene)
            if isinstance(action, Key) and action.key in _HARDWARE:
                asked = f"{_what(action, scene)}?"
                return Ruling(confirm=asked, category="key", rule=f"key:{action.key}")
        if isinstance(action, Tap) and action.message:
            return Ruling(confirm=f"{_what(action, scene)}?", category="model")
        return FREE

    def review_launch(self, package: str) -> Ruling:
        """Return the ruling on opening an app; `package` is what its name was resolved to."""
        if self.allowed and package not in self.allowed:
            return Ruling(refuse=self._not_allowed(package))
        return FREE

    def wants_labels(self, package: str, activity: str) -> bool:
        """Whether the app or page is sensitive enough to read its labels, which takes a second."""
        return sensitive(self._categories, package, activity)

    def _refusal(self, action: Action, package: str) -> str:
        if not self.allowed or not isinstance(action, _TOUCHES):
            return ""
        if isinstance(action, Key) and action.key in _LEAVING:
            return ""
        if package not in (*self.allowed, *_ALWAYS_THERE):
            return self._not_allowed(package)
        if package == _SHADE and package not in self.allowed and isinstance(action, TypeText):
            return "Typing into the notification shade is not allowed in this task. Close it."
        return ""

    def _not_allowed(self, package: str) -> str:
        names = ", ".join(dict.fromkeys(self.allowed.values()))
        package = one_line(package, _MAX_NAME)
        return f"The app {package} is not allowed in this task. Allowed: {names}. Leave it."


def _ruling(finding: Finding, action: Action, scene: Scene) -> Ruling:
    category = finding.category
    page = one_line(f"{scene.package}/{scene.activity}", 2 * _MAX_NAME)
    return Ruling(
        confirm=f"{_what(action, scene)} looks like {category.title} ({page}). "
        f"The rule saw {finding.seen}.",
        category=category.name,
        rule=finding.rule,
    )


def _what(action: Action, scene: Scene) -> str:
    """Describe the action, the label under the finger, and the app; bounded and visible."""
    what = one_line(action.describe(), _MAX_ACTION)
    if label := one_line(scene.target, _MAX_LABEL):
        what += f' on "{label}"'
    if where := one_line(scene.app or scene.package, _MAX_NAME):
        what += f" in {where}"
    return what
