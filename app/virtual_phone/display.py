"""Drawing on the virtual phone's screen: colours and anti-aliased shapes with Pillow.

Pillow draws circles and rounded corners with hard edges. So shapes are masks that are drawn four
times as large, reduced, and cached: a screen repeats a few sizes, so a frame only costs pasting.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from app.virtual_phone.lettering import font, shorten

WIDTH, HEIGHT = 1080, 2400
STATUS_BAR = 96
NAVIGATION_BAR = 72
OVERSAMPLE = 4

Color = tuple[int, int, int]


@dataclass(frozen=True)
class Rect:
    """A rectangle in screen pixels; right and bottom are exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def center(self) -> tuple[int, int]:
        return (self.left + self.right) // 2, (self.top + self.bottom) // 2

    def contains(self, x: float, y: float) -> bool:
        return self.left <= x < self.right and self.top <= y < self.bottom

    def clip(self, other: Rect) -> Rect:
        return Rect(
            max(self.left, other.left),
            max(self.top, other.top),
            min(self.right, other.right),
            min(self.bottom, other.bottom),
        )


SCREEN = Rect(0, 0, WIDTH, HEIGHT)


@dataclass(frozen=True)
class Theme:
    background: Color
    surface: Color
    text: Color
    muted: Color
    line: Color
    accent: Color
    on_accent: Color
    track: Color


ACCENTS: tuple[Color, ...] = (
    (26, 115, 232),
    (0, 121, 107),
    (103, 80, 164),
    (194, 24, 91),
    (46, 125, 50),
    (216, 92, 10),
)


def theme(dark: bool, accent: int) -> Theme:
    color = ACCENTS[accent % len(ACCENTS)]
    if dark:
        light = tuple((c + 255) // 2 for c in color)
        return Theme(
            background=(18, 19, 22),
            surface=(38, 40, 45),
            text=(232, 234, 237),
            muted=(154, 160, 166),
            line=(60, 64, 67),
            accent=(light[0], light[1], light[2]),
            on_accent=(18, 19, 22),
            track=(95, 99, 104),
        )
    return Theme(
        background=(248, 249, 251),
        surface=(255, 255, 255),
        text=(32, 33, 36),
        muted=(95, 99, 104),
        line=(218, 220, 224),
        accent=color,
        on_accent=(255, 255, 255),
        track=(189, 193, 198),
    )


@lru_cache(maxsize=512)
def rounded_mask(width: int, height: int, radius: int) -> Image.Image:
    """Return an 8-bit coverage mask of a rounded rectangle, `width` x `height` pixels."""
    large = Image.new("L", (width * OVERSAMPLE, height * OVERSAMPLE), 0)
    ImageDraw.Draw(large).rounded_rectangle(
        (0, 0, width * OVERSAMPLE - 1, height * OVERSAMPLE - 1), radius * OVERSAMPLE, fill=255
    )
    return large.reduce(OVERSAMPLE)


@lru_cache(maxsize=16)
def wallpaper(number: int, dark: bool) -> Image.Image:
    """Return a vertical two-colour gradient with a soft hill, RGB, the size of the screen."""
    pairs: tuple[tuple[Color, Color], ...] = (
        ((94, 129, 172), (216, 180, 196)),
        ((20, 70, 90), (90, 160, 150)),
        ((240, 190, 140), (150, 110, 170)),
        ((60, 60, 90), (140, 120, 160)),
        ((170, 205, 235), (235, 240, 245)),
        ((40, 90, 60), (190, 200, 130)),
    )
    top, bottom = pairs[number % len(pairs)]
    shade = 0.55 if dark else 1.0
    ramp = Image.linear_gradient("L").resize((WIDTH, HEIGHT))
    bands = [
        ramp.point([round((a + (b - a) * i / 255) * shade) for i in range(256)])
        for a, b in zip(top, bottom, strict=True)
    ]
    picture = Image.merge("RGB", bands)
    hill = Image.new("L", (WIDTH // 4, HEIGHT // 4), 0)
    draw = ImageDraw.Draw(hill)
    draw.ellipse((-120 + 40 * (number % 3), 400, 300, 760), fill=40)
    draw.ellipse((90, 450 - 30 * (number % 2), 420, 800), fill=60)
    shadow = Image.new("RGB", (WIDTH, HEIGHT), tuple(c // 3 for c in top))
    picture.paste(shadow, (0, 0), hill.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR))
    return picture


class Canvas:
    """One frame being drawn: an RGB image, a theme and a font scale."""

    def __init__(self, image: Image.Image, theme: Theme, font_scale: float) -> None:
        self.image = image
        self.theme = theme
        self.font_scale = font_scale
        self._draw = ImageDraw.Draw(image)

    def fill(self, rect: Rect, color: Color) -> None:
        if rect.width > 0 and rect.height > 0:
            self._draw.rectangle((rect.left, rect.top, rect.right - 1, rect.bottom - 1), fill=color)

    def rounded(self, rect: Rect, radius: int, color: Color) -> None:
        if rect.width > 0 and rect.height > 0:
            mask = rounded_mask(rect.width, rect.height, radius)
            self.image.paste(color, (rect.left, rect.top), mask)

    def circle(self, center: tuple[int, int], radius: int, color: Color) -> None:
        x, y = center
        self.rounded(Rect(x - radius, y - radius, x + radius, y + radius), radius, color)

    def mask(self, mask: Image.Image, left: int, top: int, color: Color) -> None:
        self.image.paste(color, (left, top), mask)

    def text_font(self, size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
        return font(round(size * self.font_scale), bold)

    def text(
        self,
        xy: tuple[int, int],
        text: str,
        size: int,
        color: Color,
        *,
        bold: bool = False,
        anchor: str = "lm",
        max_width: int | None = None,
    ) -> None:
        """Draw one line, cut with an ellipsis at `max_width` pixels; `anchor` as in Pillow."""
        face = self.text_font(size, bold)
        line = text.replace("\n", " ")
        if max_width is not None:
            line = shorten(line, face, max_width)
        self._draw.text(xy, line, font=face, fill=color, anchor=anchor)
