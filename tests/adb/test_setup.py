"""Getting a phone ready: each finding names what is wrong and the switch that mends it."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.adb import setup
from app.adb.connection import Deadline, ExactClient
from app.adb.device import Device
from app.adb.fleet import Fleet
from app.adb.server import AdbServer
from app.adb.shell import Shell
from app.adb.typing.adb_keyboard import ADB_KEYBOARD
from app.cli.main import app
from app.cli.phones import with_fleet
from app.errors import DeviceBusy, DeviceUnauthorized, InputError
from tests.phones import PhoneProcess
from tests.virtual_phone.apks import apk

APK = b"PK\x03\x04" + bytes(range(256)) * 3000


async def statuses(device: Device) -> dict[str, tuple[str, str]]:
    return {f.name: (f.status, f.message + f.hint) for f in await device.set_up()}


async def test_a_phone_that_is_ready(device: Device, virtual_phone: PhoneProcess) -> None:
    before = virtual_phone.state()
    found = await statuses(device)
    assert {name: status for name, (status, _) in found.items()} == {
        "screen": "ok",
        "input": "ok",
        "scrcpy": "warning",  # this fleet has no server for it
        "keyboard": "ok",
    }
    assert virtual_phone.state()["ui"] == before["ui"]


@pytest.mark.parametrize(
    ("quirk", "name", "status", "said"),
    [
        ("no-inject", "input", "problem", "USB debugging"),
        ("no-inject=0", "input", "problem", "USB debugging"),
        ("locked=1234", "screen", "problem", "PIN"),
        ("adbkeyboard=missing", "keyboard", "warning", "--apk"),
    ],
)
async def test_what_is_wrong(
    device: Device, virtual_phone: PhoneProcess, quirk: str, name: str, status: str, said: str
) -> None:
    with virtual_phone.quirks(quirk):
        found = await statuses(device)
    assert found[name][0] == status
    assert said in found[name][1]


async def test_a_keyboard_that_is_switched_off(device: Device, virtual_phone: PhoneProcess) -> None:
    await device._run("x", ["ime", "disable", ADB_KEYBOARD])
    assert "was enabled" in (await statuses(device))["keyboard"][1]
    assert ADB_KEYBOARD in virtual_phone.state()["ime"]["enabled"]


@pytest.mark.parametrize("maker", ["Xiaomi", "OPPO", "vivo", "HUAWEI", "samsung", "", "Nokia"])
def test_every_maker_has_a_switch(maker: str) -> None:
    assert "Turn" in setup.switches(maker) or "turn" in setup.switches(maker)


async def test_adb_keyboard_is_installed_and_enabled(
    device: Device, virtual_phone: PhoneProcess, tmp_path: Path
) -> None:
    # Longer than one write, and than one packet of the link.
    (tmp_path / "a.apk").write_bytes(apk(ballast=3_000_000))
    with virtual_phone.quirks("adbkeyboard=missing"):
        assert (await statuses(device))["keyboard"][0] == "warning"
        found = {f.name: (f.status, f.message) for f in await device.set_up(tmp_path / "a.apk")}
        assert found["install"][0] == "ok"
        assert found["keyboard"] == ("ok", "ADBKeyboard was enabled; it is used only while typing")
        assert ADB_KEYBOARD in virtual_phone.state()["ime"]["enabled"]
        await device.launch("Notes")
        await device.tap(928, 2176)
        await device.type_text("微信")
    assert virtual_phone.state()["ui"]["drafts"]["notes.title"] == "微信"


@pytest.mark.parametrize(
    ("content", "quirks", "said"),
    [
        (APK, (), "INSTALL_PARSE_FAILED_NOT_APK"),
        (apk(), ("no-install",), "INSTALL_FAILED_USER_RESTRICTED"),
    ],
)
async def test_an_apk_that_the_phone_does_not_take(
    device: Device,
    virtual_phone: PhoneProcess,
    tmp_path: Path,
    content: bytes,
    quirks: tuple[str, ...],
    said: str,
) -> None:
    (tmp_path / "a.apk").write_bytes(content)
    with virtual_phone.quirks("adbkeyboard=missing", *quirks):
        found = {finding.name: finding for finding in await device.set_up(tmp_path / "a.apk")}
    assert found["install"].status == "problem"
    assert said in found["install"].message
    assert "turn on" in found["install"].hint.lower() or "turn it on" in found["install"].hint
    assert found["keyboard"].status == "warning"


@pytest.mark.parametrize("content", [None, b"", b"no apk"])
async def test_a_file_that_is_no_apk(device: Device, tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "a.apk").write_bytes(content)
    with pytest.raises(InputError):
        await device.set_up(tmp_path / "a.apk")


@pytest.mark.parametrize("code", ["", "12345", "1234567", "12345a", "12:345", "123456\n"])
async def test_bad_pairing_codes(fleet: Fleet, code: str) -> None:
    with pytest.raises(InputError, match="six digits"):
        await fleet.pair("127.0.0.1:37000", code)


async def test_pairing_needs_the_port_beside_the_code(fleet: Fleet) -> None:
    with pytest.raises(InputError, match="no port"):
        await fleet.pair("127.0.0.1", "123456")


async def test_pairing_with_nobody(fleet: Fleet) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(DeviceUnauthorized, match="not paired"):
        await fleet.pair(f"127.0.0.1:{port}", "123456")


def test_nothing_is_installed_once_the_lease_has_ended(
    virtual_phone: PhoneProcess, adb_server: AdbServer
) -> None:
    def ended() -> None:
        raise DeviceBusy("the lease has ended")

    shell = Shell(adb_server.client(), virtual_phone.serial, ended)
    with pytest.raises(DeviceBusy):
        setup.install(shell, apk(), Deadline(10))


def test_the_command_line(
    adb_server: AdbServer,
    virtual_phone: PhoneProcess,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("PHONEPILOT_ADB__SERVER_PORT", str(adb_server.port))
    adb_server.client().query(f"host:connect:{virtual_phone.serial}", Deadline(10))
    try:
        run = CliRunner().invoke
        listed = json.loads(run(app, ["devices", "--json"]).stdout)
        assert [row["serial"] for row in listed["devices"]] == [virtual_phone.serial]
        ready = run(app, ["devices", "setup", virtual_phone.serial, "--json"])
        assert ready.exit_code == 0
        assert json.loads(ready.stdout)["serial"] == virtual_phone.serial
        (tmp_path / "a.apk").write_bytes(apk())
        setup_apk = ["devices", "setup", virtual_phone.serial, "--apk", str(tmp_path / "a.apk")]
        with virtual_phone.quirks("adbkeyboard=missing"):
            installed = run(app, setup_apk)
        assert installed.exit_code == 0
        assert "ADBKeyboard was enabled" in " ".join(installed.stdout.split())
        with virtual_phone.quirks("no-inject"):
            refused = run(app, ["devices", "setup", virtual_phone.serial])
        assert refused.exit_code == 1
        assert "USB debugging" in " ".join(refused.stdout.split())
    finally:
        adb_server.client().query(f"host:disconnect:{virtual_phone.serial}", Deadline(10))


async def test_a_server_that_had_to_be_started_first_looks_for_phones(
    virtual_phone: PhoneProcess, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("PHONEPILOT_ADB__SERVER_PORT", str(listener.getsockname()[1]))
    start = AdbServer.start
    coming: list[asyncio.Task[str]] = []

    async def start_and_plug_in(server: AdbServer) -> ExactClient:
        client = await start(server)
        request = f"host:connect:{virtual_phone.serial}"
        coming.append(asyncio.create_task(asyncio.to_thread(client.query, request, Deadline(10))))
        return client

    monkeypatch.setattr(AdbServer, "start", start_and_plug_in)

    async def look(fleet: Fleet) -> list[str]:
        return [phone.serial for phone in await fleet.phones()]

    assert await with_fleet(None, look) == [virtual_phone.serial]
    await asyncio.gather(*coming)
