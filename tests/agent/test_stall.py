"""When a task is said to get nowhere, and when it is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.agent.actions import Action, Back, Note, Swipe, Tap
from app.agent.stall import ROUNDS, SAME_ACTION, SAME_ACTION_ALIKE, UNCHANGED, StallWatch, alike

TAP = Tap(element=(5, 5))
A, B = bytes([1]) * 960, bytes([2]) * 960
IN_TURN = ROUNDS[2]


def moving(number: int, share: float = 0.3) -> bytes:
    """A screen of which a part, such as a video, shows something else each time."""
    part = int(960 * share)
    return bytes([1]) * (960 - part) + bytes([10 + number % 100]) * part


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
    rounds: list[tuple[bytes, Action]] = [(A, TAP), (B, Back())] * IN_TURN
    assert "to and fro" in after(*rounds, screen=A)
    assert after(*rounds[:-1], screen=B) == ""
    assert after(*rounds, screen=bytes([9]) * 960) == ""


def test_a_list_that_is_searched_by_going_in_and_out_is_no_stall() -> None:
    """The way back is the same each time, the way in is not."""
    past: list[tuple[bytes, Action]] = [
        (A, Tap(element=(5, 1))),
        (B, Back()),
        (A, Tap(element=(5, 2))),
        (B, Back()),
    ]
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
    assert watch.check(bytes([9]) * 960) == ""
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


@given(st.lists(st.sampled_from([TAP, Back()]), max_size=60))
def test_a_task_that_sees_new_screens_all_the_time_is_never_stalled(actions: list[Action]) -> None:
    watch = StallWatch()
    for number, action in enumerate(actions):
        screen = bytes([number + 1]) * 960
        assert watch.check(screen) == ""
        watch.acted(screen, action)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.35])
def test_the_same_action_while_a_part_of_the_screen_moves_is_noticed(share: float) -> None:
    watch = StallWatch()
    for number in range(12):
        if sign := watch.check(moving(number, share)):
            assert "changed little: Tap at 5, 5" in sign
            return
        watch.acted(moving(number, share), TAP)
    raise AssertionError("twelve actions went unnoticed")


def test_a_moving_stall_that_goes_on_after_the_warning_is_reported_as_the_same_one() -> None:
    watch, reported = StallWatch(), []
    for number in range(3 * SAME_ACTION_ALIKE):
        if watch.check(moving(number)):
            reported.append(watch.warned())
        watch.acted(moving(number), TAP)
    assert reported == [False, True]


@pytest.mark.parametrize("size", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("moves", [False, True])
def test_a_round_of_screens_is_noticed_within_twelve_actions(size: int, moves: bool) -> None:
    watch = StallWatch()
    actions: list[Action] = [Tap(element=(5, place)) for place in range(size)]
    for number in range(13):
        at = number % size
        part = bytes([100 + number]) * 100 if moves else bytes(100)
        screen = bytes([at + 1]) * 860 + part
        if watch.check(screen):
            assert number <= 12
            return
        watch.acted(screen, actions[at])
    raise AssertionError("twelve actions went unnoticed")


def test_scrolling_on_through_a_long_list_is_no_stall() -> None:
    """Rows of text on white: few pixels change, but all over the screen."""
    swipe, watch = Swipe(start=(500, 800), end=(500, 200)), StallWatch()
    for number in range(30):
        rows = b"".join(
            bytes([200] * 5 + [(7 * (line + number)) % 90] * 3 + [200] * 12) for line in range(48)
        )
        assert watch.check(rows) == ""
        watch.acted(rows, swipe)


def test_screens_of_other_sizes_are_never_alike() -> None:
    assert not alike(b"abc", b"abcd")
    assert alike(b"", b"")


def test_a_swipe_that_no_longer_scrolls() -> None:
    swipe = Swipe(start=(500, 800), end=(500, 200))
    past: list[tuple[bytes, Action]] = [(bytes([50 + n]) * 960, swipe) for n in range(5)]
    assert after(*past, *[(A, swipe)] * SAME_ACTION, screen=A)
