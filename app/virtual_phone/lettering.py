"""The phone's text: fonts, and breaking text into lines that fit."""

from __future__ import annotations

from functools import lru_cache

import font_roboto
from PIL import ImageFont


@lru_cache(maxsize=64)
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    # The basic layout engine produces the same pixels with and without libraqm.
    path = font_roboto.RobotoMedium if bold else font_roboto.Roboto
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=8192)
def _advance(character: str, face: ImageFont.FreeTypeFont) -> float:
    return face.getlength(character)


def _fitting(text: str, face: ImageFont.FreeTypeFont, max_width: int, ending: str = "") -> int:
    """Return how many characters of `text` fit together with `ending`.

    The widths of single characters give an estimate, so that little of a long text is measured.
    """
    count, left = 0, max_width - face.getlength(ending)
    while count < len(text) and left > 0:
        left -= _advance(text[count], face)
        count += 1
    while count and face.getlength(text[:count] + ending) > max_width:
        count -= 1
    while count < len(text) and face.getlength(text[: count + 1] + ending) <= max_width:
        count += 1
    return count


def shorten(text: str, face: ImageFont.FreeTypeFont, max_width: int) -> str:
    """Return `text` itself, or its longest beginning that fits with an ellipsis."""
    if _fitting(text, face, max_width) == len(text):
        return text
    return text[: _fitting(text, face, max_width, "…")].rstrip() + "…"


def wrap(text: str, face: ImageFont.FreeTypeFont, max_width: int) -> list[str]:
    """Break `text` at spaces (and inside words that are too long) into lines that fit."""
    return [line for paragraph in text.split("\n") for line in _wrapped(paragraph, face, max_width)]


def wrap_end(text: str, face: ImageFont.FreeTypeFont, max_width: int, count: int) -> list[str]:
    """Return the last `count` lines of `wrap`."""
    lines: list[str] = []
    for paragraph in reversed(text.split("\n")):
        lines = [*_wrapped(paragraph, face, max_width)[-count:], *lines]
        if len(lines) >= count:
            break
    return lines[-count:]


@lru_cache(maxsize=64)
def _wrapped(paragraph: str, face: ImageFont.FreeTypeFont, max_width: int) -> tuple[str, ...]:
    lines: list[str] = []
    start = 0
    while True:
        while paragraph[start : start + 1] == " ":  # a line does not begin with a space
            start += 1
        rest = paragraph[start:]
        count = _fitting(rest, face, max_width)
        if start + count == len(paragraph):
            return (*lines, rest)
        space = rest.rfind(" ", 0, count + 1)
        if space > 0:
            lines.append(rest[:space])
            start += space + 1
        else:
            lines.append(rest[: max(count, 1)])
            start += max(count, 1)
