"""What of a text a person is shown."""

from __future__ import annotations

import sys
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.visible import one_line, visible

SHOWS_THOUGH_FORMAT = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
"""Unicode's property Prepended_Concatenation_Mark: of category Cf, and visible."""
OTHERS = [
    *(0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0, 0x2800),
    *range(0x180B, 0x1810),
    *range(0xFE00, 0xFE10),
    *range(0xE0100, 0xE01F0),
    *range(0xD800, 0xE000),
]
anything = st.text(st.characters(codec=None, exclude_categories=()))


def test_no_invisible_character_of_all_of_unicode_stays() -> None:
    format_or_control = [
        code
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code)) in ("Cf", "Cc")
        and code not in SHOWS_THOUGH_FORMAT
        and chr(code) not in "\n\t\r"
    ]
    assert [hex(c) for c in (*format_or_control, *OTHERS) if visible(f"a{chr(c)}b") != "ab"] == []


def test_what_can_be_seen_stays() -> None:
    kept = [
        code
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code))[0] in "LNPS" and code not in OTHERS
    ]
    assert [hex(code) for code in kept if visible(chr(code)) != chr(code)] == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Pay \u202e005\u202c EUR", "Pay 005 EUR"),
        ("Se\u200bnd\u2066!\u2069", "Send!"),
        ("one\r\ntwo\rthree\u2028four\tfive", "one\ntwo\nthree\nfour\tfive"),
        ("\N{WOMAN}\u200d\N{PERSONAL COMPUTER}", "\N{WOMAN}\u200d\N{PERSONAL COMPUTER}"),
        ("\N{WOMAN}\ufe0f\u200d\N{HEAVY BLACK HEART}", "\N{WOMAN}\u200d\N{HEAVY BLACK HEART}"),
        ("\N{WOMAN}\u200da\u200d\N{WOMAN}\u200d", "\N{WOMAN}a\N{WOMAN}"),
        ("\N{WOMAN}\u200d\u200d\N{WOMAN}", "\N{WOMAN}\N{WOMAN}"),
        ("\x1b[31mred\x1b[0m \x9b1m", "[31mred[0m 1m"),
        ("na\u00efve Stra\u00dfe 今すぐ 결제", "na\u00efve Stra\u00dfe 今すぐ 결제"),
    ],
)
def test_what_is_taken_out_and_what_stays(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(anything)
def test_twice_is_once_and_the_rest_can_be_encoded(text: str) -> None:
    once = visible(text)
    assert visible(once) == once
    assert once.encode().decode() == once
    assert len(once) <= len(text)


@given(anything, st.integers(1, 50))
def test_a_line_is_short_and_one(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit
    assert "\n" not in line
    assert visible(line) == line


def test_a_million_hostile_characters_take_no_time() -> None:
    begun = time.perf_counter()
    visible("\u200d\u202e\N{WOMAN}\u200d" * 250_000)
    assert time.perf_counter() - begun < 2
