"""An adb server is found, or started and ended without a trace."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from app.adb.connection import Deadline
from app.adb.fleet import Fleet
from app.adb.server import AdbServer, find_binary
from app.errors import AdbServerUnreachable, ConfigError, DeviceError
from tests.phones import PhoneProcess


def servers_on(port: int) -> list[psutil.Process]:
    """Processes with `-P port` on their command line."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if ["-P", str(port)] == (process.info["cmdline"] or [])[-4:-2]
    ]


async def test_ours_starts_answers_and_leaves_nothing(tmp_path: Path) -> None:
    server = AdbServer(private=True, home=tmp_path)
    async with server:
        assert server.owned
        port = server.port
        assert server.client().version() >= 41
        assert servers_on(port)
    assert not server.owned
    assert not servers_on(port)
    assert (tmp_path / ".android").is_dir()


async def test_a_server_that_is_there_is_used_and_stays(adb_server: AdbServer) -> None:
    async with AdbServer(adb_server.host, adb_server.port) as found:
        assert not found.owned
        assert found.port == adb_server.port
    assert adb_server.client().query("host:version", Deadline(5))


async def test_a_program_that_is_no_adb_is_told(tmp_path: Path) -> None:
    broken = tmp_path / "adb"
    broken.write_text("#!/bin/sh\necho cannot bind >&2\nexit 1\n", "utf-8")
    broken.chmod(0o755)
    server = AdbServer(private=True, binary=str(broken), home=tmp_path / "home")
    with pytest.raises(AdbServerUnreachable, match="cannot bind"):
        await server.start()
    assert not server.owned


def test_a_configured_program_that_is_missing() -> None:
    with pytest.raises(ConfigError, match="no-such-adb"):
        find_binary("no-such-adb")


async def test_ours_comes_back_when_it_ends_and_so_do_its_phones(
    tmp_path: Path, virtual_phone: PhoneProcess
) -> None:
    async with AdbServer(private=True, home=tmp_path) as server:
        port, fleet = server.port, Fleet(server.client())
        device = await fleet.connect(virtual_phone.serial)
        for _ in range(2):
            with contextlib.suppress(DeviceError):
                server.client().query("host:kill", Deadline(5))
            with pytest.raises(DeviceError):
                await device.home()
            await device.wait_ready(20)
            await device.home()
        assert server.port == port
    assert not servers_on(port)


async def test_ours_comes_back_though_its_temporary_folder_was_emptied(
    tmp_path: Path,
) -> None:
    async with AdbServer(private=True, home=tmp_path) as server:
        assert server._folder is not None
        shutil.rmtree(server._folder.name)
        with contextlib.suppress(DeviceError):
            server.client().query("host:kill", Deadline(5))
        async with asyncio.timeout(20):
            while True:
                await asyncio.sleep(0.1)
                with contextlib.suppress(DeviceError):
                    await asyncio.to_thread(server.client().query, "host:version", Deadline(2))
                    break


async def test_the_watch_over_ours_survives_a_launch_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with AdbServer(private=True, home=tmp_path) as server:
        launch, failed = server._launch, asyncio.Event()
        loop = asyncio.get_running_loop()

        def no_room(*_: object) -> None:
            loop.call_soon_threadsafe(failed.set)
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(server, "_launch", no_room)
        with contextlib.suppress(DeviceError):
            server.client().query("host:kill", Deadline(5))
        async with asyncio.timeout(20):
            await failed.wait()
            monkeypatch.setattr(server, "_launch", launch)
            while True:
                await asyncio.sleep(0.1)
                with contextlib.suppress(DeviceError):
                    await asyncio.to_thread(server.client().query, "host:version", Deadline(2))
                    break


async def test_a_server_that_is_stopped_stays_stopped(tmp_path: Path) -> None:
    server = AdbServer(private=True, home=tmp_path)
    await server.start()
    with contextlib.suppress(DeviceError):
        server.client().query("host:kill", Deadline(5))
    await server.stop()
    await asyncio.sleep(0.6)
    assert not servers_on(server.port)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_killed_with_sigkill_we_leave_no_server(tmp_path: Path) -> None:
    code = """
import asyncio, sys, time
from pathlib import Path
from app.adb.server import AdbServer
server = AdbServer(private=True, home=Path(sys.argv[1]))
asyncio.run(server.start())
print(server.port, flush=True)
time.sleep(60)
"""
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, env=environment
    ) as parent:
        assert parent.stdout is not None
        processes = servers_on(int(parent.stdout.readline()))
        assert processes
        parent.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
