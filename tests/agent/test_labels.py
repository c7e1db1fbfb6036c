"""What is written under a finger."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.agent.labels import MAX_NEARBY, MAX_TEXT, Touched, focused, touched

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Shown:
    text: str
    box: Box
    clickable: bool = False
    password: bool = False
    focused: bool = False


PAGE = Shown("", (0, 0, 1080, 2400), clickable=True)
PAY = (
    Shown("", (60, 2200, 1020, 2340), clickable=True),
    Shown("Pay 12.50", (440, 2240, 640, 2300)),
)


def test_the_text_of_a_button_counts_wherever_the_button_is_touched() -> None:
    for x in (70, 540, 1010):
        assert touched([PAGE, *PAY], x, 2270).target == "Pay 12.50"
    assert touched([PAGE, *PAY], 540, 2100).target == ""


def test_the_smallest_text_under_the_finger_counts() -> None:
    texts = [
        Shown("A long page of text", (0, 0, 1080, 2300)),
        Shown("Card", (0, 1000, 1080, 1600)),
        Shown("Send", (900, 1450, 1060, 1590), clickable=True),
        PAGE,
    ]
    assert touched(texts, 980, 1500).target == "Send"
    assert touched(texts, 200, 1500).target == "Card"
    assert touched(texts, 200, 500).target == "", "a page is no label"


def test_a_row_is_known_by_its_title_and_then_by_what_stands_below() -> None:
    row = [
        Shown("", (0, 400, 1080, 600), clickable=True),
        Shown("Send me the file", (200, 510, 900, 580)),
        Shown("Anna", (200, 420, 900, 490)),
        Shown("10:42", (920, 430, 1060, 480)),
    ]
    assert touched([PAGE, *row], 500, 540).target == "Anna\n10:42\nSend me the file"


def test_a_box_with_many_texts_is_no_button() -> None:
    rows = [Shown(f"Row {n}", (0, 100 * n, 1000, 100 * n + 90)) for n in range(1, 9)]
    web = Shown("", (0, 0, 1000, 1000), clickable=True)
    far = Shown("", (0, 0, 1000, 2400))
    assert touched([web, far, *rows], 500, 345).target == "Row 3"


def test_a_dialogs_question_is_near_its_button() -> None:
    texts = [
        Shown("Delete all photos?", (140, 1000, 940, 1080)),
        Shown("They cannot be restored.", (140, 1100, 940, 1200)),
        Shown("Cancel", (500, 1300, 700, 1380), clickable=True),
        Shown("OK", (740, 1300, 940, 1380), clickable=True),
        Shown("Status bar", (0, 0, 1080, 60)),
        Shown("", (0, 0, 1080, 2400)),
    ]
    found = touched(texts, 800, 1340)
    assert found.target == "OK"
    assert found.nearby == ("Cancel", "They cannot be restored.", "Delete all photos?")


def test_an_icon_has_the_text_beside_it_or_just_below() -> None:
    texts = [
        Shown("", (900, 2200, 1040, 2340), clickable=True),
        Shown("Message", (60, 2230, 880, 2310)),
        Shown("Send", (920, 2350, 1020, 2390)),
        Shown("Something else", (60, 1000, 880, 1100)),
        Shown("", (0, 0, 1080, 2400)),
    ]
    found = touched(texts, 970, 2270)
    assert found.target == ""
    assert set(found.nearby) == {"Message", "Send"}


def test_typing_goes_to_the_focused_field() -> None:
    label = Shown("Your PIN", (60, 900, 500, 960))
    field = Shown("••••", (60, 1000, 1000, 1100), password=True, focused=True)
    far = Shown("Far away", (0, 2300, 1080, 2400))
    assert focused([label, field, far]) == Touched("Password", ("Your PIN",))
    plain = Shown("Amount", (60, 1000, 1000, 1100), focused=True)
    assert focused([plain, far]).target == "Amount"
    assert focused([label, far]) == Touched()


numbers = st.integers(-99_999, 99_999)
shown = st.builds(
    Shown,
    st.text(),
    st.tuples(numbers, numbers, numbers, numbers),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)


@given(st.lists(shown), numbers, numbers)
def test_no_list_breaks_it(texts: list[Shown], x: int, y: int) -> None:
    for found in (touched(texts, x, y), focused(texts)):
        assert len(found.nearby) <= MAX_NEARBY
        assert len(found.target) <= 2 * MAX_TEXT


@pytest.mark.parametrize("clickable", [True, False])
def test_a_hostile_list_takes_little_time(clickable: bool) -> None:
    huge = "Pay " * 25_000
    texts = [Shown(huge, (n % 500, 0, 1000, 1000 + n % 1400), clickable) for n in range(100_000)]
    begun = time.perf_counter()
    found = touched(texts, 600, 500)
    assert time.perf_counter() - begun < 2
    assert all(len(text) <= MAX_TEXT for text in found.nearby)
