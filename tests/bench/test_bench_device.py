"""The table of a phone's latencies, over a real adb server and the real adb program."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.adb.connection import Deadline
from app.adb.device import Device
from app.adb.screen import Frame
from app.adb.server import AdbServer
from app.bench.device import AdbProgram, Latency, PhoneWork, measure, our_operations
from app.cli.main import app
from app.errors import CommandFailed, InputError, TextRefused
from tests.phones import PhoneProcess

NEW_NOTE = (928, 2176)


def test_median_and_nearest_rank() -> None:
    assert Latency.of([0.003, 0.001, 0.002]) == Latency(2.0, 3.0)
    assert Latency.of([n / 1000 for n in range(1, 101)]) == Latency(50.5, 95.0)
    assert Latency.of([0.004]) == Latency(4.0, 4.0)


def program(adb_binary: Path, adb_server: AdbServer, serial: str) -> AdbProgram:
    return AdbProgram(adb_binary, adb_server.host, adb_server.port, serial)


async def test_every_operation_both_ways(
    device: Device, virtual_phone: PhoneProcess, adb_server: AdbServer, adb_binary: Path
) -> None:
    await device.launch("Notes")
    await device.tap(*NEW_NOTE)
    keyboard = virtual_phone.state()["ime"]["current"]
    adb = program(adb_binary, adb_server, device.serial)
    seen: list[str] = []
    async with PhoneWork(virtual_phone.control, virtual_phone.token) as work:
        rows = await measure(device, adb, 2, type_text=True, work=work, progress=seen.append)
    assert [row.name for row in rows] == seen
    assert {"tap", "type", "current app", "screenshot raw", "screenshot PNG"} < set(seen)
    for row in rows:
        assert 0 < row.ours.median_ms <= row.ours.p95_ms
        assert row.ratio == pytest.approx(
            row.spawned.median_ms / row.ours.median_ms, rel=0.05, abs=0.01
        )
        assert row.phone is not None and row.overhead is not None
        assert 0 < row.phone.median_ms < row.ours.p95_ms
        assert 0 < row.overhead.median_ms < row.ours.p95_ms
    state = virtual_phone.state()
    assert state["ui"]["drafts"]["notes.title"] in ("phonepilot bench", "how long it takes")
    assert state["ime"]["current"] == keyboard


async def test_the_phone_tells_its_own_work(device: Device, virtual_phone: PhoneProcess) -> None:
    async with PhoneWork(virtual_phone.control, virtual_phone.token) as work:
        await work.seconds()
        assert await work.seconds() == 0
        with virtual_phone.quirks("slow-shell=0.2"):
            await device.tap(1, 1)
        assert 0.2 <= await work.seconds() < 20
        assert await work.seconds() == 0
    for url, token in ((virtual_phone.control, "wrong"), ("http://127.0.0.1:1", "x"), ("x", "x")):
        async with PhoneWork(url, token) as work:
            with pytest.raises(InputError, match="no virtual phone"):
                await work.seconds()


async def test_our_ways_start_no_process(
    device: Device, virtual_phone: PhoneProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise AssertionError("a process was started")

    await device.launch("Notes")
    await device.tap(*NEW_NOTE)
    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(os, "posix_spawn", refuse)
    monkeypatch.setattr(os, "fork", refuse)
    for operation in our_operations(device).values():
        await operation()
    assert virtual_phone.state()["ui"]["drafts"]["notes.title"] == "phonepilot bench"


@pytest.mark.parametrize("name", ["screenshot PNG", "screenshot raw"])
async def test_each_picture_costs_what_a_changed_screen_costs(device: Device, name: str) -> None:
    take = our_operations(device)[name]
    one, other = [await take() for _ in range(2)]
    assert isinstance(one, Frame) and isinstance(other, Frame)
    assert one.image == other.image and one.image is not other.image


async def test_nothing_is_typed_unasked(
    device: Device, virtual_phone: PhoneProcess, adb_server: AdbServer, adb_binary: Path
) -> None:
    before, known = virtual_phone.state()["ui"], len(virtual_phone.commands())
    rows = await measure(device, program(adb_binary, adb_server, device.serial), 1)
    assert "type" not in {row.name for row in rows}
    assert virtual_phone.state()["ui"] == before
    commands = virtual_phone.commands()[known:]
    assert {line.split()[0] for line in commands} == {"screencap", "input", "dumpsys"}


async def test_a_field_that_is_missing_is_told_before_anything_is_measured(
    device: Device, adb_server: AdbServer, adb_binary: Path
) -> None:
    begun: list[str] = []
    adb = program(adb_binary, adb_server, device.serial)
    with pytest.raises(TextRefused, match="no text field"):
        await measure(device, adb, 1000, type_text=True, progress=begun.append)
    assert begun == []


def test_a_phone_that_is_not_there(adb_server: AdbServer, adb_binary: Path) -> None:
    with pytest.raises(CommandFailed, match="not found"):
        program(adb_binary, adb_server, "nope").run("shell", "true")


def test_the_command_line(
    adb_server: AdbServer, virtual_phone: PhoneProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHONEPILOT_ADB__SERVER_PORT", str(adb_server.port))
    adb_server.client().query(f"host:connect:{virtual_phone.serial}", Deadline(10))
    try:
        run = CliRunner().invoke
        result = run(app, ["bench", "device", "--count", "1", "--json"])
        assert result.exit_code == 0
        table = json.loads(result.stdout)
        assert table["serial"] == virtual_phone.serial
        assert {"median_ms", "p95_ms"} == set(table["rows"][0]["ours"])
        assert "taps" in result.stderr
        assert "ratio" in run(app, ["bench", "device", "--count", "1"]).stdout
        assert table["rows"][0]["phone"] is None
        monkeypatch.setenv("PHONE_TOKEN", virtual_phone.token)
        told = ["--control", virtual_phone.control, "--control-token-env", "PHONE_TOKEN"]
        result = run(app, ["bench", "device", "--count", "1", *told])
        assert "overhead" in result.stdout
        assert len(result.stdout.splitlines()[-1].split()) == len(["current", "app"]) + 9
        refused = run(app, ["bench", "device", "--count", "1", *told[:2]])
        assert isinstance(refused.exception, InputError)
    finally:
        adb_server.client().query(f"host:disconnect:{virtual_phone.serial}", Deadline(10))
