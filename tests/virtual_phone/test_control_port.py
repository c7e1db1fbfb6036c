"""The control port: state out, seeds in, events as they come, and nobody without the token."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading

import httpx
import psutil
import pytest
from PIL import Image

from app.errors import ConfigError
from app.virtual_phone.main import running, serve
from app.virtual_phone.phone import Phone
from app.virtual_phone.state import PhoneState
from tests.phones import ROOT, PhoneProcess, phone_process


@pytest.fixture(autouse=True)
def _as_new(virtual_phone: PhoneProcess) -> None:
    virtual_phone.reset(7)


def test_state_is_the_typed_tree(virtual_phone: PhoneProcess) -> None:
    assert PhoneState.model_validate(virtual_phone.state()) == Phone(7).state
    virtual_phone.reset(8)
    assert PhoneState.model_validate(virtual_phone.state()) == Phone(8).state


@pytest.mark.parametrize("body", ["", "{}", "[]", '{"seed": "7"}', '{"seed": true}', '{"x": 1}'])
def test_a_bad_reset_changes_nothing(virtual_phone: PhoneProcess, body: str) -> None:
    before = virtual_phone.state()
    assert virtual_phone.http.post("/reset", content=body).status_code == 422
    assert virtual_phone.state() == before


def test_the_screen(virtual_phone: PhoneProcess) -> None:
    answer = virtual_phone.http.get("/screen.png")
    assert answer.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(answer.content)).tobytes() == Phone(7).frame().tobytes()


@pytest.mark.parametrize("path", ["/state", "/events", "/screen.png", "/reset", "/nothing"])
@pytest.mark.parametrize("token", [None, "", "Bearer", "Bearer wrong", "Bearer é"])
def test_nobody_without_the_token(
    virtual_phone: PhoneProcess, path: str, token: str | None
) -> None:
    headers = {} if token is None else {b"Authorization": token.encode()}
    url = virtual_phone.control + path
    answer = httpx.request("GET", url, headers=headers, trust_env=False)
    assert answer.status_code == 401
    assert virtual_phone.token not in answer.text


def test_events_come_as_they_happen_and_resume(virtual_phone: PhoneProcess) -> None:
    last = virtual_phone.events()[-1]["seq"]
    headers = {"Last-Event-ID": str(last)}
    with virtual_phone.http.stream("GET", "/events", headers=headers, timeout=10) as stream:
        threading.Timer(0.1, virtual_phone.reset, [9]).start()
        lines = stream.iter_lines()
        assert [next(lines), next(lines)] == [f"id: {last + 1}", "event: reset"]
        assert json.loads(next(lines).removeprefix("data: "))["seed"] == 9
    assert [event["kind"] for event in virtual_phone.events(last)] == ["reset"]
    assert virtual_phone.http.get("/events", params={"after": "x"}).status_code == 422


async def test_a_port_in_use_is_told() -> None:
    async with running(Phone(1), port=0, control_token="t") as ports:
        with pytest.raises(ConfigError, match=f"port {ports.adb} is in use"):
            await serve(ports.adb)
        with pytest.raises(ConfigError, match=f"port {ports.control} is in use"):
            await serve(0, control_port=ports.control or 0, control_token="t")


@pytest.mark.parametrize("port", [-1, 65_536, 99_999])
async def test_a_number_that_is_no_port_is_told(port: int) -> None:
    with pytest.raises(ConfigError, match=f"{port} is no port"):
        await serve(port)
    with pytest.raises(ConfigError, match=f"{port} is no port"):
        await serve(0, control_port=port, control_token="t")


def test_a_port_in_use_on_the_command_line(virtual_phone: PhoneProcess) -> None:
    port = virtual_phone.serial.rpartition(":")[2]
    result = subprocess.run(
        [sys.executable, "-m", "app.virtual_phone", "--port", port],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=20,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr.splitlines()[0] == f"port {port} is in use"
    assert "Traceback" not in result.stderr


def test_it_ends_with_its_parent() -> None:
    code = """
import os, subprocess, sys, time
phone = subprocess.Popen(
    [sys.executable, "-m", "app.virtual_phone", "--port", "0", "--exit-on-stdin-eof"],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE)
phone.stdout.readline()
print(phone.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=ROOT, env=dict(os.environ)
    ) as parent:
        assert parent.stdout is not None
        phone = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    _, alive = psutil.wait_procs([phone], timeout=10)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def test_it_ends_while_somebody_reads_events() -> None:
    with phone_process() as phone:
        with phone.http.stream("GET", "/events", timeout=10) as stream:
            assert phone.process.stdin is not None
            phone.process.stdin.close()
            assert stream.read() is not None
        assert phone.process.wait(10) == 0
