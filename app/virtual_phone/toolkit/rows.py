"""Rows of a list: headers, switches, sliders, links, paragraphs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.virtual_phone.display import Canvas, Rect
from app.virtual_phone.icons import icon
from app.virtual_phone.lettering import wrap
from app.virtual_phone.toolkit.scene import Scene

MARGIN = 64
ICON = 64
TEXT_LEFT = MARGIN + ICON + 56


def _paint_icon(scene: Scene, rect: Rect, name: str) -> None:
    y = rect.center[1] - ICON // 2
    scene.canvas.mask(icon(name, ICON), rect.left + MARGIN, y, scene.canvas.theme.muted)


def _paint_titles(
    canvas: Canvas, rect: Rect, left: int, right: int, title: str, subtitle: str
) -> None:
    x, y = rect.left + left, rect.center[1]
    width = rect.right - right - x
    if subtitle:
        lift = round(28 * canvas.font_scale)
        canvas.text((x, y - lift), title, 48, canvas.theme.text, max_width=width)
        canvas.text((x, y + lift + 4), subtitle, 38, canvas.theme.muted, max_width=width)
    else:
        canvas.text((x, y), title, 48, canvas.theme.text, max_width=width)


@dataclass(frozen=True)
class Header:
    """The small coloured title above a group of rows."""

    title: str

    def height(self, canvas: Canvas) -> int:
        return 112

    def paint(self, scene: Scene, rect: Rect) -> None:
        theme = scene.canvas.theme
        scene.canvas.text(
            (rect.left + MARGIN, rect.bottom - 40), self.title, 38, theme.accent, bold=True
        )
        scene.add("header", self.title, rect)


@dataclass(frozen=True)
class SwitchRow:
    """A row with a switch; a tap anywhere on it toggles."""

    title: str
    on: bool
    toggle: Callable[[], None]
    icon: str = ""
    subtitle: str = ""
    size: int = 176

    def height(self, canvas: Canvas) -> int:
        return self.size

    def paint(self, scene: Scene, rect: Rect) -> None:
        canvas, theme = scene.canvas, scene.canvas.theme
        if self.icon:
            _paint_icon(scene, rect, self.icon)
        left = TEXT_LEFT if self.icon else MARGIN
        _paint_titles(canvas, rect, left, 250, self.title, self.subtitle)
        x, y = rect.right - MARGIN - 124, rect.center[1]
        track = Rect(x, y - 36, x + 124, y + 36)
        canvas.rounded(track, 36, theme.accent if self.on else theme.track)
        knob = track.right - 36 if self.on else track.left + 36
        canvas.circle((knob, y), 27, theme.on_accent if self.on else theme.surface)
        scene.add(
            "switch",
            self.title,
            rect,
            "on" if self.on else "off",
            on_tap=lambda _x, _y: self.toggle(),
        )


@dataclass(frozen=True)
class SliderRow:
    """A level between 0 and `top`; a tap or a drag on the track sets it."""

    title: str
    level: int
    top: int
    change: Callable[[int], None]
    icon: str = ""
    size: int = 208

    def height(self, canvas: Canvas) -> int:
        return self.size

    def paint(self, scene: Scene, rect: Rect) -> None:
        canvas, theme = scene.canvas, scene.canvas.theme
        if self.icon:
            _paint_icon(scene, rect, self.icon)
        left, right = rect.left + TEXT_LEFT, rect.right - MARGIN
        canvas.text((left, rect.top + 64), self.title, 48, theme.text, max_width=right - left)
        y = rect.bottom - 64
        knob = left + round((right - left) * self.level / self.top)
        canvas.rounded(Rect(left, y - 7, right, y + 7), 7, theme.track)
        canvas.rounded(Rect(left, y - 7, max(knob, left + 14), y + 7), 7, theme.accent)
        canvas.circle((knob, y), 30, theme.accent)

        def set_level(x: float, _y: float) -> None:
            share = min(max((x - left) / (right - left), 0.0), 1.0)
            self.change(round(share * self.top))

        track = Rect(left - 30, y - 56, right + 30, y + 56)
        scene.add("row", self.title, rect)
        scene.add(
            "slider", self.title, track, str(self.level), on_tap=set_level, on_swipe=set_level
        )


@dataclass(frozen=True)
class LinkRow:
    """A row that opens something."""

    title: str
    open: Callable[[], None]
    subtitle: str = ""
    icon: str = ""
    hold: Callable[[], None] | None = None
    size: int = 176

    def height(self, canvas: Canvas) -> int:
        return self.size

    def paint(self, scene: Scene, rect: Rect) -> None:
        if self.icon:
            _paint_icon(scene, rect, self.icon)
        left = TEXT_LEFT if self.icon else MARGIN
        _paint_titles(scene.canvas, rect, left, MARGIN, self.title, self.subtitle)
        hold = self.hold
        scene.add(
            "link",
            self.title,
            rect,
            on_tap=lambda _x, _y: self.open(),
            on_hold=(lambda _x, _y: hold()) if hold else None,
        )


@dataclass(frozen=True)
class ValueRow:
    """A name and a value that can only be read."""

    title: str
    value: str
    icon: str = ""
    size: int = 176

    def height(self, canvas: Canvas) -> int:
        return self.size

    def paint(self, scene: Scene, rect: Rect) -> None:
        if self.icon:
            _paint_icon(scene, rect, self.icon)
        left = TEXT_LEFT if self.icon else MARGIN
        _paint_titles(scene.canvas, rect, left, MARGIN, self.title, self.value)
        scene.add("row", self.title, rect, self.value)


@dataclass(frozen=True)
class Paragraph:
    """Text over the full width, broken into lines."""

    text: str
    size: int = 46
    centered: bool = False
    bold: bool = False
    padding: int = 28

    def _lines(self, canvas: Canvas) -> list[str]:
        face = canvas.text_font(self.size, self.bold)
        return wrap(self.text, face, SCREEN_TEXT_WIDTH)

    def _line_height(self, canvas: Canvas) -> int:
        return round(self.size * canvas.font_scale * 1.35)

    def height(self, canvas: Canvas) -> int:
        return len(self._lines(canvas)) * self._line_height(canvas) + 2 * self.padding

    def paint(self, scene: Scene, rect: Rect) -> None:
        canvas, step = scene.canvas, self._line_height(scene.canvas)
        x = rect.center[0] if self.centered else rect.left + MARGIN
        anchor = "mm" if self.centered else "lm"
        for number, line in enumerate(self._lines(canvas)):
            y = rect.top + self.padding + number * step + step // 2
            canvas.text((x, y), line, self.size, canvas.theme.text, bold=self.bold, anchor=anchor)
        scene.add("text", self.text, rect)


SCREEN_TEXT_WIDTH = 1080 - 2 * MARGIN
