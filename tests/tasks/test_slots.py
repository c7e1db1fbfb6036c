"""A phone comes back to the slot that has its prompt, and never takes another's."""

from __future__ import annotations

from app.tasks.slots import Slots


def test_a_phone_comes_back_to_its_slot() -> None:
    slots = Slots(2)
    with slots.hold("a") as first, slots.hold("b") as second:
        assert {first, second} == {0, 1}
    with slots.hold("b") as again:
        assert again == second
    with slots.hold("c") as other:
        assert other == first  # the one that was used longest ago
    with slots.hold("a") as again:
        assert again == first


def test_more_phones_than_slots_leave_the_choice_to_the_engine() -> None:
    slots = Slots(1)
    with slots.hold("a") as first, slots.hold("b") as second:
        assert (first, second) == (0, None)
    with slots.hold("b") as again:
        assert again == 0
