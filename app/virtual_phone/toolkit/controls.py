"""Controls to press: buttons, icon buttons, grids of keys, text fields, pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PIL import ImageFont

from app.virtual_phone.display import Canvas, Color, Rect
from app.virtual_phone.icons import icon
from app.virtual_phone.lettering import wrap, wrap_end
from app.virtual_phone.toolkit.rows import MARGIN
from app.virtual_phone.toolkit.scene import Scene


@dataclass(frozen=True)
class Key:
    """One button of a `KeyGrid`: its label or icon, its effect, and its emphasis."""

    label: str
    press: Callable[[], None]
    icon: str = ""
    strong: bool = False
    span: int = 1


@dataclass(frozen=True)
class KeyGrid:
    """Rows of buttons of equal height that share the width."""

    rows: tuple[tuple[Key, ...], ...]
    row_height: int = 200
    gap: int = 20
    text_size: int = 60
    kind: str = "button"

    def height(self, canvas: Canvas) -> int:
        return len(self.rows) * self.row_height + self.gap

    def paint(self, scene: Scene, rect: Rect) -> None:
        for number, row in enumerate(self.rows):
            unit = (rect.width - self.gap) / sum(key.span for key in row)
            left = float(rect.left + self.gap)
            top = rect.top + number * self.row_height + self.gap
            for key in row:
                box = Rect(
                    round(left),
                    top,
                    round(left + unit * key.span) - self.gap,
                    top + self.row_height - self.gap,
                )
                self._paint_key(scene, key, box)
                left += unit * key.span

    def _paint_key(self, scene: Scene, key: Key, box: Rect) -> None:
        canvas, theme = scene.canvas, scene.canvas.theme
        fill, ink = (theme.accent, theme.on_accent) if key.strong else (theme.surface, theme.text)
        canvas.rounded(box, min(28, box.height // 2), fill)
        if key.icon:
            size = min(72, box.height * 2 // 3)
            x, y = box.center[0] - size // 2, box.center[1] - size // 2
            canvas.mask(icon(key.icon, size), x, y, ink)
        else:
            canvas.text(box.center, key.label, self.text_size, ink, anchor="mm")
        scene.add(self.kind, key.label, box, on_tap=lambda _x, _y: key.press())


@dataclass(frozen=True)
class Field:
    """A text field; `focused` draws the cursor, with `behind` characters of the text after it."""

    name: str
    text: str
    hint: str
    focus: Callable[[], None]
    focused: bool
    behind: int = 0
    lines: int = 1
    text_size: int = 50
    password: bool = False

    def height(self, canvas: Canvas) -> int:
        return self.lines * self._step(canvas) + 64

    def _step(self, canvas: Canvas) -> int:
        return round(self.text_size * canvas.font_scale * 1.35)

    def paint(self, scene: Scene, rect: Rect) -> None:
        canvas, theme = scene.canvas, scene.canvas.theme
        face = canvas.text_font(self.text_size)
        left, step = rect.left + MARGIN, self._step(canvas)
        width = rect.width - 2 * MARGIN
        lines = wrap_end(self.text, face, width, self.lines)
        for number, line in enumerate(lines):
            y = rect.top + 24 + number * step + step // 2
            canvas.text((left, y), line, self.text_size, theme.text)
        if not self.text:
            canvas.text((left, rect.top + 24 + step // 2), self.hint, self.text_size, theme.muted)
        if self.focused:
            row, before = self._cursor(lines, face, width)
            x = left + round(face.getlength(before)) + 4
            y = rect.top + 24 + row * step
            if row >= 0:
                canvas.fill(Rect(x, y + 6, x + 5, y + step - 6), theme.accent)
        line_color = theme.accent if self.focused else theme.line
        thickness = 6 if self.focused else 3
        canvas.fill(
            Rect(left, rect.bottom - 16, rect.right - MARGIN, rect.bottom - 16 + thickness),
            line_color,
        )
        scene.add(
            "field",
            self.name,
            rect,
            "focused" if self.focused else "",
            text=self.text,
            password=self.password,
            on_tap=lambda _x, _y: self.focus(),
        )

    def _cursor(
        self, lines: list[str], face: ImageFont.FreeTypeFont, width: int
    ) -> tuple[int, str]:
        """Return the row of the cursor among the visible `lines`, and the text before it in that
        row; the row is negative if the cursor is above them."""
        if not self.behind:
            return len(lines) - 1, lines[-1]
        above = len(wrap(self.text, face, width)) - len(lines)
        before = wrap(self.text[: -self.behind], face, width)
        return len(before) - 1 - above, before[-1]


@dataclass(frozen=True)
class Tile:
    """A coloured picture with a caption, in a `TileGrid`."""

    name: str
    color: Color
    icon: str
    open: Callable[[], None]


@dataclass(frozen=True)
class TileGrid:
    tiles: tuple[Tile, ...]
    columns: int = 3
    gap: int = 12

    def _side(self) -> int:
        return (1080 - self.gap) // self.columns - self.gap

    def height(self, canvas: Canvas) -> int:
        rows = -(-len(self.tiles) // self.columns)
        return rows * (self._side() + self.gap) + self.gap

    def paint(self, scene: Scene, rect: Rect) -> None:
        side = self._side()
        for number, tile in enumerate(self.tiles):
            row, column = divmod(number, self.columns)
            left = rect.left + self.gap + column * (side + self.gap)
            top = rect.top + self.gap + row * (side + self.gap)
            box = Rect(left, top, left + side, top + side)
            scene.canvas.rounded(box, 24, tile.color)
            paint_picture(scene.canvas, tile.icon, box)
            scene.add("tile", tile.name, box, on_tap=_opener(tile))


def _opener(tile: Tile) -> Callable[[float, float], None]:
    return lambda _x, _y: tile.open()


def paint_picture(canvas: Canvas, name: str, box: Rect) -> None:
    """A white icon in the middle of `box`, half its width."""
    size = box.width // 2
    x, y = box.center
    canvas.mask(icon(name, size), x - size // 2, y - size // 2, (255, 255, 255))


@dataclass(frozen=True)
class Picture:
    color: Color
    icon: str
    size: int = 1000

    def height(self, canvas: Canvas) -> int:
        return self.size + 80

    def paint(self, scene: Scene, rect: Rect) -> None:
        box = Rect(rect.left + 40, rect.top + 40, rect.right - 40, rect.top + 40 + self.size)
        scene.canvas.rounded(box, 32, self.color)
        paint_picture(scene.canvas, self.icon, box)
        scene.add("picture", self.icon, box)
