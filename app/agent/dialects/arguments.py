"""Converts the values of a call to the fields of an action. Raises ReplyUnparseable throughout."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from app.agent.actions import MAX_WAIT_S, Point
from app.agent.dialects.space import Space
from app.agent.dialects.syntax import Value
from app.errors import ActionOutOfBounds, ReplyUnparseable

_NUMBER = r"[-+]?\d+(?:\.\d+)?"
_APART = r"[\s)\]]*(?:[,;]|\s)[\s(\[]*"
_POINT = re.compile(rf"[\s(\[]*{_NUMBER}(?:{_APART}{_NUMBER}){{1,3}}[\s)\]]*")
_POINT_TAGS = re.compile(r"</?(?:point|bbox)>|<\|box_(?:start|end)\|>")
_WAIT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z秒分钟小时]*)\s*")
_UNITS = {
    "ms": 0.001,
    **dict.fromkeys(("", "s", "sec", "secs", "second", "seconds", "秒", "秒钟"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes", "分", "分钟"), 60.0),
    **dict.fromkeys(("h", "hour", "hours", "小时"), 3600.0),
}
_MAX_POINT = 200
"""Longest point in characters, if it is written as text."""


def text(arguments: Mapping[str, Value], key: str, *, required: bool = False) -> str:
    value = arguments.get(key)
    if value is None and not required:
        return ""
    if isinstance(value, bool | int | float) and not required:
        return str(value)
    if not isinstance(value, str):
        raise ReplyUnparseable(f"{key} must be text")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ReplyUnparseable(f"{key} contains half a character")
    return value


def app(arguments: Mapping[str, Value]) -> str:
    name = text(arguments, "app", required=True).strip()
    if not name:
        raise ReplyUnparseable("app is empty")
    return name


def point(arguments: Mapping[str, Value], key: str, space: Space) -> Point:
    """Return a point, or the centre of a box, in thousandths.

    Raises ActionOutOfBounds for a place outside the space, and for fractions of it.
    """
    value = arguments.get(key)
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    if isinstance(value, str) and len(value) <= _MAX_POINT:
        bare = _POINT_TAGS.sub(" ", value)
        value = _numbers(bare) if _POINT.fullmatch(bare) else value
    if not isinstance(value, list) or len(value) not in (2, 4):
        raise ReplyUnparseable(f"{key} must be [x,y]")
    numbers = [_number(item, key) for item in value]
    if all(0 <= n <= 1 for n in numbers) and any(isinstance(item, float) for item in value):
        unit = "pixels" if space.pixels else "thousandths of the screen"
        raise ActionOutOfBounds(f"{key} must be in {unit}, not fractions")
    if len(numbers) == 4:
        for corner in (numbers[:2], numbers[2:]):
            space.point(*corner)  # raises if the corner is not on the screen
        numbers = [(numbers[0] + numbers[2]) / 2, (numbers[1] + numbers[3]) / 2]
    return space.point(*numbers)


def seconds(arguments: Mapping[str, Value], key: str) -> float:
    """Return a time to wait: 1 second if none is given, at most MAX_WAIT_S."""
    value = arguments.get(key, 1)
    if isinstance(value, str):
        found = _WAIT.fullmatch(value)
        unit = _UNITS.get(found.group(2).casefold()) if found else None
        if found is None or unit is None:
            raise ReplyUnparseable(f"{key} must be a number of seconds")
        value = min(float(found.group(1)) * unit, MAX_WAIT_S)
    return min(max(_number(value, key), 0.0), MAX_WAIT_S)


def millis(arguments: Mapping[str, Value], key: str) -> int:
    """Return how long to hold the finger, given in seconds; between 0.3 and 10 s."""
    return round(min(max(seconds(arguments, key), 0.3), 10.0) * 1000)


def _numbers(written: str) -> list[Value]:
    parts = re.findall(_NUMBER, written)
    return [float(part) if "." in part else int(part[:20]) for part in parts]


def _number(value: Value, key: str) -> float:
    try:
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    except OverflowError:
        pass  # an integer with hundreds of digits
    raise ReplyUnparseable(f"{key} must contain numbers")
