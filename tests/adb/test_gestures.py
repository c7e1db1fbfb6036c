"""What a finger does in each gesture."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adb import gestures
from app.adb.gestures import Gesture
from app.errors import InputError

PIXELS = st.integers(0, 20_000)


def well_formed(gesture: Gesture) -> None:
    """Times never go back; every finger that goes down is moved only then, and lifted."""
    times = [touch.at_ms for touch in gesture.touches]
    assert times == sorted(times)
    assert times[0] == 0
    down = False
    for touch in gesture.touches:
        assert (touch.phase == "down") is not down
        down = touch.phase != "up"
    assert not down


@given(PIXELS, PIXELS, PIXELS, PIXELS, st.integers(1500, 10_000))
def test_every_gesture_is_well_formed(x1: int, y1: int, x2: int, y2: int, ms: int) -> None:
    for gesture in (
        gestures.tap(x1, y1),
        gestures.double_tap(x1, y1),
        gestures.long_press(x1, y1, ms),
        gestures.swipe(x1, y1, x2, y2, ms, height=2400),
        gestures.drag(x1, y1, x2, y2, ms),
    ):
        well_formed(gesture)
        assert (gesture.touches[0].x, gesture.touches[0].y) == (x1, y1)


@given(st.integers(1, 400))
def test_a_short_swipe_is_well_formed_and_reaches_its_end(ms: int) -> None:
    gesture = gestures.swipe(500, 1800, 500, 600, ms, height=2400)
    well_formed(gesture)
    assert gesture.touches[-1] == gestures.Touch(ms, "up", 500, 600)
    assert (gesture.touches[-2].x, gesture.touches[-2].y) == (500, 600)


def test_a_tap_is_shorter_than_a_long_press_and_two_taps_are_one_double_tap() -> None:
    down, up = gestures.tap(3, 4).touches
    assert 40 <= up.at_ms - down.at_ms <= 80
    first_up, second_down = gestures.double_tap(3, 4).touches[1:3]
    assert 40 <= second_down.at_ms - first_up.at_ms <= 200


def rest_ms(gesture: Gesture) -> float:
    """How long the finger rests before it is lifted."""
    *before, last = gesture.touches
    return last.at_ms - next(t.at_ms for t in before if (t.x, t.y) == (last.x, last.y))


def test_a_vertical_swipe_ends_with_a_rest_so_that_the_list_stops() -> None:
    assert rest_ms(gestures.swipe(500, 1800, 500, 600, 600, height=2400)) >= 80


@pytest.mark.parametrize(
    "points", [(900, 1200, 100, 1200), (500, 2390, 500, 1200), (500, 10, 500, 1200)]
)
def test_a_swipe_that_turns_a_page_or_opens_an_edge_does_not_rest(
    points: tuple[int, int, int, int],
) -> None:
    assert rest_ms(gestures.swipe(*points, 300, height=2400)) < 40


def test_a_drag_holds_the_item_before_it_moves() -> None:
    gesture = gestures.drag(100, 200, 300, 400, 2000)
    assert gesture.touches[1].at_ms > 500
    assert gesture.commands == (("input", "draganddrop", "100", "200", "300", "400", "2000"),)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: gestures.tap(-1, 0),
        lambda: gestures.tap(True, 0),
        lambda: gestures.tap(1.5, 0),  # type: ignore[arg-type]  # what a caller must not do
        lambda: gestures.swipe(0, 0, 1, 1, 0),
        lambda: gestures.swipe(0, 0, 1, 1, 10_001),
        lambda: gestures.drag(0, 0, 1, 1, 1_499),
    ],
)
def test_wrong_numbers_are_refused(wrong: Callable[[], Gesture]) -> None:
    with pytest.raises(InputError):
        wrong()
