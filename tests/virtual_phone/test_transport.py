"""The wire, byte for byte, as an adb server would write and read it."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator

import pytest

from app.virtual_phone.main import BANNER, running
from app.virtual_phone.packets import LinkBroken, read_packet
from app.virtual_phone.phone import Phone
from app.virtual_phone.quirk_set import Quirks
from app.virtual_phone.transport import Endpoint, Stream
from tests.virtual_phone.touch import with_quirks
from tests.virtual_phone.wire import CNXN, HOST_BANNER, Host, connected, packet


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    """A link to a phone, agreed on."""
    async with running(Phone(7), port=0) as ports, connected(ports.adb) as host:
        host.send(CNXN)
        await host.expect(packet(b"CNXN", 0x01000001, 1024 * 1024, BANNER.encode()))
        yield host


async def test_a_command_from_open_to_close(host: Host) -> None:
    host.send(packet(b"OPEN", 41, 0, b"shell,v2,raw:echo hi\0"))
    await host.expect(packet(b"OKAY", 1, 41))
    await host.expect(packet(b"WRTE", 1, 41, b"\x01\x03\0\0\0hi\n\x03\x01\0\0\0\0"))
    host.send(packet(b"OKAY", 41, 1))
    await host.expect(packet(b"CLSE", 1, 41))


async def test_stderr_and_exit_code(host: Host) -> None:
    host.send(packet(b"OPEN", 5, 0, b"shell,v2,TERM=xterm,raw:foo\0"))
    await host.expect(packet(b"OKAY", 1, 5))
    message = b"/system/bin/sh: foo: inaccessible or not found\n"
    frame = b"\x02" + struct.pack("<I", len(message)) + message
    await host.expect(packet(b"WRTE", 1, 5, frame + b"\x03\x01\0\0\0\x7f"))


async def test_the_plain_shell_mixes_both(host: Host) -> None:
    for service in (b"shell:", b"exec:"):
        host.send(packet(b"OPEN", 5, 0, service + b"echo a; foo\0"))
        assert (await host.packet())[0] == b"OKAY"
        _, local, _, payload = await host.packet()
        assert payload == b"a\n/system/bin/sh: foo: inaccessible or not found\n"
        host.send(packet(b"OKAY", 5, local))
        await host.expect(packet(b"CLSE", local, 5))


@pytest.mark.parametrize(
    "service", [b"jdwp\0", b"root:\0", b"tcp:80\0", b"reverse:x\0", b"\0", b""]
)
async def test_other_services_are_refused(host: Host, service: bytes) -> None:
    host.send(packet(b"OPEN", 9, 0, service))
    await host.expect(packet(b"CLSE", 0, 9))


async def test_the_next_write_waits_for_okay(host: Host) -> None:
    host.send(packet(b"OPEN", 3, 0, b"exec:screencap\0"))
    await host.expect(packet(b"OKAY", 1, 3))
    size, got = 16 + 1080 * 2400 * 4, 0
    while got < size:
        command, _, _, payload = await host.packet()
        assert command == b"WRTE"
        assert len(payload) <= 1024 * 1024
        got += len(payload)
        # Another stream goes through meanwhile: nothing more of this one comes unasked.
        host.send(packet(b"OPEN", 4, 0, b"nothing:\0"))
        await host.expect(packet(b"CLSE", 0, 4))
        host.send(packet(b"OKAY", 3, 1))
    await host.expect(packet(b"CLSE", 1, 3))
    assert got == size


async def test_a_small_payload_limit_of_the_host_is_kept() -> None:
    async with running(Phone(7), port=0) as ports, connected(ports.adb) as host:
        host.send(packet(b"CNXN", 0x01000000, 4096, b"host::\0"))
        assert (await host.packet())[0] == b"CNXN"
        host.send(packet(b"OPEN", 3, 0, b"shell,v2,raw:screencap -p\0"))
        assert (await host.packet())[0] == b"OKAY"
        _, _, _, payload = await host.packet()
        assert len(payload) == 4096


async def test_each_write_to_us_gets_one_okay(host: Host) -> None:
    host.send(packet(b"OPEN", 3, 0, b"shell,v2,raw:sleep 30\0"))
    await host.expect(packet(b"OKAY", 1, 3))
    for _ in range(3):
        host.send(packet(b"WRTE", 3, 1, b"\x00\x01\0\0\0x"))
        await host.expect(packet(b"OKAY", 1, 3))
    host.send(packet(b"CLSE", 3, 1))
    await host.expect(packet(b"CLSE", 1, 3))


async def test_packets_for_unknown_streams_are_ignored(host: Host) -> None:
    for command in (b"OKAY", b"WRTE", b"CLSE"):
        host.send(packet(command, 77, 88, b"x" if command == b"WRTE" else b""))
    host.send(packet(b"OPEN", 9, 0, b"nothing:\0"))
    await host.expect(packet(b"CLSE", 0, 9))


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        packet(b"CNXN", 0x01000001, 0, HOST_BANNER),
        packet(b"OPEN", 1, 0, b"shell:echo\0"),
        packet(b"SYNC", 1, 0),
        struct.pack("<6I", 0x4E584E43, 0, 4096, 2**31, 0, 0x4E584E43 ^ 0xFFFFFFFF),
    ],
    ids=["http", "no payload", "open first", "dead command", "huge"],
)
async def test_what_is_no_adb_ends_the_link(data: bytes) -> None:
    async with running(Phone(7), port=0) as ports:
        async with connected(ports.adb) as stranger:
            stranger.send(data)
            await stranger.expect_end()
        async with connected(ports.adb) as host:
            host.send(CNXN)
            assert (await host.packet())[0] == b"CNXN"


async def test_the_authentication_dance() -> None:
    phone = Phone(7, with_quirks("unauthorized"))
    async with running(phone, port=0) as ports, connected(ports.adb) as host:
        host.send(CNXN)
        for answer in (packet(b"AUTH", 2, 0, b"s" * 256), packet(b"AUTH", 3, 0, b"key\0")):
            command, kind, _, token = await host.packet()
            assert (command, kind, len(token)) == (b"AUTH", 1, 20)
            host.send(answer)
        host.send(packet(b"OPEN", 1, 0, b"shell:echo\0"))
        await host.expect_end()


async def test_acceptance_comes_later() -> None:
    quirks = with_quirks("unauthorized")
    endpoint = Endpoint(BANNER, lambda name: None, quirks)
    port = await endpoint.start(0)
    async with connected(port) as host:
        host.send(CNXN + packet(b"AUTH", 3, 0, b"key\0"))
        assert (await host.packet())[0] == b"AUTH"
        quirks.change({"unauthorized": None})
        await host.expect(packet(b"CNXN", 0x01000001, 1024 * 1024, BANNER.encode()))
    await endpoint.stop()


async def test_writers_wake_when_the_link_dies() -> None:
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def endless(stream: Stream) -> None:
        try:
            while True:
                await stream.write(b"x" * 100)
        except (LinkBroken, asyncio.CancelledError) as exc:
            ended.set_result(type(exc).__name__)
            raise

    endpoint = Endpoint(BANNER, lambda name: endless, Quirks())
    port = await endpoint.start(0)
    async with connected(port) as host:
        host.send(CNXN + packet(b"OPEN", 1, 0, b"x\0"))
        for expected in (b"CNXN", b"OKAY", b"WRTE"):
            assert (await host.packet())[0] == expected
    assert await asyncio.wait_for(ended, 5)
    await endpoint.stop()


async def test_reading_a_packet_in_pieces() -> None:
    reader = asyncio.StreamReader()
    data = packet(b"WRTE", 1, 2, b"payload")
    reading = asyncio.create_task(read_packet(reader))
    for byte in data:
        reader.feed_data(bytes([byte]))
        await asyncio.sleep(0)
    assert (await reading).encode() == data
