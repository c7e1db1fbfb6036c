"""Which of several engines is asked, and when the first one is asked again."""

from __future__ import annotations

import pytest

from app.errors import (
    ContextOverflow,
    EngineContentRefused,
    EngineError,
    EngineNotReady,
    EngineRequestFailed,
    EngineStartFailed,
    EngineUnpaid,
    EngineUnreachable,
)
from app.llm.alternatives import AWAY_S, Alternatives, Member
from app.llm.client import ChatClient
from app.llm.engine import Engine
from app.settings import EngineSettings


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def member(name: str, context: int = 16384) -> Member:
    engine = Engine(EngineSettings(kind="remote", url="http://127.0.0.1:1", context=context))
    return Member(name, engine, ChatClient(engine.ensure_ready, local=False))


A, B, C = member("a"), member("b", 8192), member("c")


def test_the_first_that_is_not_away() -> None:
    clock = Clock()
    engines = Alternatives([A, B, C], clock)
    assert engines.choose() is A
    assert engines.lost(A, EngineUnreachable("gone")) is B
    assert engines.lost(B, EngineUnpaid("no money")) is C
    assert engines.choose() is C
    assert engines.lost(C, EngineStartFailed("no")) is None
    assert engines.choose() is A  # somebody has to be asked
    clock.now += AWAY_S + 1
    assert engines.choose() is A
    assert engines.lost(A, EngineUnreachable("gone")) is B


def test_two_tasks_that_lose_the_same_engine_skip_none() -> None:
    engines = Alternatives([A, B, C])
    assert engines.lost(A, EngineUnreachable("gone")) is B
    assert engines.lost(A, EngineUnreachable("gone")) is B


@pytest.mark.parametrize(
    "error",
    [
        ContextOverflow("long"),
        EngineContentRefused("no"),
        EngineRequestFailed("bad"),
        EngineNotReady("stopped by hand"),
    ],
)
def test_an_error_of_the_request_loses_no_engine(error: EngineError) -> None:
    engines = Alternatives([A, B])
    assert engines.lost(A, error) is None
    assert engines.choose() is A


def test_one_engine_has_no_other() -> None:
    engines = Alternatives([A])
    assert engines.lost(A, EngineUnreachable("gone")) is None
    assert engines.shown()[0]["error"] is None
    with pytest.raises(ValueError, match="no engine"):
        Alternatives([])


def test_all_are_shown_and_a_prompt_must_fit_each() -> None:
    engines = Alternatives([A, B])
    engines.lost(A, EngineUnpaid("no money"))
    first, second = engines.shown()
    assert (first["name"], first["used"], first["error"]["code"]) == ("a", False, "engine_unpaid")
    assert (second["name"], second["used"], second["error"]) == ("b", True, None)
    assert engines.context == 8192
