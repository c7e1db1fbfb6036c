"""Which phone: by name, the only one, none, or a question; and one task at a time on each."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import pytest

from app.adb.device import Device
from app.adb.fleet import Fleet, device_address
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


async def test_a_phone_that_is_reached_in_two_ways_is_one(
    fleet: Fleet, device: Device, virtual_phone: PhoneProcess
) -> None:
    other = f"localhost:{device.serial.rpartition(':')[2]}"
    await fleet.connect(other)
    try:
        assert await device.hardware_serial() == ""  # this phone tells none: two devices
        with pytest.raises(DeviceNotChosen):
            await fleet.choose()
        fleet._hardware |= {device.serial: "R58M", other: "R58M"}  # as a phone that tells one
        assert (await fleet.choose()).serial in (device.serial, other)
        async with fleet.hold(device.serial):
            assert fleet.is_leased(other)
            with pytest.raises(DeviceBusy):
                async with fleet.hold(other):
                    pass
    finally:
        await fleet.disconnect(other)


async def test_a_device_error_is_typed(fleet: Fleet, device: Device) -> None:
    await fleet.disconnect(device.serial)
    with pytest.raises(DeviceError):
        await device.tap(1, 1)
    await fleet.connect(device.serial)
