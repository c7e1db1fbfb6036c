"""When a task is said to get nowhere, and when it is not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.agent.actions import Action, Back, Note, Swipe, Tap
from app.agent.stall import IN_TURN, SAME_ACTION, UNCHANGED, StallWatch

TAP = Tap(element=(5, 5))
A, B = b"screen a", b"screen b"


def after(*past: tuple[bytes, Action], screen: bytes) -> str:
    watch = StallWatch()
    for seen, action in past:
        assert watch.check(seen) == ""
        watch.acted(seen, action)
    return watch.check(screen)


def test_the_same_action_on_the_same_screen() -> None:
    assert "did nothing: Tap at 5, 5" in after(*[(A, TAP)] * SAME_ACTION, screen=A)
    assert after(*[(A, TAP)] * (SAME_ACTION - 1), screen=A) == ""
    assert after(*[(A, TAP)] * SAME_ACTION, screen=B) == ""


def test_two_screens_in_turn() -> None:
    rounds = [(A, TAP), (B, Back())] * IN_TURN
    assert "to and fro" in after(*rounds, screen=A)
    assert after(*rounds[:-1], screen=B) == ""
    assert after(*rounds, screen=b"new") == ""


def test_a_list_that_is_searched_by_going_in_and_out_is_no_stall() -> None:
    """The way back is the same each time, the way in is not."""
    past = [(A, Tap(element=(5, 1))), (B, Back()), (A, Tap(element=(5, 2))), (B, Back())]
    past += [(A, Tap(element=(5, 3))), (B, Back())]
    assert after(*past, screen=A) == ""


def test_a_screen_that_stays_whatever_is_done() -> None:
    taps = [(A, Tap(element=(5, place))) for place in range(UNCHANGED)]
    assert "has not changed" in after(*taps, screen=A)


def test_notes_are_not_meant_to_change_the_screen() -> None:
    watch = StallWatch()
    for number in range(3 * UNCHANGED):
        watch.acted(A, Note(message=str(number)))
        assert watch.check(A) == ""


def test_the_same_page_noted_over_and_over() -> None:
    assert after(*[(A, Note())] * (UNCHANGED - 1), screen=A) == ""
    assert "the same: Note" in after(*[(A, Note())] * UNCHANGED, screen=A)
    taps = [(A, Note())] * (UNCHANGED - 1) + [(A, TAP)] + [(B, Note())] * (UNCHANGED - 1)
    assert after(*taps, screen=B) == ""


def test_a_sign_comes_again_only_when_it_has_built_up_anew() -> None:
    watch = StallWatch()
    signs = []
    for _ in range(3 * SAME_ACTION):
        watch.acted(A, TAP)
        signs.append(bool(watch.check(A)))
    assert [number for number, sign in enumerate(signs, 1) if sign] == [3, 6, 9]


def test_the_second_warning_of_one_stall_is_the_last_and_progress_forgets_the_first() -> None:
    watch = StallWatch()
    assert [watch.warned(), watch.warned()] == [False, True]
    watch.acted(A, TAP)
    assert watch.check(b"a new screen") == ""
    assert not watch.warned()
    watch.forgive()
    assert not watch.warned()


def test_going_on_to_and_fro_after_a_warning_is_nothing_new() -> None:
    watch, reported = StallWatch(), []
    for number in range(4 * IN_TURN + 1):
        screen, action = (A, TAP) if number % 2 == 0 else (B, Back())
        if watch.check(screen):
            reported.append(watch.warned())
        watch.acted(screen, action)
    assert reported == [False, True]


@given(st.lists(st.tuples(st.binary(min_size=4), st.sampled_from([TAP, Back()])), unique=True))
def test_a_task_that_sees_new_screens_all_the_time_is_never_stalled(
    past: list[tuple[bytes, Action]],
) -> None:
    watch = StallWatch()
    screens = dict(past)
    for screen, action in screens.items():
        assert watch.check(screen) == ""
        watch.acted(screen, action)


def test_a_swipe_that_no_longer_scrolls() -> None:
    swipe = Swipe(start=(500, 800), end=(500, 200))
    past: list[tuple[bytes, Action]] = [(bytes([n]), swipe) for n in range(5)]
    assert after(*past, *[(A, swipe)] * SAME_ACTION, screen=A)
