"""The picture of a screen that a model is sent."""

from __future__ import annotations

from app.agent.dialects.base import Dialect, Size
from app.agent.screen import Frame


def sent_size(dialect: Dialect, fixed: Size | None, width: int, height: int) -> Size:
    """The size at which a screen is sent: `fixed` by the profile, or chosen by the dialect."""
    return fixed or dialect.sent_size(width, height)


def picture(frame: Frame, size: Size) -> bytes:
    """Encode the frame as PNG of that size; a frame that already has it is not resized."""
    return frame.png() if size == (frame.width, frame.height) else frame.scaled_png(*size)
