"""The adb server's list of devices as it changes, from the real server and from broken ones."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adb.connection import Deadline
from app.adb.directory import Directory
from app.adb.parse import DeviceRow
from app.adb.server import AdbServer
from app.adb.tracker import Tracker, read_frame
from app.errors import AdbServerUnreachable, DeviceError
from tests.phones import PhoneProcess

Script = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
PATIENCE_S = 20.0

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


def frame(text: str) -> bytes:
    data = text.encode()
    return b"%04x" % len(data) + data


@given(st.lists(texts, max_size=5), st.data())
def test_frames_are_read_however_they_are_cut(lists: list[str], data: st.DataObject) -> None:
    stream = b"".join(map(frame, lists))
    cut = data.draw(st.integers(0, len(stream)))
    at = sorted(data.draw(st.lists(st.integers(0, cut), max_size=8)))
    pieces = [stream[i:j] for i, j in zip([0, *at], [*at, cut], strict=True)]

    async def read() -> list[str]:
        reader = asyncio.StreamReader()
        found: list[str] = []

        async def feed() -> None:
            for piece in pieces:
                reader.feed_data(piece)
                await asyncio.sleep(0)
            reader.feed_eof()

        feeding = asyncio.create_task(feed())
        with pytest.raises(AdbServerUnreachable):
            while True:
                found.append(await read_frame(reader))
        await feeding
        return found

    whole = [
        text for i, text in enumerate(lists) if len(b"".join(map(frame, lists[: i + 1]))) <= cut
    ]
    assert asyncio.run(read()) == whole


@given(st.binary(max_size=80))
def test_garbage_is_a_typed_error_and_never_a_wait(garbage: bytes) -> None:
    async def read() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(garbage)
        reader.feed_eof()
        with pytest.raises(AdbServerUnreachable):
            while True:
                await read_frame(reader)

    asyncio.run(read())


@contextlib.asynccontextmanager
async def followed(*scripts: Script) -> AsyncIterator[Tracker]:
    """A tracker of a server that treats its first connections as the scripts say, the rest as the
    last of them."""
    left = [*scripts]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            request = await reader.readexactly(int(await reader.readexactly(4), 16))
            await (left.pop(0) if len(left) > 1 else left[0])(request, reader, writer)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    tracker = Tracker("127.0.0.1", server.sockets[0].getsockname()[1])
    tracker.start()
    try:
        yield tracker
    finally:
        await tracker.close()
        server.close()


def say(*pieces: bytes, hold: bool = True) -> Script:
    """Send the pieces, then keep the connection until the other side leaves."""

    async def script(
        request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if hold:
            await reader.read()

    return script


async def until(tracker: Tracker, *rows: DeviceRow) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            news = tracker.news
            if tracker.rows == [*rows]:
                return
            await news.wait()


READY_ROW = DeviceRow("R58M", "device", "Pixel", "p")
LINE = "R58M  device product:p model:Pixel transport_id:1\n"


@pytest.mark.parametrize(
    "broken",
    [
        say(b"", hold=False),
        say(b"OK", hold=False),
        say(b"OKAY00", hold=False),
        say(b"OKAY00ffR58M", hold=False),
        say(b"OKAYzzzz", hold=True),
        say(b"OKAY-001", hold=True),
        say(b"HTTP/1.1 400 Bad Request\r\n", hold=True),
        say(b"FAIL0003no", hold=False),
    ],
    ids=["closed", "OK", "half a length", "half a list", "zzzz", "-001", "HTTP", "half a FAIL"],
)
async def test_a_server_that_breaks_is_asked_again(broken: Script) -> None:
    async with followed(broken, broken, say(b"OKAY" + frame(LINE))) as tracker:
        await until(tracker, READY_ROW)


async def test_rows_of_a_server_that_went_away_are_not_kept() -> None:
    gone = asyncio.Event()

    async def leave(
        request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(b"OKAY" + frame(LINE))
        await gone.wait()

    async with followed(leave, say(b"nonsense")) as tracker:
        await until(tracker, READY_ROW)
        news = tracker.news
        gone.set()
        async with asyncio.timeout(PATIENCE_S):
            await news.wait()
        assert tracker.rows is None


async def test_an_older_server_only_tells_that_something_changed() -> None:
    requests: list[bytes] = []
    changed = asyncio.Event()

    async def old(
        request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        requests.append(request)
        if request != b"host:track-devices":
            writer.write(b"FAIL" + frame("unknown host service"))
            return
        writer.write(b"OKAY" + frame("R58M\tdevice\n"))
        await changed.wait()
        writer.write(frame("R58M\toffline\n"))
        await reader.read()

    async with followed(old) as tracker:
        for step in range(2):
            news = tracker.news
            if step:
                changed.set()
            async with asyncio.timeout(PATIENCE_S):
                await news.wait()
            assert tracker.rows is None, "these rows lack the model"
    assert requests == [b"host:track-devices-l", b"host:track-devices"]


async def test_what_was_sent_before_renew_is_not_believed() -> None:
    """The old list still comes after `renew`, as when it was on its way."""
    async with followed(
        say(b"OKAY" + frame(LINE)), say(b"OKAY" + frame("R58M  offline transport_id:1\n"))
    ) as tracker:
        await until(tracker, READY_ROW)
        tracker.renew()
        async with asyncio.timeout(PATIENCE_S):
            while tracker.rows is None:
                await tracker.news.wait()
        assert tracker.rows == [DeviceRow("R58M", "offline")]


async def test_closing_ends_the_task_and_wakes_who_waits() -> None:
    async with followed(say(b"OKAY" + frame(""))) as tracker:
        await until(tracker)
        waiting = asyncio.create_task(tracker.news.wait())
        await asyncio.sleep(0)
        await tracker.close()
        async with asyncio.timeout(PATIENCE_S):
            await waiting
        names = {task.get_name() for task in asyncio.all_tasks()}
        assert "adb device tracker" not in names
        await tracker.close()  # twice is harmless


async def test_the_real_server_tells_of_phones_and_comes_back(
    tmp_path: Path, virtual_phone: PhoneProcess
) -> None:
    async with AdbServer(private=True, home=tmp_path) as server:
        tracker = Tracker(server.host, server.port)
        tracker.start()
        try:
            for _ in range(2):
                await until(tracker)
                connect = f"host:connect:{virtual_phone.serial}"
                await asyncio.to_thread(server.client().query, connect, Deadline(15))
                await until(
                    tracker, DeviceRow(virtual_phone.serial, "device", "Virtual_Phone", "vphone")
                )
                with contextlib.suppress(DeviceError):
                    await asyncio.to_thread(server.client().query, "host:kill", Deadline(5))
        finally:
            await tracker.close()


async def test_a_followed_directory_shows_what_was_just_done(
    adb_server: AdbServer, virtual_phone: PhoneProcess
) -> None:
    directory = Directory(adb_server.client())
    directory.start()
    serial = virtual_phone.serial
    try:
        for _ in range(20):
            await directory.query(f"host:connect:{serial}", 15)
            while await directory.state(serial) != "device":
                await directory.change(directory.news, 1)
            directory.renew()
            assert (serial, "device") in {(r.serial, r.state) for r in await directory.rows()}
            await directory.query(f"host:disconnect:{serial}")
            directory.renew()
            assert serial not in {row.serial for row in await directory.rows()}
    finally:
        await directory.close()


async def test_waiting_without_a_tracker_is_polling(adb_server: AdbServer) -> None:
    directory = Directory(adb_server.client())
    async with asyncio.timeout(PATIENCE_S):
        await directory.change(directory.news, 3600)
    assert [change async for change in directory.changes()] == []
