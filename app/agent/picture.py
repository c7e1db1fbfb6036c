"""The picture of a screen that a model is sent."""

from __future__ import annotations

from app.agent.dialects.base import Dialect, Size
from app.agent.screen import Frame


def sent_size(dialect: Dialect, fixed: Size | None, width: int, height: int) -> Size:
    """The size at which a screen is sent: `fixed` by the profile, or chosen by the dialect."""
    return fixed or dialect.sent_size(width, height)


QUALITY = 90
"""Of a JPEG: a noisy 1080x2400 screen is a third of its PNG, and small text stays sharp."""


def encoded(frame: Frame, size: Size, max_bytes: int = 0) -> bytes:
    """Encode the frame as PNG of that size, or as JPEG if the PNG has more than `max_bytes`, 0 for
    any number; a frame that already has the size is not resized."""
    png = frame.png() if size == (frame.width, frame.height) else frame.scaled_png(*size)
    if not max_bytes or len(png) <= max_bytes:
        return png
    return frame.scaled_jpeg(*size, quality=QUALITY)
