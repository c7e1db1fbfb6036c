"""The teacher: looks at the widget tree of the virtual phone and says the right next step.

It decides from the screen in front of it alone, never from what it did before, so that the model
can learn the same from one image.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.virtual_phone.apps import launcher
from app.virtual_phone.apps.settings import GROUPS
from app.virtual_phone.display import HEIGHT, WIDTH
from app.virtual_phone.phone import Phone
from app.virtual_phone.toolkit.scene import Spot
from training.goals import Goal, OpenGoal, OtherGoal, SwitchGoal

SETTINGS = "com.android.settings"
ORDER = [item.title for _, items in GROUPS for item in items]
FULLY = 0.7
"""The share of a row that must be in view before it is judged or tapped."""

SCROLL_DOWN = 'do(action="Swipe", start=[500,800], end=[500,300])'
SCROLL_UP = 'do(action="Swipe", start=[500,300], end=[500,800])'
NEXT_PAGE = 'do(action="Swipe", start=[850,500], end=[150,500])'
PREVIOUS_PAGE = 'do(action="Swipe", start=[150,500], end=[850,500])'
BACK = 'do(action="Back")'
HOME = 'do(action="Home")'
HAND_OVER = 'do(action="Take_over", message="The demo model only knows switches and apps.")'


@dataclass(frozen=True)
class Advice:
    """One reply: the thought, and the call as text."""

    thought: str
    call: str

    @property
    def done(self) -> bool:
        return self.call.startswith("finish(") or self.call == HAND_OVER


def advise(phone: Phone, goal: Goal) -> Advice:
    """The right reply for the screen that `phone` shows now."""
    if isinstance(goal, OtherGoal):
        return Advice("I was not taught this.", HAND_OVER)
    if isinstance(goal, OpenGoal):
        if phone.foreground.package == goal.package:
            return Advice(f"{goal.label} is open.", f'finish(message="{goal.label} is open.")')
        return _find_app(phone, goal.label)
    if phone.foreground.package != SETTINGS:
        return _find_app(phone, "Settings")
    return _set_switch(phone, goal)


def _find_app(phone: Phone, label: str) -> Advice:
    if phone.foreground.package != launcher.BADGE.package:
        return Advice(f"This is {phone.foreground.label}, I need {label}.", HOME)
    scene, page, pages = phone.scene(), phone.ui.home_page + 1, len(phone.state.home)
    icon = scene.find("icon", label)
    if icon:
        return Advice(f"Home page {page} of {pages}, {label} is here.", tap(icon.rect.center))
    swipe = NEXT_PAGE if page < pages else PREVIOUS_PAGE
    return Advice(f"Home page {page} of {pages}, no {label} here.", swipe)


def _set_switch(phone: Phone, goal: SwitchGoal) -> Advice:
    scene = phone.scene()
    title = next(spot.name for spot in scene.spots if spot.kind == "title")
    if title != "Settings":
        return Advice(f"This is {title}, I need Settings.", BACK)
    row = scene.find("switch", goal.title)
    want = "on" if goal.want else "off"
    if row and _in_view(phone, row):
        seen = f"{goal.title} is {row.value}, want {want}."
        if row.value == want:
            return Advice(seen, f'finish(message="{goal.title} is {want}.")')
        return Advice(seen, tap((WIDTH - 126, row.rect.center[1])))
    below = ORDER.index(goal.title) > max(_rows_in_view(phone), default=0)
    side = "below" if below else "above"
    return Advice(f"{goal.title} is {side}.", SCROLL_DOWN if below else SCROLL_UP)


def _rows_in_view(phone: Phone) -> list[int]:
    """The places in the list of the rows that are fully in view."""
    return [
        ORDER.index(spot.name)
        for spot in phone.scene().spots
        if spot.kind in ("switch", "row") and spot.name in ORDER and _in_view(phone, spot)
    ]


def _in_view(phone: Phone, spot: Spot) -> bool:
    full = phone.state.look.row_height if spot.kind == "switch" else 208
    return spot.rect.height >= FULLY * full


def tap(point: tuple[int, int]) -> str:
    """A tap in thousandths, to the nearest ten: the last digit would be noise to learn."""
    x = min(round(point[0] * 100 / WIDTH) * 10, 990)
    y = min(round(point[1] * 100 / HEIGHT) * 10, 990)
    return f'do(action="Tap", element=[{x},{y}])'
