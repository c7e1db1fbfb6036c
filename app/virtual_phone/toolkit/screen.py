"""A whole screen of an app: bars, a scrolling body, a floating button, a dialog."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from app.virtual_phone.display import HEIGHT, NAVIGATION_BAR, SCREEN, STATUS_BAR, WIDTH, Rect
from app.virtual_phone.icons import icon
from app.virtual_phone.lettering import wrap
from app.virtual_phone.state import PhoneState
from app.virtual_phone.toolkit.rows import MARGIN
from app.virtual_phone.toolkit.scene import Scene, Widget

TITLE_BAR = 184


@dataclass(frozen=True)
class IconButton:
    name: str
    icon: str
    press: Callable[[], None]


@dataclass(frozen=True)
class Question:
    """A dialog: a question, a button to cancel and one to confirm."""

    text: str
    confirm_label: str
    confirm: Callable[[], None]
    cancel: Callable[[], None]

    def paint(self, scene: Scene) -> None:
        canvas, theme = scene.canvas, scene.canvas.theme
        shade = canvas.image.point([value // 2 for value in range(256)] * 3)
        canvas.image.paste(shade)
        scene.add("shade", "shade", SCREEN, on_tap=lambda _x, _y: self.cancel())
        lines = wrap(self.text, canvas.text_font(50), WIDTH - 2 * 140 - 40)
        step = round(72 * canvas.font_scale)
        box = Rect(100, 950, WIDTH - 100, 950 + 150 + len(lines) * step + 130)
        canvas.rounded(box, 56, theme.surface)
        scene.add("dialog", self.text, box, on_tap=lambda _x, _y: None)
        for number, line in enumerate(lines):
            y = box.top + 90 + number * step
            canvas.text((box.left + 64, y), line, 50, theme.text)
        right = box.right - 40
        for label, press in ((self.confirm_label, self.confirm), ("Cancel", self.cancel)):
            width = round(canvas.text_font(46, True).getlength(label)) + 72
            target = Rect(right - width, box.bottom - 150, right, box.bottom - 40)
            canvas.text(target.center, label, 46, theme.accent, bold=True, anchor="mm")
            scene.add("button", label, target, on_tap=_presser(press))
            right = target.left - 16


def _presser(press: Callable[[], None]) -> Callable[[float, float], None]:
    return lambda _x, _y: press()


@dataclass(frozen=True)
class Screen:
    """The screen of an app: title, body, and floating parts. `scroll` is in pixels."""

    title: str
    body: list[Widget]
    scroll: int = 0
    back: Callable[[], None] | None = None
    buttons: tuple[IconButton, ...] = ()
    fab: IconButton | None = None
    question: Question | None = None
    footer: list[Widget] = field(default_factory=list)

    def paint(self, scene: Scene, bottom: int) -> None:
        """Paint everything above `bottom` (the upper edge of the keyboard or the bar)."""
        canvas = scene.canvas
        canvas.fill(SCREEN, canvas.theme.background)
        footer_top = bottom - sum(widget.height(canvas) for widget in self.footer)
        viewport = Rect(0, STATUS_BAR + TITLE_BAR, WIDTH, footer_top)
        self._paint_body(scene, viewport)
        self._paint_footer(scene, footer_top)
        self._paint_title(scene)
        if self.fab:
            self._paint_fab(scene, self.fab, footer_top)

    def _paint_body(self, scene: Scene, viewport: Rect) -> None:
        heights = [widget.height(scene.canvas) for widget in self.body]
        scene.scrollable = viewport
        scene.scroll_range = max(0, sum(heights) + 40 - viewport.height)
        scene.clip = viewport
        top = viewport.top - min(self.scroll, scene.scroll_range)
        for widget, height in zip(self.body, heights, strict=True):
            if top < viewport.bottom and top + height > viewport.top:
                widget.paint(scene, Rect(0, top, WIDTH, top + height))
            top += height
        scene.clip = SCREEN

    def _paint_footer(self, scene: Scene, top: int) -> None:
        if not self.footer:
            return
        scene.canvas.fill(Rect(0, top, WIDTH, HEIGHT), scene.canvas.theme.background)
        for widget in self.footer:
            height = widget.height(scene.canvas)
            widget.paint(scene, Rect(0, top, WIDTH, top + height))
            top += height

    def _paint_title(self, scene: Scene) -> None:
        canvas, theme = scene.canvas, scene.canvas.theme
        bar = Rect(0, 0, WIDTH, STATUS_BAR + TITLE_BAR)
        canvas.fill(bar, theme.background)
        if self.scroll:
            canvas.fill(Rect(0, bar.bottom - 3, WIDTH, bar.bottom), theme.line)
        left, middle = MARGIN, STATUS_BAR + TITLE_BAR // 2
        if self.back:
            arrow = Rect(24, middle - 72, 168, middle + 72)
            canvas.mask(icon("back", 72), arrow.center[0] - 36, middle - 36, theme.text)
            scene.add("button", "Navigate up", arrow, on_tap=_presser(self.back))
            left = 192
        right = WIDTH - 32
        for button in reversed(self.buttons):
            target = Rect(right - 144, middle - 72, right, middle + 72)
            canvas.mask(icon(button.icon, 72), target.center[0] - 36, middle - 36, theme.text)
            scene.add("button", button.name, target, on_tap=_presser(button.press))
            right -= 144
        canvas.text(
            (left, middle), self.title, 64, theme.text, bold=True, max_width=right - left - 16
        )
        scene.add("title", self.title, Rect(left, middle - 60, right, middle + 60))

    def _paint_fab(self, scene: Scene, fab: IconButton, bottom: int) -> None:
        canvas, theme = scene.canvas, scene.canvas.theme
        box = Rect(WIDTH - 64 - 176, bottom - 64 - 176, WIDTH - 64, bottom - 64)
        canvas.rounded(box, 52, theme.accent)
        canvas.mask(icon(fab.icon, 80), box.center[0] - 40, box.center[1] - 40, theme.on_accent)
        scene.add("button", fab.name, box, on_tap=_presser(fab.press))


def paint_status_bar(scene: Scene, state: PhoneState, *, light: bool) -> None:
    """Paint the clock and the status icons; `light` draws in white, for dark backgrounds."""
    canvas = scene.canvas
    ink = (255, 255, 255) if light else canvas.theme.text
    canvas.text((56, STATUS_BAR // 2 + 6), state.look.clock, 40, ink, bold=True)
    signs = [("battery", True), ("wifi", state.settings.wifi)]
    signs.append(("airplane", state.settings.airplane_mode))
    signs.append(("forbidden", state.settings.do_not_disturb))
    right = WIDTH - 48
    for name, shown in signs:
        if shown:
            right -= 46
            canvas.mask(icon(name, 40), right, STATUS_BAR // 2 - 14, ink)
            right -= 14


def paint_navigation_bar(scene: Scene, *, light: bool) -> None:
    """Paint the gesture bar at the bottom."""
    canvas = scene.canvas
    y = HEIGHT - NAVIGATION_BAR // 2
    ink = (255, 255, 255) if light else canvas.theme.muted
    canvas.rounded(Rect(WIDTH // 2 - 180, y - 6, WIDTH // 2 + 180, y + 6), 6, ink)
