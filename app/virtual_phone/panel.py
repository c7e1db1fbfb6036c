"""Converts between the phone's upright screen and the display that programs see.

Programs capture and touch a display that may have another size or be rotated. The screen is scaled
to fit, centred on black; touches are converted back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

from app.virtual_phone.display import HEIGHT, WIDTH
from app.virtual_phone.quirk_set import Quirks
from app.virtual_phone.quirks import (
    DENSITY,
    OVERRIDE_DENSITY,
    OVERRIDE_SIZE,
    ROTATION,
    SIZE,
)

if TYPE_CHECKING:
    pass

DPI = 420


class Panel:
    """One display's size, density and rotation. Sizes are (width, height) in pixels."""

    def __init__(self, quirks: Quirks) -> None:
        self._quirks = quirks

    @property
    def physical_size(self) -> tuple[int, int]:
        return self._quirks.get(SIZE) or (WIDTH, HEIGHT)

    @property
    def override_size(self) -> tuple[int, int] | None:
        return self._quirks.get(OVERRIDE_SIZE)

    @property
    def physical_density(self) -> int:
        return self._quirks.get(DENSITY) or DPI

    @property
    def override_density(self) -> int | None:
        return self._quirks.get(OVERRIDE_DENSITY)

    @property
    def density(self) -> int:
        return self.override_density or self.physical_density

    @property
    def rotation(self) -> int:
        """Degrees from upright: 0, 90 or 270."""
        return self._quirks.get(ROTATION) or 0

    @property
    def natural_size(self) -> tuple[int, int]:
        """The size in use when the phone is upright."""
        return self.override_size or self.physical_size

    @property
    def size(self) -> tuple[int, int]:
        """The size of pictures and of the touch coordinate space."""
        width, height = self.natural_size
        return (height, width) if self.rotation else (width, height)

    def _place(self) -> tuple[int, int, int, int]:
        """Where the upright screen is on the display: left, top, width, height."""
        width, height = self.size
        ratio = min(width / WIDTH, height / HEIGHT)
        inner, tall = round(WIDTH * ratio), round(HEIGHT * ratio)
        return (width - inner) // 2, (height - tall) // 2, inner, tall

    def picture(self, screen: Image.Image) -> Image.Image:
        """Return the display's picture when the upright screen shows `screen`."""
        if self.size == screen.size:
            return screen
        left, top, width, height = self._place()
        picture = Image.new("RGB", self.size)
        picture.paste(screen.resize((width, height), Image.Resampling.HAMMING), (left, top))
        return picture

    def touched(self, x: int, y: int) -> tuple[int, int]:
        """Return the point of the upright screen under a point of the display, maybe outside."""
        left, top, width, height = self._place()
        if (left, top, width, height) == (0, 0, WIDTH, HEIGHT):
            return x, y
        return (x - left) * WIDTH // width, (y - top) * HEIGHT // height
