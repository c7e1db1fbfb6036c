"""The type of quirks, and readers that convert their text to a value.

Each reader raises ValueError for an invalid text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class Quirk(Generic[T_co]):
    """One kind of trap. `read` turns its text into a value or raises ValueError."""

    name: str
    meaning: str
    values: str
    """The allowed texts, for people."""
    read: Callable[[str], T_co]
    bare: str | None = None
    """The text that the bare name means; None if the quirk needs a value."""


@dataclass(frozen=True)
class Drops:
    """How often the link is still to be dropped, and at which moment."""

    when: str
    times: int

    def __str__(self) -> str:
        return f"{self.when}:{self.times}"


def one_of(*allowed: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in allowed:
            raise ValueError
        return text

    return read


def some_of(*allowed: str) -> Callable[[str], tuple[str, ...]]:
    """Read comma-separated names, in the given order and each once."""
    choose = one_of(*allowed)
    return lambda text: tuple(dict.fromkeys(map(choose, text.split(","))))


def number_of(*allowed: int) -> Callable[[str], int]:
    choose = one_of(*map(str, allowed))
    return lambda text: int(choose(text))


def whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise ValueError
        return int(text)

    return read


def command(text: str) -> str:
    """Read the name of a program."""
    if not re.fullmatch(r"[a-z]{2,20}", text):
        raise ValueError
    return text


def seconds(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", text):
        raise ValueError
    return float(text)


def size(text: str) -> tuple[int, int]:
    width, x, height = text.partition("x")
    side = whole(100, 8192)
    if not x:
        raise ValueError
    return side(width), side(height)


def package(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z]\w*(\.\w+)+", text, re.ASCII):
        raise ValueError
    return text


def pin(text: str) -> str:
    if text != "none" and not re.fullmatch(r"[0-9]{4,16}", text):
        raise ValueError
    return text.removeprefix("none")


def drops(*moments: str) -> Callable[[str], Drops]:
    """Read `MOMENT[:TIMES]`, or `TIMES` alone if there is only one moment."""

    def read(text: str) -> Drops:
        when, colon, times = text.partition(":")
        if len(moments) == 1 and not colon and when != moments[0]:
            when, times, colon = moments[0], when, ":"
        return Drops(one_of(*moments)(when), whole(1, 1000)(times if colon else "1"))

    return read
