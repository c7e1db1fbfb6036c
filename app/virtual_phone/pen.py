"""A pen for icons: shapes on a 24 x 24 grid, drawn as an 8-bit coverage mask."""

from __future__ import annotations

from PIL import Image, ImageDraw

GRID = 24


class Pen:
    """Draws on the 24 x 24 grid; `ink` 255 paints and 0 erases."""

    def __init__(self, image: Image.Image) -> None:
        self._draw = ImageDraw.Draw(image)
        self._unit = image.width / GRID

    def _at(self, *values: float) -> list[float]:
        return [v * self._unit for v in values]

    def disc(self, x: float, y: float, radius: float, ink: int = 255) -> None:
        self._draw.ellipse(self._at(x - radius, y - radius, x + radius, y + radius), fill=ink)

    def ring(self, x: float, y: float, radius: float, width: float = 2) -> None:
        self.disc(x, y, radius)
        self.disc(x, y, radius - width, 0)

    def box(
        self,
        left: float,
        top: float,
        right: float,
        bottom: float,
        ink: int = 255,
        radius: float = 0,
    ) -> None:
        self._draw.rounded_rectangle(
            self._at(left, top, right, bottom), radius * self._unit, fill=ink
        )

    def shape(self, *points: tuple[float, float], ink: int = 255) -> None:
        self._draw.polygon([(x * self._unit, y * self._unit) for x, y in points], fill=ink)

    def line(self, *points: tuple[float, float], width: float = 2, ink: int = 255) -> None:
        scaled = [(x * self._unit, y * self._unit) for x, y in points]
        self._draw.line(scaled, fill=ink, width=round(width * self._unit), joint="curve")
        for x, y in points:
            self.disc(x, y, width / 2, ink)

    def arc(
        self, x: float, y: float, radius: float, start: float, end: float, width: float = 2
    ) -> None:
        self._draw.arc(
            self._at(x - radius, y - radius, x + radius, y + radius),
            start,
            end,
            fill=255,
            width=round(width * self._unit),
        )
