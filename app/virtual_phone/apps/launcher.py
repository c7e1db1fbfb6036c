"""The launcher: pages of icons on a wallpaper, swiped sideways."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from app.virtual_phone.apps.app import Badge, Hand
from app.virtual_phone.display import HEIGHT, SCREEN, WIDTH, Rect, wallpaper
from app.virtual_phone.icons import icon
from app.virtual_phone.toolkit.scene import Scene

COLUMNS, ROWS = 4, 6
TOP, BOTTOM = 240, HEIGHT - 300
ICON = 156
BADGE = Badge("org.phonepilot.launcher", "Home", "gear", (0, 0, 0))


def cell(slot: int) -> tuple[int, int]:
    """Return the centre of home-screen slot `slot` (row by row, from 0), in screen pixels."""
    row, column = divmod(slot, COLUMNS)
    x = round(WIDTH * (column + 0.5) / COLUMNS)
    return x, round(TOP + (BOTTOM - TOP) * (row + 0.5) / ROWS)


def paint_home(scene: Scene, hand: Hand, badges: Mapping[str, Badge]) -> None:
    """Paint the current home page: `state.home[page]` names a package, or "" for a gap."""
    state, canvas = hand.state, scene.canvas
    canvas.image.paste(wallpaper(state.look.wallpaper, state.settings.dark_theme))
    pages, page = len(state.home), state.ui.home_page
    scene.add("home", f"Home page {page + 1} of {pages}", SCREEN)
    for slot, package in enumerate(state.home[page]):
        if package:
            _paint_icon(scene, badges[package], cell(slot), _launcher(hand, package))
    for number in range(pages):
        x = WIDTH // 2 + round((number - (pages - 1) / 2) * 56)
        radius = 14 if number == page else 9
        color = (255, 255, 255) if number == page else (200, 200, 205)
        canvas.circle((x, HEIGHT - 210), radius, color)


def _launcher(hand: Hand, package: str) -> Callable[[float, float], None]:
    def launch(_x: float, _y: float) -> None:
        hand.launch(package)

    return launch


def _paint_icon(
    scene: Scene, badge: Badge, center: tuple[int, int], tap: Callable[[float, float], None]
) -> None:
    canvas, (x, y) = scene.canvas, center
    box = Rect(x - ICON // 2, y - ICON // 2 - 30, x + ICON // 2, y + ICON // 2 - 30)
    canvas.rounded(box, 44, badge.color)
    canvas.mask(icon(badge.icon, 92), box.center[0] - 46, box.center[1] - 46, (255, 255, 255))
    canvas.text((x + 2, box.bottom + 42), badge.label, 38, (0, 0, 0), anchor="mm")
    canvas.text((x, box.bottom + 40), badge.label, 38, (255, 255, 255), anchor="mm")
    scene.add(
        "icon", badge.label, Rect(x - 125, box.top - 16, x + 125, box.bottom + 76), on_tap=tap
    )
