"""Which phone: by name, the only one, none, or a question; and one task at a time on each."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import pytest

from app.adb.address import device_address
from app.adb.connection import Deadline
from app.adb.device import Device
from app.adb.fleet import Fleet
from app.adb.server import AdbServer
from app.errors import (
    DeviceBusy,
    DeviceDisconnected,
    DeviceError,
    DeviceNotChosen,
    DeviceNotFound,
    DeviceOffline,
    DeviceTimeout,
    DeviceUnauthorized,
    InputError,
)
from tests.phones import PhoneProcess, phone_process


@pytest.fixture
def second_phone() -> Iterator[PhoneProcess]:
    with phone_process(seed=2) as phone:
        yield phone


async def test_list_and_get(fleet: Fleet, device: Device, virtual_phone: PhoneProcess) -> None:
    (row,) = await fleet.list()
    assert (row.serial, row.state, row.model, row.product) == (
        virtual_phone.serial,
        "device",
        "Virtual_Phone",
        "vphone",
    )
    assert await fleet.get(virtual_phone.serial) is device
    assert await fleet.choose() is device
    assert await fleet.connect(virtual_phone.serial) is device


async def test_none_is_connected(fleet: Fleet) -> None:
    for choice in (None, "nope"):
        with pytest.raises(DeviceNotFound):
            await fleet.choose(choice)
    with pytest.raises(DeviceNotFound):
        await fleet.disconnect("nope")


async def test_several_and_none_named(
    fleet: Fleet, device: Device, second_phone: PhoneProcess
) -> None:
    other = await fleet.connect(second_phone.serial)
    with pytest.raises(DeviceNotChosen, match=second_phone.serial):
        await fleet.choose()
    assert await fleet.choose(second_phone.serial) is other
    await fleet.disconnect(second_phone.serial)
    assert await fleet.choose() is device


async def test_a_phone_whose_owner_has_not_agreed(fleet: Fleet) -> None:
    with phone_process("--unauthorized") as phone:
        with pytest.raises(DeviceUnauthorized) as caught:
            await fleet.connect(phone.serial)
        assert "accept" in caught.value.hint
        with pytest.raises(DeviceUnauthorized):
            await fleet.choose()
        await fleet.disconnect(phone.serial)


async def test_a_phone_that_dies_and_one_that_returns(
    fleet: Fleet, second_phone: PhoneProcess
) -> None:
    device = await fleet.connect(second_phone.serial)
    second_phone.process.kill()
    second_phone.process.wait()
    with pytest.raises((DeviceOffline, DeviceDisconnected, DeviceNotFound)):
        while True:  # until the adb server has seen it
            await device.tap(1, 1)
    with pytest.raises((DeviceOffline, DeviceNotFound)):
        await fleet.choose()
    port = second_phone.serial.rpartition(":")[2]
    with phone_process("--port", port) as returned:
        assert returned.serial == second_phone.serial
        again = await fleet.connect(returned.serial)
        assert (await again.info()).model == "Virtual_Phone"
        await fleet.disconnect(returned.serial)


async def test_a_phone_named_by_its_address_is_connected(
    fleet: Fleet, second_phone: PhoneProcess
) -> None:
    device = await fleet.choose(second_phone.serial)
    assert (await device.info()).model == "Virtual_Phone"
    await fleet.disconnect(device.serial)
    with pytest.raises(DeviceNotFound):
        await fleet.choose("nobody")


async def test_nothing_answers_there(fleet: Fleet) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(DeviceNotFound, match="refused"):
        await fleet.connect(f"127.0.0.1:{port}")
    assert await fleet.list() == []


async def test_something_silent_answers_there(fleet: Fleet) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(DeviceTimeout):
            await fleet.connect(f"127.0.0.1:{port}", timeout_s=1)
    assert f"127.0.0.1:{port}" not in {row.serial for row in await fleet.list()}


@pytest.mark.parametrize(
    "address",
    ["", " ", "a b", "host:", "host:0", "host:99999", "host:5x", "h;x", "a\nb", "-x", "a:1:2"],
)
async def test_bad_addresses(fleet: Fleet, address: str) -> None:
    with pytest.raises(InputError):
        await fleet.connect(address)


@pytest.mark.parametrize(
    ("given", "expected"),
    [("phone", "phone:5555"), ("10.0.0.2:6555", "10.0.0.2:6555"), ("[::1]:5555", "[::1]:5555")],
)
def test_good_addresses(given: str, expected: str) -> None:
    assert device_address(given) == expected


async def test_one_task_at_a_time(fleet: Fleet) -> None:
    async with fleet.hold("a"), fleet.hold("b"):
        assert fleet.is_leased("a")
        with pytest.raises(DeviceBusy):
            async with fleet.hold("a"):
                pass
    assert not fleet.is_leased("a")


async def test_a_cancelled_task_gives_its_phone_back(fleet: Fleet) -> None:
    held = asyncio.Event()

    async def hold() -> None:
        async with fleet.hold("a"):
            held.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hold())
    await held.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with fleet.hold("a"):
        pass


async def test_a_device_refuses_once_its_lease_has_ended(
    fleet: Fleet, device: Device, virtual_phone: PhoneProcess
) -> None:
    async with fleet.hold(device.serial) as first:
        held = await first.device()
        await held.home()
    async with fleet.hold(device.serial) as second:
        before = virtual_phone.commands()
        for call in (
            held.tap(1, 1),
            held.type_text("x"),
            held.launch("Notes"),
            held.screenshot(),
            held.open_url("https://example.org"),
            first.device(),
        ):
            with pytest.raises(DeviceBusy, match=f"lease {first.token} "):
                await call
        assert virtual_phone.commands() == before
        assert second.token > first.token
        await (await second.device()).home()


async def test_typing_that_is_cancelled_is_over_before_the_next_lease(
    fleet: Fleet, device: Device, virtual_phone: PhoneProcess
) -> None:
    await device.launch("Notes")
    await device.tap(928, 2176)
    keyboard = virtual_phone.state()["ime"]["current"]
    for pause in (0.05, 0.1, 0.2, 0.4):

        async def hold() -> None:
            async with fleet.hold(device.serial) as lease:
                await (await lease.device()).type_text("abc def")

        task = asyncio.create_task(hold())
        await asyncio.sleep(pause)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        async with fleet.hold(device.serial):
            count = len(virtual_phone.commands())
            assert virtual_phone.state()["ime"]["current"] == keyboard
            await asyncio.sleep(0.2)
            assert len(virtual_phone.commands()) == count


@pytest.fixture
async def two_names(fleet: Fleet, device: Device) -> AsyncIterator[tuple[str, str]]:
    """Both serials of the module's phone: the adb server takes two names of one address as two."""
    names = device.serial, f"localhost:{device.serial.rpartition(':')[2]}"
    await fleet.connect(names[1])
    yield names
    with contextlib.suppress(DeviceNotFound):
        await fleet.disconnect(names[1])


async def test_a_phone_that_is_reached_in_two_ways_is_one(
    fleet: Fleet, two_names: tuple[str, str], second_phone: PhoneProcess
) -> None:
    one, other = two_names
    assert {row.serial for row in await fleet.list()} == {one, other}
    (phone,) = await fleet.phones()
    assert [(route.serial, route.state, route.kind) for route in phone.routes] == [
        (one, "device", "network"),
        (other, "device", "network"),
    ]
    assert (await fleet.choose()).serial == phone.serial == one
    for held, wanted in ((one, other), (other, one)):
        async with fleet.hold(held):
            assert fleet.is_leased(one) and fleet.is_leased(other)
            with pytest.raises(DeviceBusy):
                async with fleet.hold(wanted):
                    pass
    third = await fleet.connect(second_phone.serial)
    try:
        assert len(await fleet.phones()) == 2
        with pytest.raises(DeviceNotChosen):
            await fleet.choose()
        async with fleet.hold(one), fleet.hold(third.serial):
            pass
    finally:
        await fleet.disconnect(third.serial)


async def test_a_lease_covers_the_phone_also_when_its_route_has_gone(
    fleet: Fleet, two_names: tuple[str, str]
) -> None:
    one, other = two_names
    async with fleet.hold(other):
        await fleet.disconnect(other)
        assert [row.serial for row in await fleet.list()] == [one]
        with pytest.raises(DeviceBusy):
            async with fleet.hold(one):
                pass
    async with fleet.hold(one):
        pass


@contextlib.asynccontextmanager
async def relay(address: str) -> AsyncIterator[str]:
    """Another address of what listens at `address`, while the block runs."""
    links: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
        finally:
            writer.close()

    async def link(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = address.rpartition(":")
        there, back = await asyncio.open_connection(host, int(port))
        for one_way in (pump(reader, back), pump(there, writer)):
            links.add(asyncio.create_task(one_way))

    server = await asyncio.start_server(link, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in links:
            task.cancel()
        await asyncio.gather(*links, return_exceptions=True)


async def test_a_route_that_has_died_is_shown_beside_the_one_that_works(
    fleet: Fleet, device: Device
) -> None:
    async with relay(device.serial) as other:
        await fleet.connect(other)
        (phone,) = await fleet.phones()
        assert {route.serial for route in phone.routes} == {device.serial, other}
    try:
        async with asyncio.timeout(20):
            while not any(route.stale for route in phone.routes):
                (phone,) = await fleet.phones()
        assert (phone.serial, phone.state) == (device.serial, "device")
        assert [(route.serial, route.stale) for route in phone.routes] == [
            (device.serial, False),
            (other, True),
        ]
        assert await fleet.choose() is device
        with pytest.raises(DeviceOffline) as caught:
            await fleet.get(other)
        assert caught.value.hint == f"It is reached as {device.serial} now."
    finally:
        await fleet.disconnect(other)


async def test_a_followed_fleet_sees_its_own_changes_at_once(
    adb_server: AdbServer, virtual_phone: PhoneProcess
) -> None:
    async with Fleet(adb_server.client()) as followed:
        for _ in range(10):
            device = await followed.connect(virtual_phone.serial)
            assert await followed.choose() is device
            await followed.disconnect(virtual_phone.serial)
            with pytest.raises(DeviceNotFound):
                await followed.get(virtual_phone.serial)


async def test_a_followed_fleet_tells_what_others_change(
    fleet: Fleet, adb_server: AdbServer, virtual_phone: PhoneProcess
) -> None:
    async with Fleet(adb_server.client()) as followed:
        changes = followed.changes()
        async with asyncio.timeout(20):
            await anext(changes)
            await fleet.connect(virtual_phone.serial)
            while virtual_phone.serial not in {p.serial for p in await followed.phones()}:
                await anext(changes)
            await fleet.disconnect(virtual_phone.serial)
            while virtual_phone.serial in {p.serial for p in await followed.phones()}:
                await anext(changes)
            await followed.close()
            assert [change async for change in changes] == []


async def test_a_wait_for_a_phone_on_a_cable_ends_when_it_comes(
    adb_server: AdbServer, virtual_phone: PhoneProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a network phone taken for one on a cable, which is only waited for and never connected."""
    monkeypatch.setattr("app.adb.connector.is_address", lambda serial: False)
    monkeypatch.setattr("app.adb.connector._FIRST_PAUSE_S", 3600.0)
    monkeypatch.setattr("app.adb.connector._LONGEST_PAUSE_S", 3600.0)
    async with Fleet(adb_server.client()) as followed:
        waiting = asyncio.create_task(followed.wait_ready(virtual_phone.serial, 7200))
        query = adb_server.client().query
        async with asyncio.timeout(20):
            await asyncio.to_thread(query, f"host:connect:{virtual_phone.serial}", Deadline(15))
            await waiting
        await followed.disconnect(virtual_phone.serial)


async def test_a_device_error_is_typed(fleet: Fleet, device: Device) -> None:
    await fleet.disconnect(device.serial)
    with pytest.raises(DeviceError):
        await device.tap(1, 1)
    await fleet.connect(device.serial)
