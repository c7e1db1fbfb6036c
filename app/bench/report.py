"""Draws pictures for people: where a tap went, and where it should have gone."""

from __future__ import annotations

import io

from PIL import Image, ImageDraw

Point = tuple[int, int]
Box = tuple[int, int, int, int]

_TARGET, _TAP = (0, 160, 60), (220, 0, 40)
_WIDTH, _ARM = 8, 40


def marked(screen: Image.Image, box: Box, tap: Point | None) -> bytes:
    """Return the screen as PNG, with a green frame around `box` and a red cross at `tap`, if any.
    All in pixels; right and bottom of `box` are exclusive."""
    picture = screen.convert("RGB")
    pen = ImageDraw.Draw(picture)
    left, top, right, bottom = box
    pen.rectangle((left, top, right - 1, bottom - 1), outline=_TARGET, width=_WIDTH)
    if tap is not None:
        x, y = tap
        pen.line((x - _ARM, y, x + _ARM, y), fill=_TAP, width=_WIDTH)
        pen.line((x, y - _ARM, x, y + _ARM), fill=_TAP, width=_WIDTH)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
