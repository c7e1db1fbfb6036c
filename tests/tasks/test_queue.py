"""Whose turn it is on a phone: by priority, then by arrival; and any phone is any."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import DeviceBusy
from app.tasks import queue as queue_module
from app.tasks.queue import ANY, Deal, Line, LocalQueue, Ticket


@dataclass
class Phones:
    """A fleet of phones that are there, each with the routes that lead to it."""

    routes: dict[str, str] = field(default_factory=lambda: {"a": "a", "b": "b"})
    held: set[str] = field(default_factory=set)
    looks: int = 0

    async def choose(self, serial: str | None = None) -> None:
        await asyncio.sleep(0)

    async def answering(self) -> list[tuple[str, str]]:
        self.looks += 1
        await asyncio.sleep(0)
        return [(phone, phone) for phone in dict.fromkeys(self.routes.values())]

    async def phone_of(self, serial: str) -> str:
        return self.routes.get(serial, serial)

    @asynccontextmanager
    async def hold(self, serial: str) -> AsyncIterator[str]:
        phone = self.routes.get(serial, serial)
        if phone in self.held:
            raise DeviceBusy(f"{phone} is taken")
        self.held.add(phone)
        try:
            yield f"lease of {serial}"
        finally:
            self.held.discard(phone)


async def settled() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def in_order(turns: LocalQueue, tickets: list[Ticket]) -> list[str]:
    """The ids in the order in which they had their turns, all waiting from the start."""
    order: list[str] = []

    async def run(ticket: Ticket) -> None:
        async with turns.take(ticket):
            order.append(ticket.task_id)

    async with AsyncExitStack() as stack:
        for phone in ("a", "b"):
            await stack.enter_async_context(turns.take(Ticket("first", phone)))
        jobs = []
        for ticket in tickets:
            jobs.append(asyncio.create_task(run(ticket)))
            await settled()
    await asyncio.gather(*jobs)
    return order


async def test_a_higher_priority_goes_first_then_who_came_first() -> None:
    tickets = [Ticket("1", "a"), Ticket("2", "a", -5), Ticket("3", "a", 5), Ticket("4", "a", 5)]
    assert await in_order(LocalQueue(Phones()), tickets) == ["3", "4", "1", "2"]  # type: ignore[arg-type]


async def test_any_takes_the_phone_that_was_idle_longest() -> None:
    turns = LocalQueue(Phones())  # type: ignore[arg-type]
    async with turns.take(Ticket("1", "b")), turns.take(Ticket("2", ANY)) as turn:
        assert (turn.phone, turn.serial) == ("a", "a")
    async with turns.take(Ticket("3", ANY)) as turn:
        assert turn.phone == "a"  # its turn ended before that of b
    async with turns.take(Ticket("4", ANY)) as turn:
        assert turn.phone == "b"


async def test_any_waits_where_all_are_busy_and_blocks_nobody() -> None:
    turns = LocalQueue(Phones())  # type: ignore[arg-type]
    async with AsyncExitStack() as stack:
        a = AsyncExitStack()
        await a.enter_async_context(turns.take(Ticket("1", "a")))
        await stack.enter_async_context(turns.take(Ticket("2", "b")))
        taken: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def wait() -> None:
            async with turns.take(Ticket("3", ANY)) as turn:
                taken.set_result(turn.serial)

        job = asyncio.create_task(wait())
        await settled()
        assert not taken.done()
        await a.aclose()
        assert await taken == "a"
        await job


async def test_two_routes_to_one_phone_share_its_queue() -> None:
    turns = LocalQueue(Phones({"usb": "phone", "wifi": "phone"}))  # type: ignore[arg-type]
    async with turns.take(Ticket("1", "usb")):
        other = asyncio.create_task(turns.take(Ticket("2", "wifi")).__aenter__())
        await settled()
        assert not other.done()
        other.cancel()
        with suppress(asyncio.CancelledError):
            await other
    async with turns.take(Ticket("3", "wifi")) as turn:
        assert turn.serial == "wifi"


async def test_the_end_of_a_turn_takes_as_many_looks_however_many_wait() -> None:
    phones = Phones()
    turns = LocalQueue(phones)  # type: ignore[arg-type]
    looks = []
    for count in (5, 50):
        before = phones.looks
        await in_order(turns, [Ticket(str(number), ANY) for number in range(count)])
        looks.append((phones.looks - before) / count)
    assert looks[1] < 2 * looks[0]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", ANY]), st.integers(-1, 1), st.booleans(), st.integers(0, 5)
        ),
        max_size=15,
    )
)
def test_no_phone_is_used_twice_or_lost(tasks: list[tuple[str, int, bool, int]]) -> None:
    async def run() -> None:
        phones = Phones()
        turns = LocalQueue(phones)  # type: ignore[arg-type]
        busy: set[str] = set()

        async def work(number: int, device: str, priority: int, rounds: int) -> None:
            async with turns.take(Ticket(str(number), device, priority)) as turn:
                assert turn.phone not in busy
                assert device in (ANY, turn.serial)
                busy.add(turn.phone)
                try:
                    for _ in range(rounds):
                        await asyncio.sleep(0)
                finally:
                    busy.discard(turn.phone)

        jobs = []
        for number, (device, priority, cancelled, rounds) in enumerate(tasks):
            job = asyncio.create_task(work(number, device, priority, rounds))
            jobs.append((job, cancelled))
            await asyncio.sleep(0)
            if cancelled:
                job.cancel()
        for job, cancelled in jobs:
            async with asyncio.timeout(2):
                with suppress(asyncio.CancelledError):
                    await job
            assert cancelled or job.exception() is None
        assert not phones.held
        for phone in ("a", "b"):
            async with asyncio.timeout(2), turns.take(Ticket("last", phone)):
                pass

    asyncio.run(run())


async def test_two_who_wait_do_not_spin_on_a_phone_that_is_held_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Counting(Phones):
        tries = 0

        @asynccontextmanager
        async def hold(self, serial: str) -> AsyncIterator[str]:
            self.tries += 1
            async with super().hold(serial) as lease:
                yield lease

    monkeypatch.setattr(queue_module, "_HELD_ELSEWHERE_S", 3600.0)
    phones = Counting(held={"a"})
    queue = LocalQueue(phones)  # type: ignore[arg-type]
    jobs = [asyncio.create_task(queue.take(Ticket(str(n), "a")).__aenter__()) for n in range(2)]
    for _ in range(20):
        await settled()
    assert phones.tries == 1
    for job in jobs:
        job.cancel()
    await asyncio.wait(jobs)


async def test_a_phone_that_was_held_elsewhere_is_had_when_it_is_let_go_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(queue_module, "_HELD_ELSEWHERE_S", 0.01)
    phones = Phones(held={"a"})
    queue, order = LocalQueue(phones), list[str]()  # type: ignore[arg-type]

    async def run(name: str) -> None:
        async with queue.take(Ticket(name, "a")):
            order.append(name)

    jobs = [asyncio.create_task(run(name)) for name in ("first", "second")]
    await settled()
    assert order == []
    phones.held.clear()
    async with asyncio.timeout(10):
        await asyncio.gather(*jobs)
    assert order == ["first", "second"]


async def test_silent_phones_delay_only_those_who_want_them() -> None:
    class SomeSilent(Phones):
        async def phone_of(self, serial: str) -> str:
            if serial.startswith("silent"):
                await asyncio.Event().wait()
            return serial

        async def answering(self) -> list[tuple[str, str]]:
            return [("b", "b")]

    queue = LocalQueue(SomeSilent())  # type: ignore[arg-type]
    waiting = [
        asyncio.create_task(queue.take(Ticket(f"s{n}", f"silent{n}")).__aenter__())
        for n in range(4)
    ]
    await settled()
    async with asyncio.timeout(1):
        async with queue.take(Ticket("named", "a")) as grant:
            assert grant.phone == "a"
        async with queue.take(Ticket("any", ANY)) as grant:
            assert grant.phone == "b"
    for job in waiting:
        job.cancel()
    await asyncio.wait(waiting)


PHONE_OF = {"a": "a", "b": "b", "wifi": "a"}


def test_the_line_deals_each_phone_once_to_the_first_who_may_have_it() -> None:
    line = Line()
    for ticket in (
        Ticket("late", "a"), Ticket("any", ANY), Ticket("urgent", "wifi", 5), Ticket("b", "b"),
    ):  # fmt: skip
        line.add(ticket)
    deals = line.deal([("b", "b")], PHONE_OF, ())
    assert [(deal.ticket.task_id, deal.phone) for deal in deals] == [("urgent", "a"), ("any", "b")]
    assert line.deal([], PHONE_OF, {"a"}) == [Deal(Ticket("b", "b"), "b", "b")]
    assert len(line) == 1


def test_who_comes_back_has_kept_the_place() -> None:
    line = Line()
    first, second = Ticket("first", "a"), Ticket("second", "a")
    arrival = line.add(first)
    line.add(second)
    line.remove("first")
    line.add(first, arrival)
    (deal,) = line.deal([], PHONE_OF, ())
    assert deal.ticket == first


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", "wifi", "gone", ANY]), st.integers(-2, 2)), max_size=30
    ),
    st.sets(st.sampled_from(["a", "b"])),
    st.sets(st.sampled_from(["a", "b"])),
)
def test_nobody_starves_and_nothing_is_dealt_twice(
    wanted: list[tuple[str, int]], ready: set[str], busy: set[str]
) -> None:
    line = Line()
    tickets = [Ticket(str(n), device, priority) for n, (device, priority) in enumerate(wanted)]
    for ticket in tickets:
        line.add(ticket)
    free = [(phone, phone) for phone in sorted(ready)]
    got: list[str] = []
    while deals := line.deal(free, PHONE_OF, busy):
        phones = [deal.phone for deal in deals]
        assert len(set(phones)) == len(phones)
        assert not busy & set(phones)
        got += [deal.ticket.task_id for deal in deals]
    served = {"a", "b"} - busy
    for ticket in tickets:
        possible = (
            bool(ready & served)
            if ticket.device == ANY
            else PHONE_OF.get(ticket.device, "") in served
        )
        assert (ticket.task_id in got) is possible
        assert (ticket.task_id in line) is not possible
    for device in ("a", "b"):
        same = [t for t in tickets if t.device == device and t.task_id in got]
        assert sorted(same, key=lambda t: got.index(t.task_id)) == sorted(
            same, key=lambda t: (-t.priority, int(t.task_id))
        )
