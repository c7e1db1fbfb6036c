"""The command line as a newcomer meets it, and what is left when it is killed."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.e2e.conftest import service_environment, service_process, wait_until_ready
from tests.phones import ROOT, phone_process

GONE_S = 15


def phonepilot(
    folder: Path, *arguments: str, timeout: float = 90, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=service_environment(folder) | environment,
        stdin=subprocess.DEVNULL,
        cwd=ROOT,
        check=False,
    )


@contextmanager
def kept_demo(folder: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, object]]]:
    """A demo that has done its goal and keeps its dashboard up, and the verdict it gave."""
    with subprocess.Popen(
        [sys.executable, "-m", "app", "demo", "--keep", "--json"],
        stdout=subprocess.PIPE,
        text=True,
        env=service_environment(folder),
        cwd=ROOT,
    ) as process:
        assert process.stdout is not None
        verdict: dict[str, object] = {}
        while verdict.get("event") != "verdict":
            verdict = json.loads(process.stdout.readline())
        try:
            yield process, verdict
        finally:
            process.kill()


def descendants(pid: int) -> list[psutil.Process]:
    return list(psutil.Process(pid).children(recursive=True))


def wait_until_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=GONE_S)
    assert not alive, [process.cmdline() for process in alive]


def test_the_demo_does_its_goal_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = phonepilot(tmp_path, "demo")
    assert done.returncode == 0, done.stderr
    assert "Bluetooth is off, want on." in done.stdout
    assert "Verdict of the phone's own state: right" in done.stdout
    assert "Traceback" not in done.stderr


def test_the_demo_gives_no_verdict_on_what_it_cannot_judge(tmp_path: Path) -> None:
    done = phonepilot(tmp_path, "demo", "--goal", "Order a pizza", "--json")
    assert done.returncode == 2
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["event"], last["right"]) == ("verdict", None)


def test_a_demo_without_a_terminal_does_not_wait_for_an_answer(tmp_path: Path) -> None:
    done = phonepilot(tmp_path, "demo", "--goal", "Order a pizza", PHONEPILOT_AGENT__CONFIRM="ask")
    assert done.returncode == 2
    assert "Task failed after 0 steps and" in done.stdout
    assert "nobody answered" not in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_no_process_outlives_a_demo_that_is_killed(tmp_path: Path) -> None:
    with kept_demo(tmp_path) as (process, verdict):
        assert verdict["right"] is True
        children = descendants(process.pid)
        names = " ".join(part for child in children for part in child.cmdline())
        assert "adb" in names and "embedded" in names and "app.virtual_phone" in names
        process.send_signal(signal.SIGKILL)
        process.wait(GONE_S)
        wait_until_gone(children)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM")
def test_a_terminated_service_closes_everything_in_order(tmp_path: Path) -> None:
    with service_process(tmp_path) as (url, process):
        wait_until_ready(url)
        children = descendants(process.pid)
        assert children
        process.send_signal(signal.SIGTERM)
        assert process.wait(GONE_S) == 128 + signal.SIGTERM
        wait_until_gone(children)


def test_a_port_in_use_is_said_in_two_lines(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        failed = phonepilot(tmp_path, "serve", "-c", "demo", "--port", str(port))
    assert failed.returncode == 1
    assert f"{port} is in use" in failed.stderr and "--port" in failed.stderr
    assert len(failed.stderr.splitlines()) == 2


def test_a_goal_without_a_service_says_how_to_start_one(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    failed = phonepilot(tmp_path, "run", "Open Calendar", "--url", f"http://127.0.0.1:{port}")
    assert failed.returncode == 1
    assert "service_unreachable" in failed.stderr and "phonepilot serve" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_phone_is_connected_and_a_goal_run_from_the_command_line(tmp_path: Path) -> None:
    with service_process(tmp_path) as (url, _), phone_process() as phone:
        assert phonepilot(tmp_path, "connect", phone.serial, "--url", url).returncode == 0
        done = phonepilot(tmp_path, "run", "Open Calendar", "--url", url, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout.splitlines()[-1])["status"] == "succeeded"
        assert phone.state()["ui"]["foreground"] == "org.phonepilot.calendar"
        failed = phonepilot(tmp_path, "run", " ", "--url", url)
        assert failed.returncode == 1 and "empty" in failed.stderr


def test_a_host_that_others_reach_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "open.toml"
    config.write_text('[service]\nhost = "0.0.0.0"\n', encoding="utf-8")
    failed = phonepilot(tmp_path, "serve", "-c", str(config))
    assert failed.returncode == 1
    assert "config_invalid" in failed.stderr and "0.0.0.0" in failed.stderr


def test_a_wrong_key_names_its_file(tmp_path: Path) -> None:
    config = tmp_path / "wrong.toml"
    config.write_text('[engine]\nmodle = "x"\n', encoding="utf-8")
    failed = phonepilot(tmp_path, "serve", "-c", str(config))
    assert failed.returncode == 1
    assert "modle" in failed.stderr and "wrong.toml" in failed.stderr


def test_every_command_explains_itself(tmp_path: Path) -> None:
    for command in (
        "demo",
        "serve",
        "run",
        "connect",
        "devices",
        "phone",
        "doctor",
        "tasks",
        "models",
    ):
        told = phonepilot(tmp_path, command, "--help")
        assert told.returncode == 0 and "Usage" in told.stdout


def test_the_processes_of_a_run_end_with_it(tmp_path: Path) -> None:
    started = time.time()
    assert phonepilot(tmp_path, "demo", "--goal", "Open Notes").returncode == 0
    strays = [
        process.info["cmdline"]
        for process in psutil.process_iter(["cmdline", "create_time", "environ"])
        if process.info["create_time"] >= started
        and (process.info["environ"] or {}).get("PHONEPILOT_SERVICE__DATA_DIR") == str(tmp_path)
    ]
    assert strays == []
