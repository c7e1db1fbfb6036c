"""Getting a phone ready: each finding names what is wrong and the switch that mends it."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.adb import setup
from app.adb.adb_keyboard import ADB_KEYBOARD
from app.adb.connection import Deadline, ExactClient
from app.adb.device import Device
from app.adb.fleet import Fleet
from app.adb.server import AdbServer
from app.adb.shell import Shell
from app.cli import app
from app.errors import CommandFailed, DeviceUnauthorized, InputError
from tests.phones import PhoneProcess

APK = b"PK\x03\x04" + bytes(range(256)) * 3000


async def statuses(device: Device) -> dict[str, tuple[str, str]]:
    return {f.name: (f.status, f.message + f.hint) for f in await device.set_up()}


async def test_a_phone_that_is_ready(device: Device, virtual_phone: PhoneProcess) -> None:
    before = virtual_phone.state()
    found = await statuses(device)
    assert {name: status for name, (status, _) in found.items()} == {
        "screen": "ok",
        "input": "ok",
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


async def test_an_apk_that_the_phone_does_not_take(device: Device, tmp_path: Path) -> None:
    (tmp_path / "a.apk").write_bytes(APK)
    found = {finding.name: finding for finding in await device.set_up(tmp_path / "a.apk")}
    assert found["install"].status == "problem"


@pytest.mark.parametrize("content", [None, b"", b"no apk"])
async def test_a_file_that_is_no_apk(device: Device, tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "a.apk").write_bytes(content)
    with pytest.raises(InputError):
        await device.set_up(tmp_path / "a.apk")


@contextmanager
def installer(answer: bytes, received: list[bytes]) -> Iterator[ExactClient]:
    """An adb server with one phone that takes an APK and answers."""

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as stream:
            for _ in range(2):
                received.append(stream.read(int(stream.read(4), 16)))
                connection.sendall(b"OKAY")
            received.append(stream.read(len(APK)))
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield ExactClient("127.0.0.1", listener.getsockname()[1])
        thread.join(10)


def test_an_apk_is_streamed_whole() -> None:
    received: list[bytes] = []
    with installer(b"Success\n", received) as client:
        setup.install(Shell(client, "phone"), APK, Deadline(10))
    expected = [b"host:transport:phone", b"exec:cmd package install -S %d" % len(APK), APK]
    assert received == expected


@pytest.mark.parametrize("answer", [b"Failure [INSTALL_FAILED_USER_RESTRICTED]\n", b""])
def test_a_refused_apk_is_an_error(answer: bytes) -> None:
    with installer(answer, []) as client, pytest.raises(CommandFailed, match="did not install"):
        setup.install(Shell(client, "phone"), APK, Deadline(10))


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


def test_the_command_line(
    adb_server: AdbServer, virtual_phone: PhoneProcess, monkeypatch: pytest.MonkeyPatch
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
        with virtual_phone.quirks("no-inject"):
            refused = run(app, ["devices", "setup", virtual_phone.serial])
        assert refused.exit_code == 1
        assert "USB debugging" in " ".join(refused.stdout.split())
    finally:
        adb_server.client().query(f"host:disconnect:{virtual_phone.serial}", Deadline(10))
