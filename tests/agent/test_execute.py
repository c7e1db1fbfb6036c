"""Actions on the phone: which calls they become, and where the finger comes down."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.agent.actions import Action, Answer, Drag, GiveUp, Key, LongPress, Tap, TypeText
from app.agent.dialects.space import PictureRule, Size, Space
from app.agent.execute import execute, to_pixels
from app.errors import ActionOutOfBounds
from tests.agent.doubles import PlainFrame, RememberingDevice

SCREENS = [(720, 1600), (1080, 2400), (1440, 3200), (1600, 720), (2400, 1080), (3200, 1440)]
SCREEN = st.sampled_from(SCREENS)
QWEN = PictureRule(cell=32, min_cells=64, max_cells=4096)
TARS = PictureRule(cell=28, min_cells=100, max_cells=4096)


@pytest.mark.parametrize(
    ("action", "calls"),
    [
        (Key(key="recents"), [("press", "recents")]),
        (LongPress(element=(500, 500), ms=2_500), [("long_press", 540, 1200, 2_500)]),
        (Drag(start=(0, 0), end=(999, 999)), [("drag", 0, 0, 1078, 2397)]),
        (TypeText(text="a"), [("type_text", "a")]),
        (TypeText(text="a", clear=False), [("type_text", "a", "kept")]),
        (
            TypeText(text="a", element=(500, 100), submit=True),
            [("tap", 540, 240), ("type_text", "a"), ("press", "enter")],
        ),
    ],
    ids=lambda value: value.describe() if hasattr(value, "describe") else "",
)
async def test_an_action_becomes_these_calls(
    action: Action, calls: list[tuple[object, ...]]
) -> None:
    device = RememberingDevice()
    await execute(action, device, PlainFrame())
    assert device.calls == calls


@pytest.mark.parametrize("action", [GiveUp(message="no"), Answer(message="42")])
async def test_what_is_said_touches_nothing(action: Action) -> None:
    with pytest.raises(ValueError, match=action.kind):
        await execute(action, RememberingDevice(), PlainFrame())


@pytest.mark.parametrize("key", ["home_long", "KEYCODE_POWER", "26", "sleep", "wakeup"])
def test_a_key_outside_the_list_is_no_key(key: str) -> None:
    with pytest.raises(ValidationError):
        Key.model_validate({"key": key})


# -- places


@given(SCREEN, st.data())
def test_a_model_that_answers_in_pixels_reaches_every_pixel(
    screen: Size, data: st.DataObject
) -> None:
    """The picture is the phone's own: what the model says is where the finger comes down."""
    x, y = (data.draw(st.integers(0, side - 1)) for side in screen)
    point = Space(*screen, pixels=True).point(x, y)
    assert to_pixels(point, PlainFrame(*screen)) == (x, y)


@given(SCREEN, st.sampled_from([QWEN, TARS]), st.data())
def test_a_pixel_of_a_resized_picture_is_the_pixel_it_shows(
    screen: Size, rule: PictureRule, data: st.DataObject
) -> None:
    sent = rule.size(*screen)
    x, y = (data.draw(st.integers(0, side - 1)) for side in sent)
    there = to_pixels(Space(*sent, pixels=True).point(x, y), PlainFrame(*screen))
    for said, pixel, small, large in zip((x, y), there, sent, screen, strict=True):
        middle = Fraction((2 * said + 1) * large, 2 * small)  # of what the model pointed at
        # Exactly between two pixels either is right: places have three decimals.
        between = middle.denominator == 1 and pixel == middle - 1
        assert between or pixel == min(math.floor(middle), large - 1)
        if small <= large:  # and back again
            assert (2 * pixel + 1) * small // (2 * large) == said


@given(SCREEN, st.integers(0, 999), st.integers(0, 999))
def test_a_thousandth_begins_at_its_own_pixel(screen: Size, x: int, y: int) -> None:
    width, height = screen
    point = Space().point(x, y)
    assert point == (x, y)
    assert to_pixels(point, PlainFrame(*screen)) == (x * width // 1000, y * height // 1000)


@given(SCREEN, st.data())
def test_every_pixel_has_a_coordinate(screen: Size, data: st.DataObject) -> None:
    width, height = screen
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    tap = Tap(element=Space(width, height, pixels=True).point(x, y))
    stored = Tap.model_validate_json(tap.model_dump_json())
    assert to_pixels(stored.element, PlainFrame(width, height)) == (x, y)


@pytest.mark.parametrize("screen", SCREENS)
def test_the_number_of_the_far_edge_is_the_last_pixel_and_no_more(screen: Size) -> None:
    width, height = screen
    assert to_pixels(Space(width, height, pixels=True).point(*screen), PlainFrame(*screen)) == (
        width - 1,
        height - 1,
    )
    assert Space().point(1000, 0) == (999, 0)
    for x, y in ((-1, 5), (5, height + 1), (width + 1, 5), (1e308, 5)):
        with pytest.raises(ActionOutOfBounds):
            Space(width, height, pixels=True).point(x, y)
    for x, y in ((-1, 5), (5, 1001), (1080, 2200), (1e308, 5)):
        with pytest.raises(ActionOutOfBounds):
            Space().point(x, y)


# -- pictures


@given(st.integers(200, 4000), st.integers(200, 4000), st.sampled_from([QWEN, TARS]))
def test_the_engine_has_nothing_left_to_resize(width: int, height: int, rule: PictureRule) -> None:
    sent = rule.size(width, height)
    assert all(side % rule.cell == 0 for side in sent)
    assert rule.min_cells <= rule.tokens(*sent) <= rule.max_cells
    assert rule.size(*sent) == sent


@pytest.mark.parametrize(
    ("screen", "rule", "sent", "tokens"),
    [
        ((1080, 2400), QWEN, (1088, 2400), 2550),
        ((2400, 1080), QWEN, (2400, 1088), 2550),
        ((720, 1600), TARS, (728, 1596), 1482),
        ((1440, 3200), TARS, (1176, 2660), 3990),
    ],
)
def test_pictures_of_real_screens(screen: Size, rule: PictureRule, sent: Size, tokens: int) -> None:
    assert rule.size(*screen) == sent
    assert rule.tokens(*sent) == tokens
