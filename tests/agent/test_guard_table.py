"""The shipped rules on everyday situations: who must be asked is asked, and hardly anybody else."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.agent.actions import Action
from app.agent.guard import Guard, Scene
from app.agent.guard.thought import LOOKED_AT
from app.agent.guard.tokens import normalise
from app.settings import load_settings
from app.wiring import categories_of
from tests.agent.guard_table import HOLD, MUST_ASK, MUST_NOT_ASK, RIGHT, TAP, UP, Case, text

SHIPPED = categories_of(load_settings(environ={}))
anything = st.text(st.characters(codec=None, exclude_categories=()))


def asks(case: Case) -> str:
    """The rule that asks; "" when none does."""
    return Guard(SHIPPED).review(case.action, case.scene, case.thought).rule


@pytest.mark.parametrize(
    ("cases", "asked", "share"),
    [(MUST_ASK, True, 0.98), (MUST_NOT_ASK, False, 0.95)],
    ids=["must ask", "must not ask"],
)
def test_the_table(cases: tuple[Case, ...], asked: bool, share: float) -> None:
    assert len(cases) >= 200
    assert len({str(case) for case in cases}) == len(cases), "a situation stands there twice"
    misses = [f"{case} -> {asks(case) or 'free'}" for case in cases if bool(asks(case)) != asked]
    right = 1 - len(misses) / len(cases)
    print(f"{right:.1%} of {len(cases)} right")
    print(*misses, sep="\n")
    assert right >= share, f"{right:.1%} right:\n" + "\n".join(misses)


def test_without_rules_the_table_fails() -> None:
    guard = Guard()
    assert not any(guard.review(c.action, c.scene, c.thought).rule for c in MUST_ASK)


@given(
    st.sampled_from([TAP, HOLD, UP, RIGHT, text("\ud800")]),
    st.builds(Scene, *[anything] * 4, st.tuples(anything, anything), st.booleans()),
    anything,
)
def test_no_text_breaks_the_rules(action: Action, scene: Scene, thought: str) -> None:
    guard = Guard(SHIPPED)
    ruling = guard.review(action, scene, thought)
    assert len(ruling.confirm) < 700
    assert "\n" not in ruling.confirm
    ruling.confirm.encode()


@given(anything)
def test_normalising_twice_is_normalising_once(content: str) -> None:
    once = normalise(content)
    assert normalise(once) == once


@pytest.mark.parametrize(
    "spelt",
    [
        "TAP SEND",
        "T\u200ba\u2060p S\u00ade\u200dnd",
        "\uff34\uff41\uff50 \uff33\uff45\uff4e\uff44",
        "tap \u202esend\u202c",
        "Ta\u0301p Se\u0301nd",
    ],
)
def test_spelling_hides_no_word(spelt: str) -> None:
    assert Guard(SHIPPED).review(TAP, Scene("com.example"), spelt).rule == "send:word:en:send"


@pytest.mark.parametrize(
    "hostile",
    [
        "tap pay ",
        "pay",
        "to to to pay not ",
        '"',
        "'pay' ",
        "支付",
        "点击",
        "삭제",
        "confirm confirm ",
        "uberweise ",
        ",",
        ", ",
        "\ufdfa",
        "\u200d",
        "\U0001f469\u200d",
        "a\u0301",
        "don't ",
    ],
)
def test_a_hostile_thought_is_read_in_no_time(hostile: str) -> None:
    guard = Guard(SHIPPED)
    guard.review(TAP, Scene(), "warm")
    scene = Scene("com.whatsapp", ".Main", target=hostile * 50_000, nearby=(hostile * 50_000,) * 12)
    thought = (hostile * 50_000)[:50_000]
    took = []
    for _ in range(3):
        begun = time.perf_counter()
        guard.review(TAP, scene, thought)
        took.append(time.perf_counter() - begun)
    assert min(took) < 0.15, took


def test_a_long_thought_is_read_at_both_ends() -> None:
    filling = "The list is long. " * LOOKED_AT
    scene = Scene("com.example")
    for thought in (f"Tap Send. {filling}", f"{filling} Tap Send."):
        assert Guard(SHIPPED).review(TAP, scene, thought).category == "send"


def test_the_question_says_what_the_rule_saw_and_nothing_hidden() -> None:
    scene = Scene("com.shop", ".Cart", "Sh\u202eop", "Buy\u200b now\n", (), True)
    ruling = Guard(SHIPPED).review(TAP, scene, "I only look around.")
    assert ruling.confirm == (
        'Tap at 500, 900 on "Buy now" in Shop looks like an order or a subscription '
        '(com.shop/.Cart). The rule saw "buy" in the label.'
    )
    assert (ruling.category, ruling.rule) == ("order", "order:word:en:buy")


def test_labels_are_read_only_where_it_is_worth_a_second() -> None:
    guard = Guard(SHIPPED)
    for package, activity in (
        ("com.whatsapp", ".Conversation"),
        ("com.revolut.revolut", ".Main"),
        ("com.shop", ".CheckoutActivity"),
        ("com.google.android.dialer", ".Main"),
    ):
        assert guard.wants_labels(package, activity)
    for package in ("com.android.settings", "org.phonepilot.notes", "com.android.chrome"):
        assert not guard.wants_labels(package, ".Main")
