"""The shipped rules on everyday situations: who must be asked is asked, and hardly anybody else."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.agent.guard import Guard, Scene
from app.agent.guard.tokens import normalise
from app.asking import categories_of
from app.settings import load_settings
from tests.agent.guard_table import MUST_ASK, MUST_NOT_ASK, RIGHT, TAP, UP, Case, text

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
