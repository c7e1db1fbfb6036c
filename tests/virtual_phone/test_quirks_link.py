"""Quirks of the connection: drops at the worst moment, silence, and a question not yet answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from app.virtual_phone.main import BANNER, running
from app.virtual_phone.phone import Phone
from app.virtual_phone.seeding import ADB_KEYBOARD
from tests.phones import PhoneProcess
from tests.virtual_phone.conftest import Adb
from tests.virtual_phone.touch import NOTES, SETTINGS, with_quirks
from tests.virtual_phone.wire import CNXN, Host, connected, packet

ECHO = packet(b"OPEN", 3, 0, b"exec:echo hi\0")
GREETING = packet(b"CNXN", 0x01000001, 1024 * 1024, BANNER.encode())


@asynccontextmanager
async def link(port: int) -> AsyncIterator[Host]:
    """A link to the phone, agreed on."""
    async with connected(port) as host:
        host.send(CNXN)
        await host.expect(GREETING)
        yield host


async def expect_echo(host: Host) -> None:
    host.send(ECHO)
    command, local, remote, _ = await host.packet()
    assert (command, remote) == (b"OKAY", 3)
    await host.expect(packet(b"WRTE", local, 3, b"hi\n"))
    host.send(packet(b"OKAY", 3, local))
    await host.expect(packet(b"CLSE", local, 3))


async def expect_silence(host: Host) -> None:
    """Nothing comes although something was asked; only the clock can tell."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await host.packet()


# -- half open


async def test_a_connection_that_is_never_answered() -> None:
    phone = Phone(7, with_quirks("half-open"))
    async with running(phone, port=0) as ports:
        async with connected(ports.adb) as host:
            host.send(CNXN + ECHO)
            await expect_silence(host)
            phone.quirks.change({"half-open": None})
            await host.expect_end()
        async with link(ports.adb) as host:
            phone.quirks.change({"half-open": "connect"})
            await expect_echo(host)  # a link that was up before stays well


async def test_links_that_fall_silent_after_the_greeting() -> None:
    phone = Phone(7, with_quirks("half-open=link"))
    async with running(phone, port=0) as ports:
        async with link(ports.adb) as host:
            host.send(ECHO)
            await expect_silence(host)
            phone.quirks.change({"half-open": None})
            await host.expect_end()
        async with link(ports.adb) as host:
            await expect_echo(host)


async def test_a_stale_link_beside_a_new_one() -> None:
    phone = Phone(7)
    async with running(phone, port=0) as ports, link(ports.adb) as old:
        await expect_echo(old)
        phone.quirks.change({"half-open": "stale"})
        async with link(ports.adb) as new:
            await expect_echo(new)
            old.send(ECHO)
            await expect_silence(old)
            phone.quirks.change({"half-open": None})
            await old.expect_end()
            await expect_echo(new)


async def test_a_link_falls_silent_in_the_middle_of_an_answer() -> None:
    phone = Phone(7)
    async with running(phone, port=0) as ports, link(ports.adb) as host:
        host.send(packet(b"OPEN", 3, 0, b"exec:screencap\0"))
        for expected in (b"OKAY", b"WRTE"):
            assert (await host.packet())[0] == expected
        phone.quirks.change({"half-open": "stale"})
        host.send(packet(b"OKAY", 3, 1))
        await expect_silence(host)


# -- not accepted


async def test_debugging_is_refused_again_for_the_next_link() -> None:
    phone = Phone(7)
    async with running(phone, port=0) as ports, link(ports.adb) as old:
        phone.quirks.change({"unauthorized": ""})
        await expect_echo(old)
        async with connected(ports.adb) as host:
            host.send(CNXN + packet(b"AUTH", 3, 0, b"key\0"))
            assert (await host.packet())[:2] == (b"AUTH", 1)
            await expect_silence(host)
            phone.quirks.change({"unauthorized": None})
            await host.expect(GREETING)
            await expect_echo(host)


# -- through adb


@pytest.fixture
def connected_again(adb: Adb, virtual_phone: PhoneProcess) -> Iterator[Adb]:
    """Like `adb`; the phone is new, and connected anew afterwards whatever was done to it."""
    virtual_phone.reset(7)
    yield adb
    reconnect(adb, virtual_phone)
    assert virtual_phone.change_quirks({}) == {}


def reconnect(adb: Adb, phone: PhoneProcess) -> None:
    adb("disconnect", phone.serial)
    assert b"connected to" in adb("connect", phone.serial).stdout


def test_acceptance_through_adb(connected_again: Adb, virtual_phone: PhoneProcess) -> None:
    adb = connected_again
    with virtual_phone.quirks("unauthorized"):
        adb("disconnect", virtual_phone.serial)
        assert b"failed to authenticate" in adb("connect", virtual_phone.serial).stdout
        assert adb("get-state").stderr.startswith(b"error: device unauthorized")
    assert adb("wait-for-device", "get-state").stdout == b"device\n"


@pytest.mark.parametrize("arguments", [("exec-out", "screencap"), ("shell", "screencap", "-p")])
def test_the_link_drops_in_the_middle_of_a_screenshot(
    connected_again: Adb, virtual_phone: PhoneProcess, arguments: tuple[str, ...]
) -> None:
    adb = connected_again
    whole = adb(*arguments).stdout
    virtual_phone.change_quirks({"drop-screencap": 2})
    for _ in range(2):
        cut = adb(*arguments).stdout
        assert cut == whole[: len(whole) // 2]
        reconnect(adb, virtual_phone)
    assert adb(*arguments).stdout == whole
    commands = virtual_phone.commands(virtual_phone.events()[-3]["seq"] - 1)
    assert commands == [" ".join(arguments[1:])] * 3


@pytest.mark.parametrize(("moment", "effect"), [("before", False), ("after", True)])
def test_the_link_drops_around_a_tap(
    connected_again: Adb, virtual_phone: PhoneProcess, moment: str, effect: bool
) -> None:
    adb = connected_again
    adb("shell", "monkey", "-p", SETTINGS, "1")
    last = virtual_phone.events()[-1]["seq"]
    virtual_phone.change_quirks({"drop-input": moment})
    result = adb("shell", "input tap 900 400 && input tap 900 400; echo done")
    assert (result.returncode, result.stdout) == (255, b"")
    taps = [event for event in virtual_phone.events(last) if event["kind"] == "tap"]
    assert len(taps) == (1 if effect else 0)
    reconnect(adb, virtual_phone)
    assert adb("shell", "input tap 5 5").returncode == 0


@pytest.mark.parametrize(("moment", "text"), [("before", ""), ("after", "oats")])
def test_the_link_drops_around_a_text(
    connected_again: Adb, virtual_phone: PhoneProcess, moment: str, text: str
) -> None:
    adb = connected_again
    adb("shell", f"monkey -p {NOTES} 1; input tap 928 2176; ime set {ADB_KEYBOARD}")
    virtual_phone.change_quirks({"drop-input": moment})
    assert adb("shell", "am broadcast -a ADB_CLEAR_TEXT").returncode == 0
    result = adb("shell", "am broadcast -a ADB_INPUT_B64 --es msg b2F0cw==")
    assert (result.returncode, b"completed" in result.stdout) == (255, False)
    assert virtual_phone.state()["ui"]["drafts"]["notes.title"] == text


async def test_no_exit_packet_leaves_the_phone() -> None:
    phone = Phone(7, with_quirks("drop-input=after"))
    async with running(phone, port=0) as ports, link(ports.adb) as host:
        host.send(packet(b"OPEN", 3, 0, b"shell,v2,raw:input tap 5 5\0"))
        await host.expect(packet(b"OKAY", 1, 3))
        await host.expect_end()
    assert [event["kind"] for event in phone.events] == ["tap", "shell"]
