"""A window smaller than the screen, over another app that is darkened behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.virtual_phone.display import HEIGHT, SCREEN, WIDTH, Canvas, Color, Rect
from app.virtual_phone.icons import icon
from app.virtual_phone.lettering import wrap
from app.virtual_phone.toolkit.controls import Key, KeyGrid, paint_picture
from app.virtual_phone.toolkit.scene import Scene

SIDE = 80
PADDING = 64
ROW = 156
_ICON = 84
_CROSS = 64


@dataclass(frozen=True)
class Card:
    """A text with an icon or a picture above it and buttons below it, one per row.

    `close` draws a cross in the corner. A touch anywhere else has no effect.
    """

    text: str
    buttons: tuple[Key, ...]
    icon: str
    picture: Color | None = None
    close: Callable[[], None] | None = None

    def paint(self, scene: Scene) -> None:
        """Paint it; nothing below the card can be touched or scrolled any more."""
        canvas = scene.canvas
        canvas.image.paste(canvas.image.point([value // 2 for value in range(256)] * 3))
        scene.spots.clear()
        scene.scrollable = None
        scene.add("shade", "shade", SCREEN, on_tap=lambda _x, _y: None)
        lines = wrap(self.text, canvas.text_font(50), WIDTH - 2 * SIDE - 2 * PADDING)
        step = round(68 * canvas.font_scale)
        head = 560 if self.picture else _ICON + 2 * PADDING
        grid = KeyGrid(tuple((key,) for key in self.buttons), ROW, text_size=46)
        height = head + len(lines) * step + grid.height(canvas) + PADDING
        top = (HEIGHT - height) // 2
        box = Rect(SIDE, top, WIDTH - SIDE, top + height)
        canvas.rounded(box, 56, canvas.theme.background)
        scene.add("dialog", self.text, box)
        self._paint_head(canvas, Rect(box.left, box.top, box.right, box.top + head))
        for number, line in enumerate(lines):
            y = box.top + head + number * step + step // 2
            canvas.text((WIDTH // 2, y), line, 50, canvas.theme.text, anchor="mm")
        buttons = box.bottom - PADDING // 2 - grid.height(canvas)
        grid.paint(scene, Rect(box.left + 20, buttons, box.right - 20, box.bottom))
        if self.close:
            self._paint_cross(scene, box, self.close)

    def _paint_head(self, canvas: Canvas, rect: Rect) -> None:
        if self.picture:
            inner = Rect(rect.left + 40, rect.top + 40, rect.right - 40, rect.bottom - 40)
            canvas.rounded(inner, 36, self.picture)
            paint_picture(canvas, self.icon, inner)
        else:
            left, top = rect.center[0] - _ICON // 2, rect.top + PADDING
            canvas.mask(icon(self.icon, _ICON), left, top, canvas.theme.accent)

    def _paint_cross(self, scene: Scene, box: Rect, close: Callable[[], None]) -> None:
        x, y = box.right - 100, box.top + 100
        scene.canvas.circle((x, y), 48, (60, 64, 67))
        left, top = x - _CROSS // 2, y - _CROSS // 2
        scene.canvas.mask(icon("close", _CROSS), left, top, (255, 255, 255))
        target = Rect(x - 60, y - 60, x + 60, y + 60)
        scene.add("button", "Close", target, on_tap=lambda _x, _y: close())
