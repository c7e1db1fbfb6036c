"""Touch gestures: a tap, a long press, a swipe, each with its whole effect at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.virtual_phone.display import HEIGHT, NAVIGATION_BAR

if TYPE_CHECKING:
    from app.virtual_phone.surface import Surface

HOLD_MS = 500  # ViewConfiguration.getLongPressTimeout()
TOUCH_SLOP = 24
PAGE_SWIPE = 150
NOTCH = 168
"""Pixels that a list moves for a notch of a wheel: 64 dp."""

Point = tuple[float, float]


def tap(phone: Surface, x: float, y: float) -> None:
    spot = next((s for s in phone.scene().at(x, y) if s.on_tap), None)
    phone.log("tap", x=x, y=y, spot=f"{spot.kind}:{spot.name}" if spot else "")
    if spot and spot.on_tap and phone.state.power.awake:
        spot.on_tap(x, y)
    phone.changed()


def swipe(phone: Surface, start: Point, end: Point, duration_ms: int) -> None:
    """Move a finger from one point to another; slow and on the spot, it is a long press."""
    (x1, y1), (x2, y2) = start, end
    phone.log("swipe", x1=x1, y1=y1, x2=x2, y2=y2, duration_ms=duration_ms)
    if not phone.state.power.awake:
        return
    dx, dy = x2 - x1, y2 - y1
    if phone.keyguard.showing and dy < -PAGE_SWIPE:
        phone.keyguard.dismiss()
    elif max(abs(dx), abs(dy)) <= TOUCH_SLOP:
        if duration_ms >= HOLD_MS:
            hold(phone, start)
        else:
            _press(phone, start)
    elif phone.keyguard.showing:
        pass
    elif y1 >= HEIGHT - NAVIGATION_BAR and dy < -PAGE_SWIPE:
        phone.go_home()
    elif abs(dx) > abs(dy):
        _sideways(phone, start, end)
    else:
        scroll(phone, start, -dy)
    phone.changed()


def hold(phone: Surface, at: Point) -> None:
    """A finger has stayed at a point for HOLD_MS."""
    act = next((s.on_hold for s in phone.scene().at(*at) if s.on_hold), None)
    if act:
        act(*at)


def _press(phone: Surface, at: Point) -> None:
    act = next((s.on_tap for s in phone.scene().at(*at) if s.on_tap), None)
    if act:
        act(*at)


def _sideways(phone: Surface, start: Point, end: Point) -> None:
    ui = phone.state.ui
    if phone.at_home:
        if abs(end[0] - start[0]) >= PAGE_SWIPE:
            page = ui.home_page + (1 if end[0] < start[0] else -1)
            ui.home_page = min(max(page, 0), len(phone.state.home) - 1)
        return
    drag = next((s.on_swipe for s in phone.scene().at(*start) if s.on_swipe), None)
    if drag:
        drag(*end)


def scrolls(phone: Surface, at: Point) -> bool:
    """Whether there is a list at a point that follows a finger."""
    if phone.keyguard.showing or phone.at_home or phone.state.ui.dialog:
        return False
    scene = phone.scene()
    return bool(scene.scrollable and scene.scrollable.contains(*at)) and (
        at[1] < HEIGHT - NAVIGATION_BAR and phone.state.power.awake
    )


def scroll(phone: Surface, at: Point, by: float) -> None:
    """Scroll the list at a point, `by` so many pixels downwards."""
    scene = phone.scene()
    if scene.scrollable and scene.scrollable.contains(*at) and not phone.state.ui.dialog:
        route = phone.route()
        route.scroll = min(max(route.scroll + round(by), 0), scene.scroll_range)
