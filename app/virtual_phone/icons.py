"""The icons of the virtual phone, drawn on a 24 x 24 grid and cached as coverage masks."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

from PIL import Image

from app.virtual_phone.display import OVERSAMPLE
from app.virtual_phone.pen import Pen


def _gear(p: Pen) -> None:
    for tooth in range(8):
        a = math.tau * tooth / 8
        x, y = 12 + 8.2 * math.cos(a), 12 + 8.2 * math.sin(a)
        p.disc(x, y, 2.4)
    p.disc(12, 12, 8)
    p.disc(12, 12, 3.4, 0)


def _note(p: Pen) -> None:
    p.box(5, 3, 19, 21, radius=2)
    for y in (8, 12, 16):
        p.box(8, y - 0.8, 16 if y < 16 else 13, y + 0.8, 0)


def _clock(p: Pen) -> None:
    p.ring(12, 12, 10, 2.2)
    p.line((12, 6), (12, 12), (16, 14.5), width=2.2)


def _calculator(p: Pen) -> None:
    p.box(5, 2, 19, 22, radius=2)
    p.box(7.5, 4.5, 16.5, 8.5, 0)
    for x in (8.8, 12, 15.2):
        for y in (12, 15.2, 18.4):
            p.disc(x, y, 1.1, 0)


def _person(p: Pen) -> None:
    p.disc(12, 8, 4.6)
    p.box(3.5, 14.5, 20.5, 26, radius=6)
    p.box(0, 21.5, 24, 26, 0)


def _calendar(p: Pen) -> None:
    p.box(3, 4, 21, 22, radius=2)
    p.box(5, 9.5, 19, 20, 0)
    p.box(7, 2, 9, 6)
    p.box(15, 2, 17, 6)
    p.box(7, 12, 11, 15.5)


def _music(p: Pen) -> None:
    p.disc(7.5, 18, 3.6)
    p.disc(17.5, 16, 3.6)
    p.box(9.2, 5, 11.2, 18)
    p.box(19.1, 3, 21.1, 16)
    p.shape((9.2, 5), (21.1, 2.5), (21.1, 6.5), (9.2, 9))


def _picture(p: Pen) -> None:
    p.box(2.5, 4, 21.5, 20, radius=2)
    p.box(4.5, 6, 19.5, 18, 0)
    p.shape((5, 18), (10, 10.5), (13.5, 15), (15.5, 12.5), (19, 18))
    p.disc(16, 9, 1.6)


def _wifi(p: Pen) -> None:
    for radius in (13, 9, 5):
        p.arc(12, 19, radius, 225, 315, 2.2)
    p.disc(12, 18.4, 1.8)


def _bluetooth(p: Pen) -> None:
    p.line((7, 7.5), (16.5, 16.5), (12, 21), (12, 3), (16.5, 7.5), (7, 16.5), width=1.9)


def _airplane(p: Pen) -> None:
    p.shape((10.8, 2.5), (13.2, 2.5), (13.2, 9), (22, 14), (22, 16.5), (13.2, 13.8), (13.2, 18.5))
    p.shape((10.8, 2.5), (10.8, 9), (2, 14), (2, 16.5), (10.8, 13.8), (10.8, 18.5), (13.2, 18.5))
    p.shape((10.8, 18), (8, 20.3), (8, 22), (12, 20.8), (16, 22), (16, 20.3), (13.2, 18))
    p.box(10.8, 3, 13.2, 20)


def _arrows(p: Pen) -> None:
    p.line((7.5, 20), (7.5, 5), width=2)
    p.shape((3.5, 8), (11.5, 8), (7.5, 3))
    p.line((16.5, 4), (16.5, 19), width=2)
    p.shape((12.5, 16), (20.5, 16), (16.5, 21))


def _hotspot(p: Pen) -> None:
    p.disc(12, 13, 2.3)
    p.arc(12, 13, 6.5, 140, 400, 2)
    p.arc(12, 13, 10.5, 140, 400, 2)


def _nfc(p: Pen) -> None:
    p.box(3, 3, 21, 21, radius=2)
    p.box(5, 5, 19, 19, 0)
    p.line((9, 15.5), (9, 9), (15, 15), (15, 8.5), width=1.8)


def _sun(p: Pen) -> None:
    for ray in range(8):
        a = math.tau * ray / 8
        p.line(
            (12 + 7.5 * math.cos(a), 12 + 7.5 * math.sin(a)),
            (12 + 10.3 * math.cos(a), 12 + 10.3 * math.sin(a)),
        )
    p.disc(12, 12, 5)


def _contrast(p: Pen) -> None:
    p.disc(12, 12, 9.5)
    p.shape((12, 4.5), (16.5, 6), (19.5, 12), (16.5, 18), (12, 19.5), ink=0)


def _moon(p: Pen) -> None:
    p.disc(12, 12, 9.5)
    p.disc(16, 9, 8, 0)


def _rotate(p: Pen) -> None:
    p.arc(12, 12, 9, 200, 340, 2)
    p.arc(12, 12, 9, 20, 160, 2)
    p.shape((20, 4), (21.5, 11.5), (15, 9.5))
    p.shape((4, 20), (2.5, 12.5), (9, 14.5))
    p.box(9.5, 8, 14.5, 16, radius=1)


def _forbidden(p: Pen) -> None:
    p.disc(12, 12, 9.8)
    p.box(6, 10.7, 18, 13.3, 0, radius=1)


def _pin(p: Pen) -> None:
    p.disc(12, 9.5, 7)
    p.shape((5.9, 13), (18.1, 13), (12, 22.5))
    p.disc(12, 9.5, 2.8, 0)


def _battery(p: Pen) -> None:
    p.box(9.5, 1.5, 14.5, 5)
    p.box(6.5, 3.5, 17.5, 22.5, radius=1.5)
    p.shape((13.5, 7), (8.8, 14), (11.7, 14), (10.5, 19.5), (15.3, 12), (12.4, 12), ink=0)


def _speaker(p: Pen) -> None:
    p.shape((3, 9), (7, 9), (12.5, 4), (12.5, 20), (7, 15), (3, 15))
    p.arc(12.5, 12, 4.5, 300, 420, 2)
    p.arc(12.5, 12, 8.5, 300, 420, 2)


def _bell(p: Pen) -> None:
    p.disc(12, 10, 6.5)
    p.box(5.5, 10, 18.5, 17)
    p.box(3.5, 16, 20.5, 18.5, radius=1)
    p.disc(12, 20, 2.2)


def _info(p: Pen) -> None:
    p.disc(12, 12, 10)
    p.disc(12, 7.3, 1.5, 0)
    p.box(10.8, 10.5, 13.2, 18, 0)


def _back(p: Pen) -> None:
    p.line((20, 12), (4.5, 12), width=2.2)
    p.line((11.5, 5), (4.5, 12), (11.5, 19), width=2.2)


def _plus(p: Pen) -> None:
    p.line((12, 4.5), (12, 19.5), width=2.4)
    p.line((4.5, 12), (19.5, 12), width=2.4)


def _trash(p: Pen) -> None:
    p.box(4, 4.5, 20, 6.8)
    p.box(9, 2.5, 15, 5)
    p.box(5.5, 8.3, 18.5, 22, radius=1.5)


def _check(p: Pen) -> None:
    p.line((4.5, 12.5), (9.8, 18), (19.8, 6.5), width=2.6)


def _play(p: Pen) -> None:
    p.shape((7, 4), (7, 20), (20.5, 12))


def _pause(p: Pen) -> None:
    p.box(6, 4.5, 10, 19.5)
    p.box(14, 4.5, 18, 19.5)


def _next(p: Pen) -> None:
    p.shape((5, 5), (5, 19), (15.5, 12))
    p.box(16.5, 5, 19, 19)


def _previous(p: Pen) -> None:
    p.shape((19, 5), (19, 19), (8.5, 12))
    p.box(5, 5, 7.5, 19)


def _backspace(p: Pen) -> None:
    p.shape((8.5, 5), (22, 5), (22, 19), (8.5, 19), (2, 12))
    p.line((11.5, 9), (17.5, 15), width=1.8, ink=0)
    p.line((17.5, 9), (11.5, 15), width=1.8, ink=0)


def _shift(p: Pen) -> None:
    p.shape((12, 3), (21, 13), (16, 13), (16, 20.5), (8, 20.5), (8, 13), (3, 13))


def _enter(p: Pen) -> None:
    p.line((20, 6), (20, 13), (5.5, 13), width=2.2)
    p.line((10.5, 8), (5.5, 13), (10.5, 18), width=2.2)


def _close(p: Pen) -> None:
    p.line((5.5, 5.5), (18.5, 18.5), width=2.4)
    p.line((18.5, 5.5), (5.5, 18.5), width=2.4)


def _cart(p: Pen) -> None:
    p.line((1.5, 4), (4.5, 4), (7.5, 15.5), (18.5, 15.5), (21.5, 7), (5.5, 7), width=2)
    p.disc(9, 20, 2)
    p.disc(17, 20, 2)


def _microphone(p: Pen) -> None:
    p.box(8.5, 2, 15.5, 14.5, radius=3.5)
    p.arc(12, 11, 7, 0, 180, 1.8)
    p.box(11.1, 18, 12.9, 22)


_ICONS: dict[str, Callable[[Pen], None]] = {
    name.removeprefix("_"): draw
    for name, draw in list(globals().items())
    if name.startswith("_") and callable(draw) and not name.startswith("__")
}


@lru_cache(maxsize=256)
def icon(name: str, size: int) -> Image.Image:
    """Return the coverage mask of icon `name`, `size` x `size` pixels, 8 bits."""
    image = Image.new("L", (size * OVERSAMPLE, size * OVERSAMPLE), 0)
    _ICONS[name](Pen(image))
    return image.reduce(OVERSAMPLE)


def names() -> tuple[str, ...]:
    return tuple(_ICONS)
