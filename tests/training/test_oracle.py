"""The teacher reaches its goal from any screen, and changes nothing else."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from app.agent.actions import Finish, TakeOver
from app.agent.dialects.autoglm import AUTOGLM
from app.virtual_phone.apps.catalogue import APPS
from app.virtual_phone.apps.settings import SWITCHES
from app.virtual_phone.phone import Phone
from training.goals import (
    OFF,
    ON,
    OPEN,
    OTHER,
    SYNONYMS,
    OpenGoal,
    OtherGoal,
    SwitchGoal,
    sample_goal,
    sample_open_goal,
    sample_switch_goal,
)
from training.oracle import Advice, advise
from training.screens import MAX_STEPS, TRAINING_SEEDS, act

SEEDS = range(200)


def scattered(seed: int) -> tuple[Phone, random.Random]:
    phone = Phone(0)
    phone.reset(seed, scatter=True)
    return phone, random.Random(f"oracle {seed}")


def follow(phone: Phone, goal: SwitchGoal | OpenGoal) -> tuple[Advice, int]:
    """Do what the oracle says until it is done: (its last advice, steps)."""
    for step in range(1, MAX_STEPS + 1):
        advice = advise(phone, goal)
        if advice.done:
            return advice, step
        act(phone, advice)
    raise AssertionError(f"not done after {MAX_STEPS} steps: {goal.text}")


def test_sets_a_switch_and_nothing_else() -> None:
    steps: Counter[int] = Counter()
    for seed in SEEDS:
        phone, choose = scattered(seed)
        goal = sample_switch_goal(choose)
        expected = phone.state.lasting()
        expected["settings"][goal.key] = goal.want
        advice, taken = follow(phone, goal)
        assert phone.state.lasting() == expected, (seed, goal.text)
        assert advice.call.startswith("finish("), (seed, goal.text)
        steps[taken] += 1
    assert steps[1] > 10  # some were so already, and in view
    assert max(steps) > 5  # some had far to go


def test_leaves_a_switch_that_is_already_so() -> None:
    for seed in SEEDS:
        phone, choose = scattered(seed)
        goal = sample_switch_goal(choose)
        setattr(phone.state.settings, goal.key, goal.want)
        phone.launch("com.android.settings")
        before = phone.state.lasting()
        follow(phone, goal)
        assert phone.state.lasting() == before, (seed, goal.text)


def test_opens_an_app_and_changes_nothing() -> None:
    for seed in SEEDS:
        phone, choose = scattered(seed)
        goal = sample_open_goal(choose)
        before = phone.state.lasting()
        follow(phone, goal)
        assert phone.foreground.package == goal.package, (seed, goal.text)
        assert phone.state.lasting() == before, (seed, goal.text)


def test_hands_over_what_it_was_not_taught() -> None:
    phone, _ = scattered(1)
    advice = advise(phone, OtherGoal("Order a pizza"))
    assert advice.done
    assert isinstance(parse(advice), TakeOver)


def test_every_advice_is_a_reply_that_the_agent_understands() -> None:
    for seed in range(60):
        phone, choose = scattered(seed)
        advice = advise(phone, sample_goal(choose))
        action = parse(advice)
        assert advice.done is isinstance(action, Finish | TakeOver)
        assert advice.thought


def parse(advice: Advice) -> object:
    return AUTOGLM.read(AUTOGLM.assistant_text(advice.thought, advice.call)).action


def test_the_same_screen_gets_the_same_advice() -> None:
    """Whatever went before: the model must be able to learn it from one image."""
    for seed in range(20):
        phone, choose = scattered(seed)
        goal = sample_switch_goal(choose)
        follow(phone, goal)
        phone.reset(seed, scatter=True)
        fresh, _ = scattered(seed)
        assert advise(phone, goal) == advise(fresh, goal)


@pytest.mark.parametrize("switch", SWITCHES, ids=lambda switch: switch.key)
def test_every_switch_has_names_of_its_own(switch: object) -> None:
    spoken = {key: {name.casefold() for name in names} for key, names in SYNONYMS.items()}
    own = spoken.pop(switch.key)  # type: ignore[attr-defined]
    assert own
    assert not any(own & others for others in spoken.values())


def test_sentences_have_one_place_for_a_name() -> None:
    assert all(template.count("{x}") == 1 for template in (*ON, *OFF, *OPEN))
    assert not set(ON) & set(OFF)
    assert not any("{x}" in template for template in OTHER)
    assert len(APPS) < len(OPEN)


def test_training_phones_are_none_of_those_that_are_measured() -> None:
    assert TRAINING_SEEDS > 100_000
