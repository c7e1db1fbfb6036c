"""The doctor finds what is wrong with real parts, and says how to mend it."""

from __future__ import annotations

import asyncio
import shutil
import socket
import struct
import sys
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path

import psutil
import pytest

from app import __version__, doctor
from app.access_tokens import Tokens
from app.adb.device import Device
from app.adb.fleet import Fleet
from app.adb.server import AdbServer
from app.doctor import Check
from app.settings import AdbSettings, EngineSettings, ServiceSettings, load_settings
from tests.phones import PhoneProcess, phone_process

DEMO = load_settings(("demo",), environ={}).engine
MODEL, MMPROJ = DEMO.model, DEMO.mmproj
EMBEDDED = EngineSettings(kind="embedded", model=MODEL, mmproj=MMPROJ)


def by_name(checks: list[Check], name: str) -> list[Check]:
    return [check for check in checks if check.name == name]


def only(checks: list[Check], name: str) -> Check:
    (check,) = by_name(checks, name)
    return check


def program(folder: Path, text: str) -> str:
    path = folder / "program"
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


# -- all of it


async def test_a_machine_with_everything_has_no_problem(
    adb_server: AdbServer, device: Device, tmp_path: Path
) -> None:
    overrides = {
        "adb.server_port": adb_server.port,
        "engine.kind": "embedded",
        "service.data_dir": str(tmp_path),
        "service.port": 0,
    }
    checks = await doctor.examine(load_settings(("demo",), overrides, environ={}))
    assert [(check.name, check.status) for check in checks] == [
        (name, "ok")
        for name in (
            "python",
            "adb",
            "device",
            "engine",
            "model",
            "projector",
            "disk",
            "data folder",
        )
    ] + [("port", "ok"), ("access", "ok")]
    assert "1080 x 2400" in only(checks, "device").message


async def test_every_problem_says_what_to_do(tmp_path: Path) -> None:
    overrides = {
        "adb.binary": "no-such-adb",
        "adb.private": True,
        "engine.kind": "embedded",
        "engine.model": str(tmp_path / "none.gguf"),
        "service.data_dir": str(tmp_path),
        "service.port": 0,
    }
    checks = await doctor.examine(load_settings((), overrides, environ={}))
    problems = [check for check in checks if check.status == "problem"]
    assert {check.name for check in problems} == {"adb", "model", "projector"}
    assert all(check.hint for check in problems)


# -- Python


@pytest.mark.parametrize(
    ("version", "status"), [((3, 10, 14), "problem"), ((3, 11, 0), "ok"), ((3, 13, 1), "ok")]
)
def test_python_is_new_enough_or_not(version: tuple[int, ...], status: str) -> None:
    check = doctor.check_python(version)
    assert check.status == status
    assert ".".join(map(str, version)) in check.message


# -- adb and phones


async def test_a_server_that_had_to_be_started_is_stopped_again() -> None:
    before = psutil.Process().children(recursive=True)
    checks = await doctor.check_phones(AdbSettings(private=True))
    assert only(checks, "adb").status == "ok"
    assert only(checks, "device").status == "problem"
    assert "phonepilot phone" in only(checks, "device").hint
    assert not set(psutil.Process().children(recursive=True)) - set(before)


async def test_a_phone_whose_owner_has_not_agreed_is_a_problem(fleet: Fleet) -> None:
    with phone_process("--unauthorized") as phone:
        with pytest.raises(Exception, match="USB debugging"):
            await fleet.connect(phone.serial)
        check = only(await doctor.check_devices(fleet), "device")
        await fleet.disconnect(phone.serial)
    assert check.status == "problem"
    assert "accept" in check.hint


async def test_a_phone_that_is_not_ready_beside_one_that_is(fleet: Fleet, device: Device) -> None:
    with phone_process("--unauthorized") as phone:
        with pytest.raises(Exception, match="USB debugging"):
            await fleet.connect(phone.serial)
        checks = await doctor.check_devices(fleet)
        await fleet.disconnect(phone.serial)
    assert sorted(check.status for check in checks) == ["ok", "warning"]


async def test_two_phones_are_a_question(fleet: Fleet, device: Device) -> None:
    with phone_process(seed=2) as phone:
        await fleet.connect(phone.serial)
        checks = await doctor.check_devices(fleet)
        await fleet.disconnect(phone.serial)
    assert [check.status for check in checks] == ["ok", "ok", "warning"]
    assert phone.serial in checks[-1].message


async def test_a_sleeping_phone_has_a_black_screen(
    fleet: Fleet, device: Device, virtual_phone: PhoneProcess
) -> None:
    await device.press("sleep")
    check = only(await doctor.check_devices(fleet), "device")
    assert check.status == "warning"
    assert "black" in check.message
    assert "Wake" in check.hint


async def test_waits_for_a_phone_that_comes_late(fleet: Fleet, virtual_phone: PhoneProcess) -> None:
    virtual_phone.reset(7)
    late = asyncio.create_task(doctor.check_devices(fleet, wait_s=20))
    await asyncio.sleep(0)
    await fleet.connect(virtual_phone.serial)
    assert only(await late, "device").status == "ok"
    await fleet.disconnect(virtual_phone.serial)


# -- engine


async def test_a_llama_server_that_runs_is_shown_with_its_version(tmp_path: Path) -> None:
    binary = program(tmp_path, 'echo "version: 7090 (abc)" >&2')
    settings = EMBEDDED.model_copy(update={"kind": "llama-server", "binary": binary})
    check = only(await doctor.check_engine(settings), "engine")
    assert check.status == "ok"
    assert "version: 7090" in check.message


@pytest.mark.parametrize(
    ("devices", "nvidia", "status", "said"),
    [
        (
            "  CUDA0: NVIDIA GeForce RTX 4060 (8188 MiB, 7099 MiB free)\n",
            "NVIDIA GeForce RTX 4060, 8188, 7099",
            "ok",
            "CUDA0 (NVIDIA GeForce RTX 4060, 7099 MiB free)",
        ),
        ("  (none)\n", "NVIDIA GeForce RTX 4060, 8188, 7099", "warning", "does not see NVIDIA"),
        ("  (none)\n", "", "ok", "none: the model runs on the CPU"),
    ],
)
async def test_the_gpus_that_a_llama_server_sees(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    devices: str,
    nvidia: str,
    status: str,
    said: str,
) -> None:
    script = f"case $1 in --list-devices) printf 'Available devices:\\n{devices}';; esac"
    binary = program(tmp_path, script.replace("\n", "\\n"))
    smi = tmp_path / "nvidia-smi"
    smi.write_text(f"#!/bin/sh\necho '{nvidia}'\n", encoding="utf-8")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    settings = EMBEDDED.model_copy(update={"kind": "llama-server", "binary": binary})
    check = only(await doctor.check_engine(settings), "gpu")
    assert (check.status, said in check.message) == (status, True)


@pytest.mark.parametrize(
    ("preset", "name", "command"),
    [
        ("rtx-4060-8gb", "autoglm-phone-9b", "models convert --model-path FOLDER"),
        ("qwen3-vl-8b", "qwen3-vl-8b", "models pull qwen3-vl-8b"),
    ],
)
def test_a_model_that_is_named_and_not_installed(
    tmp_path: Path, preset: str, name: str, command: str
) -> None:
    overrides = {"service.data_dir": str(tmp_path)}
    (check,) = doctor.check_models(load_settings((preset,), overrides, environ={}).engine)
    assert (check.status, check.message) == ("problem", f"{name} is not installed")
    assert command in check.hint


async def test_a_llama_server_that_lacks_a_library_is_a_problem(tmp_path: Path) -> None:
    binary = program(tmp_path, "echo 'libcudart.so.12: cannot open' >&2; exit 127")
    settings = EMBEDDED.model_copy(update={"kind": "llama-server", "binary": binary})
    check = only(await doctor.check_engine(settings), "engine")
    assert check.status == "problem"
    assert "libcudart" in check.message


async def test_a_llama_server_that_hangs_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "PROGRAM_S", 0.2)
    binary = program(tmp_path, "exec sleep 60")
    settings = EMBEDDED.model_copy(update={"kind": "llama-server", "binary": binary})
    check = only(await doctor.check_engine(settings), "engine")
    assert check.status == "problem"
    assert "no end" in check.message


async def test_a_configured_binary_that_is_not_there_is_a_problem() -> None:
    settings = EMBEDDED.model_copy(update={"kind": "llama-server", "binary": "/no/llama-server"})
    (check,) = await doctor.check_engine(settings)
    assert (check.name, check.status) == ("engine", "problem")
    assert "engine.binary" in check.message


async def test_a_wheel_that_cannot_be_loaded_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = program(tmp_path, "echo 'ImportError: libgomp.so.1: cannot open' >&2; exit 1")
    monkeypatch.setattr(sys, "executable", broken)
    check = only(await doctor.check_engine(EMBEDDED), "engine")
    assert check.status == "problem"
    assert "libgomp.so.1" in check.message


async def test_a_remote_engine_that_is_not_there_is_a_problem(free_port: int) -> None:
    settings = EngineSettings(kind="remote", url=f"http://127.0.0.1:{free_port}/v1")
    (check,) = await doctor.check_engine(settings)
    assert (check.name, check.status) == ("engine", "problem")
    assert check.hint


async def test_a_remote_engine_needs_no_files(free_port: int) -> None:
    async with answering(free_port, "{}"):
        settings = EngineSettings(kind="remote", url=f"http://127.0.0.1:{free_port}/v1")
        (check,) = await doctor.check_engine(settings)
    assert (check.name, check.status) == ("engine", "ok")


async def test_a_taken_engine_port_is_a_problem() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = EMBEDDED.model_copy(update={"port": taken.getsockname()[1]})
        check = only(await doctor.check_engine(settings), "engine port")
    assert check.status == "problem"


# -- models


def models(model: Path | None, mmproj: Path | None) -> dict[str, Check]:
    checks = doctor.check_models(EngineSettings(kind="embedded", model=model, mmproj=mmproj))
    return {check.name: check for check in checks}


def gguf_head(path: Path, **pairs: str | int) -> Path:
    """A GGUF file of metadata only; names use __ for a dot."""
    body = b""
    for name, value in pairs.items():
        key = name.replace("__", ".").encode()
        body += struct.pack("<Q", len(key)) + key
        if isinstance(value, str):
            body += struct.pack("<IQ", 8, len(value)) + value.encode()
        else:
            body += struct.pack("<II", 4, value)
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs)) + body)
    return path


def test_the_shipped_pair_is_one() -> None:
    found = models(MODEL, MMPROJ)
    assert {name: check.status for name, check in found.items()} == {
        "model": "ok",
        "projector": "ok",
    }
    assert "glm4" in found["model"].message


def test_no_model_is_configured() -> None:
    found = models(None, None)
    assert found["model"].status == "problem"
    assert "--config demo" in found["model"].hint


def test_a_model_without_a_projector_is_blind() -> None:
    assert models(MODEL, None)["projector"].status == "problem"


def test_swapped_files_are_seen_on_both_sides() -> None:
    found = models(MMPROJ, MODEL)
    assert [check.status for check in found.values()] == ["problem", "problem"]
    assert "swapped" in found["model"].hint


def test_a_projector_of_another_model_is_a_warning(tmp_path: Path) -> None:
    other = gguf_head(
        tmp_path / "other.gguf", general__architecture="clip", clip__vision__projection_dim=4096
    )
    check = models(MODEL, other)["projector"]
    assert check.status == "warning"
    assert "256" in check.message
    assert "4096" in check.message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "not found"),
        (b"", "not a GGUF file"),
        (b"PK\x03\x04 a zip", "not a GGUF file"),
        (b"GGUF\x03\x00\x00\x00\x01", "cannot be read"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**60), "cannot be read"),
        (
            b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"a" + struct.pack("<I", 99),
            "cannot be read",
        ),
    ],
    ids=["missing", "empty", "zip", "cut", "endless name", "unknown type"],
)
def test_a_file_that_is_no_model_is_a_problem(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    path = tmp_path / "model.gguf"
    if content is not None:
        path.write_bytes(content)
    check = models(path, MMPROJ)["model"]
    assert check.status == "problem"
    assert said in check.message
    assert check.hint


# -- disk


@pytest.mark.parametrize(
    ("free", "status"), [(10**7, "problem"), (5 * 10**8, "warning"), (10**11, "ok")]
)
def test_disk_space(
    free: int, status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type(shutil.disk_usage(tmp_path))(10**12, 10**12 - free, free)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    check = doctor.check_disk(tmp_path / "not" / "yet")
    assert check.status == status
    assert not (tmp_path / "not").exists()


def test_a_file_in_place_of_the_data_folder_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    assert doctor.check_disk(tmp_path / "file" / "data").status == "problem"


# -- port

Http = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@asynccontextmanager
async def answering(port: int, body: str):  # type: ignore[no-untyped-def]
    """A server that answers every request with `body`."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        status = HTTPStatus.OK
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", port) as server:
        yield server


async def test_the_port_is_free(free_port: int) -> None:
    check = await doctor.check_port(ServiceSettings(port=free_port))
    assert check.status == "ok"
    assert str(free_port) in check.message


async def test_phonepilot_already_runs_on_its_port(free_port: int) -> None:
    async with answering(free_port, f'{{"status": "ok", "version": "{__version__}"}}'):
        check = await doctor.check_port(ServiceSettings(port=free_port))
    assert check.status == "ok"
    assert __version__ in check.message


@pytest.mark.parametrize("body", ["<html>", "[]", '{"status": "ok"}'])
async def test_another_program_has_the_port(free_port: int, body: str) -> None:
    async with answering(free_port, body):
        check = await doctor.check_port(ServiceSettings(port=free_port))
    assert check.status == "problem"
    assert "--port" in check.hint


def test_a_service_that_others_can_reach_needs_a_token(tmp_path: Path) -> None:
    overrides = {"service.host": "0.0.0.0", "service.data_dir": str(tmp_path)}
    settings = load_settings((), overrides, environ={})
    check = doctor.check_tokens(settings)
    assert (check.status, "phonepilot tokens create" in check.hint) == ("problem", True)
    Tokens(settings.tokens_file).create("me", ["read"])
    assert doctor.check_tokens(settings).message == "1 tokens"


@pytest.mark.parametrize(
    ("context", "parallel", "cap", "status"),
    [
        (16384, 1, 0, None),
        (16384, 4, 0, "warning"),
        (16384, 2, 0, "ok"),
        (16384, 4, 1024, "ok"),
    ],
)
def test_a_part_of_the_context_that_is_too_small_for_a_step_is_told(
    context: int, parallel: int, cap: int, status: str | None
) -> None:
    settings = EngineSettings(context=context, parallel=parallel, image_max_tokens=cap)
    checks = doctor.check_slots(settings)
    assert [check.status for check in checks] == ([status] if status else [])
    assert all(str(context // parallel) in check.message for check in checks)
