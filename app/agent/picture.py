"""The picture of a screen as a model gets it."""

from __future__ import annotations

from app.agent.dialects.base import Dialect, Size
from app.agent.screen import Frame


def sent_size(dialect: Dialect, fixed: Size | None, width: int, height: int) -> Size:
    """The size in which a screen is sent: a profile's `fixed` one, or what the dialect asks for."""
    return fixed or dialect.sent_size(width, height)


def picture(frame: Frame, size: Size) -> bytes:
    """PNG of that size; the phone's own where nothing has to be resized."""
    return frame.png() if size == (frame.width, frame.height) else frame.scaled_png(*size)
