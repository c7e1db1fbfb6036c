"""Which sentences are goals that a model knows."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.agent.scope import GoalKind, Scope
from app.settings import load_settings
from app.wiring import scope_of
from training.goals import NAMES, OTHER, TRACKS, OtherGoal, sample_goal

DEMO = scope_of(load_settings(("demo",), environ={}))
LIGHT = Scope([GoalKind("Switch", ("Turn on {x}", "{x} (now)"), {"the light": ("lamp", "a.c")})])


def test_every_goal_that_the_demo_model_was_trained_on_is_known() -> None:
    choose = random.Random(12)
    for _ in range(5000):
        goal = sample_goal(choose)
        assert DEMO.knows(goal.text) is not isinstance(goal, OtherGoal), goal


def test_no_goal_that_it_was_taught_to_hand_over_is_known() -> None:
    for text in OTHER:
        for name in NAMES:
            for track in TRACKS:
                assert not DEMO.knows(text.format(name=name, track=track))


@pytest.mark.parametrize(
    "goal",
    [
        "turn on the light",
        "  Turn  on\tthe light. ",
        "Please TURN ON THE LIGHT!",
        "Turn on a.c please",
        "lamp (now)",
        "\uff34urn on lamp",
    ],
)
def test_case_width_spaces_and_politeness_do_not_matter(goal: str) -> None:
    assert LIGHT.knows(goal)


@pytest.mark.parametrize(
    "goal",
    [
        "",
        "Turn on",
        "Turn on abc",
        "Turn on the light and leave",
        "Do not turn on the light",
        "Turn on the lightTurn on the light",
        "lamp",
        "Turn on {x}",
        "Turn on the light\nand open the door",
    ],
)
def test_what_asks_for_anything_else_is_unknown(goal: str) -> None:
    assert not LIGHT.knows(goal)


@given(st.text())
def test_any_text_has_an_answer(goal: str) -> None:
    assert Scope().knows(goal)
    assert not LIGHT.knows(f"{goal} quux")


def test_what_the_model_can_do_is_told() -> None:
    assert LIGHT.told() == "The model does not know this goal; it can only switch the light."
    assert LIGHT.kinds[0].example == "Turn on the light"
