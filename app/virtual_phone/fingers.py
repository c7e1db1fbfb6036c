"""Touch gestures: a tap, a long press, a swipe, each with its whole effect at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.virtual_phone.display import HEIGHT, NAVIGATION_BAR

if TYPE_CHECKING:
    from app.virtual_phone.surface import Surface

HOLD_MS = 500  # ViewConfiguration.getLongPressTimeout()
TOUCH_SLOP = 24
PAGE_SWIPE = 150

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
        _press_on(phone, start, duration_ms)
    elif phone.keyguard.showing:
        pass
    elif y1 >= HEIGHT - NAVIGATION_BAR and dy < -PAGE_SWIPE:
        phone.go_home()
    elif abs(dx) > abs(dy):
        _sideways(phone, start, end)
    else:
        _scroll(phone, start, -dy)
    phone.changed()


def _press_on(phone: Surface, at: Point, duration_ms: int) -> None:
    spots = phone.scene().at(*at)
    if duration_ms >= HOLD_MS:
        act = next((s.on_hold for s in spots if s.on_hold), None)
    else:
        act = next((s.on_tap for s in spots if s.on_tap), None)
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


def _scroll(phone: Surface, start: Point, by: float) -> None:
    scene = phone.scene()
    if scene.scrollable and scene.scrollable.contains(*start) and not phone.state.ui.dialog:
        route = phone.route()
        route.scroll = min(max(route.scroll + round(by), 0), scene.scroll_range)
