"""Tasks from the command line: asked at a real terminal (a pty), or answered from elsewhere."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from app.cli.ask import read_answer
from tests.e2e.test_questions import (
    BLUETOOTH,
    DONE,
    OPEN_SETTINGS,
    PATIENCE_S,
    SENSITIVE_TAP,
    TAP,
    Held,
    Scene,
    open_scene,
)
from tests.phones import ROOT

ALLOW = "Allow? y, or n, or n and what to do instead: "
PHONEPILOT = [sys.executable, "-m", "app"]


@pytest.fixture(scope="module")
def shared_scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with open_scene(tmp_path_factory.mktemp("cli")) as scene:
        yield scene


@pytest.fixture
def scene(shared_scene: Scene) -> Scene:
    shared_scene.stack.phone.reset(7)
    shared_scene.engine.requests.clear()
    shared_scene.seen = len(shared_scene.stack.phone.events())
    return shared_scene


class Typist:
    """A person at a terminal in which a command runs."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process = process
        self._master = master
        self._text = ""

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def wait_for(self, words: str) -> None:
        """Until these words stand on the screen, after those that were waited for before."""
        end = time.monotonic() + PATIENCE_S
        while words not in self._text:
            self._read(end, words)
        self._text = self._text.partition(words)[2]

    def end(self) -> int:
        """The exit code."""
        return self.process.wait(PATIENCE_S)

    def _read(self, end: float, words: str) -> None:
        ready, _, _ = select.select([self._master], [], [], max(0, end - time.monotonic()))
        assert ready, f"{words!r} did not come; there is: {self._text!r}"
        try:
            raw = os.read(self._master, 65536).decode("utf-8", "replace")
        except OSError as exc:  # what Linux says once nobody has the other side open
            raise AssertionError(f"{words!r} did not come; there was: {self._text!r}") from exc
        self._text += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", raw).replace("\r\n", "\n")


@contextmanager
def typist(scene: Scene, *argv: str) -> Iterator[Typist]:
    """`phonepilot ARGV` on a terminal of its own."""
    master, slave = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "200", "NO_COLOR": "1"}
    try:
        with subprocess.Popen(
            [*PHONEPILOT, *argv, "--url", scene.stack.url],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=ROOT,
            env=environment,
            start_new_session=True,
        ) as process:
            os.close(slave)
            try:
                yield Typist(process, master)
            finally:
                if process.poll() is None:
                    process.kill()
    finally:
        os.close(master)


def command(scene: Scene, *argv: str, code: int = 0) -> str:
    """What `phonepilot ARGV` prints, without a terminal."""
    done = subprocess.run(
        [*PHONEPILOT, *argv, "--url", scene.stack.url],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("kind", "line", "answer"),
    [
        ("confirmation", "y\n", {"allow": True, "text": ""}),
        ("confirmation", " YES ", {"allow": True, "text": ""}),
        ("confirmation", "n\n", {"allow": False, "text": ""}),
        ("confirmation", "no, use the other one", {"allow": False, "text": "use the other one"}),
        ("confirmation", "y but only once", None),  # the model would not hear of it
        ("confirmation", "", None),
        ("step", "maybe", None),
        ("step", "yesterday", None),
        ("take_over", "y, as Ann", {"allow": True, "text": "as Ann"}),
        ("stalled", "y try the menu", {"allow": True, "text": "try the menu"}),
        ("doubt", "n", {"allow": False, "text": ""}),
        ("question", "y", {"allow": True, "text": "y"}),
        ("question", "n", {"allow": True, "text": "n"}),
        ("question", "/stop", {"allow": False}),
        ("question", "  \n", None),
    ],
)
def test_what_a_typed_line_means(kind: str, line: str, answer: dict[str, Any] | None) -> None:
    assert read_answer(kind, line) == answer


@contextmanager
def cutting_proxy(target: str, cuts: int) -> Iterator[tuple[str, list[str]]]:
    """(URL, first lines of what was asked) of a proxy that cuts so many streams of events short."""
    asked: list[str] = []
    host, port = urlsplit(target).hostname, urlsplit(target).port

    def forward(client: socket.socket) -> None:
        with client, socket.create_connection((host, port)) as service:
            request = b""
            while not (found := re.search(rb"\r\n\r\n", request)):
                request += client.recv(65536)
            length = re.search(rb"(?i)content-length: (\d+)", request)
            while length and len(request) < found.end() + int(length[1]):
                request += client.recv(65536)
            asked.append(request.partition(b"\r\n")[0].decode())
            is_stream = b"/events " in request.partition(b"\r\n")[0]
            left = 900 if is_stream and sum("/events " in line for line in asked) <= cuts else 10**9
            service.sendall(request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
            with contextlib.suppress(OSError):
                while left > 0 and (piece := service.recv(min(left, 4096))):
                    client.sendall(piece)
                    left -= len(piece)

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=forward, args=(client,))
            thread.start()
            threads.append(thread)

    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        door = threading.Thread(target=serve)
        door.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
        finally:
            listener.shutdown(socket.SHUT_RDWR)
    for thread in [door, *threads]:
        thread.join(10)


def test_a_task_is_followed_over_a_connection_that_breaks(scene: Scene) -> None:
    scene.engine.replies = [OPEN_SETTINGS, TAP, DONE]
    with cutting_proxy(scene.stack.url, cuts=4) as (url, asked):
        done = subprocess.run(
            [*PHONEPILOT, "run", "Turn on Bluetooth", "--confirm", "allow", "--json", "--url", url],
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=PATIENCE_S,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    steps = [line["number"] for line in lines if line["event"] == "step"]
    assert steps == [1, 2, 3]
    assert lines[-1]["event"] == "end"
    assert sum("/events " in line for line in asked) == 5


def test_the_person_at_the_terminal_is_asked_again_until_the_answer_is_plain(scene: Scene) -> None:
    scene.engine.replies = [OPEN_SETTINGS, SENSITIVE_TAP, DONE]
    with typist(scene, "run", "Turn on Bluetooth", "--confirm", "ask") as person:
        person.wait_for('? Tap at 880, 273 on "Bluetooth off" in Settings?')
        person.wait_for(ALLOW)
        person.type("perhaps\n")
        person.wait_for(ALLOW)
        assert not scene.bluetooth()
        person.type("y\n")
        person.wait_for("succeeded Bluetooth is on.")
        assert person.end() == 0
    assert scene.bluetooth()


def test_what_was_typed_before_the_question_is_no_answer(scene: Scene) -> None:
    second = Held(SENSITIVE_TAP)
    scene.engine.replies = [OPEN_SETTINGS, second]
    with typist(scene, "run", "Turn on Bluetooth", "--confirm", "ask") as person:
        assert second.asked.wait(PATIENCE_S)
        person.type("y\ny\n")
        second.let.set()
        person.wait_for(ALLOW)
        person.type("n\n")
        person.wait_for('failed Not allowed: Tap at 880, 273 on "Bluetooth off" in Settings?')
        assert person.end() == 1
    assert not scene.bluetooth()


def test_an_answer_given_elsewhere_ends_the_prompt(scene: Scene) -> None:
    scene.engine.replies = [OPEN_SETTINGS, SENSITIVE_TAP, SENSITIVE_TAP, DONE]
    with typist(scene, "run", "Turn on Bluetooth", "--confirm", "ask") as person:
        person.wait_for(ALLOW)
        person.type("n")  # begun, and not sent
        task = scene.stack.get("/tasks?limit=1")["tasks"][0]["id"]
        scene.reply(task, True).raise_for_status()
        person.wait_for("No longer asked: answered elsewhere, or too late.")
        person.wait_for(ALLOW)
        person.type("y\n")
        person.wait_for("succeeded")
        assert person.end() == 0
    assert len(scene.touches()) == 2


def test_ctrl_c_at_a_question_cancels_the_task(scene: Scene) -> None:
    scene.engine.replies = [OPEN_SETTINGS, SENSITIVE_TAP]
    with typist(scene, "run", "Turn on Bluetooth", "--confirm", "ask") as person:
        person.wait_for(ALLOW)
        person.process.send_signal(signal.SIGINT)
        assert person.end() == 128 + signal.SIGINT
    assert scene.stack.get("/tasks?limit=1")["tasks"][0]["status"] == "cancelled"
    assert scene.touches() == []


def test_a_question_of_the_model_takes_any_line(scene: Scene) -> None:
    scene.engine.replies = ['do(action="Interact", message="Which one?")', DONE]
    with typist(scene, "run", "Turn on Bluetooth", "--confirm", "ask") as person:
        person.wait_for("Your answer, or /stop to end the task: ")
        person.type("n for none\n")
        person.wait_for("succeeded")
    assert "n for none" in scene.engine.told()[-1]


def test_without_a_terminal_it_says_how_to_answer_and_that_works(scene: Scene) -> None:
    scene.engine.replies = [OPEN_SETTINGS, SENSITIVE_TAP, DONE]
    argv = [*PHONEPILOT, "run", "Bluetooth on", "--confirm", "ask", "--url", scene.stack.url]
    with subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as run:
        assert run.stdout is not None
        lines: list[str] = []
        while not lines or "Content-Type" not in lines[-1]:
            lines.append(run.stdout.readline())
            assert lines[-1], lines
        curl = "".join(lines[-2:]).replace("curl", "curl -sS --noproxy '*'")
        subprocess.run(["bash", "-c", curl], check=True, capture_output=True, timeout=PATIENCE_S)
        assert "succeeded" in run.stdout.read()
    assert run.returncode == 0
    assert scene.bluetooth()


def test_programs_get_the_question_as_a_line_of_json(scene: Scene) -> None:
    scene.engine.replies = [OPEN_SETTINGS, SENSITIVE_TAP, DONE]
    argv = [*PHONEPILOT, "run", "Bluetooth on", "--confirm", "ask", "--json"]
    with subprocess.Popen(
        [*argv, "--url", scene.stack.url], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as run:
        assert run.stdout is not None
        told = (json.loads(line) for line in run.stdout)
        question = next(line for line in told if line["event"] == "question")
        assert (question["kind"], question["action"]["element"]) == ("confirmation", BLUETOOTH)
        scene.reply(question["task"], True, question=question["number"]).raise_for_status()
        assert [line["event"] for line in told][-2:] == ["step", "end"]
    assert run.returncode == 0


def test_a_dry_run_a_step_mode_and_a_follow_up_from_the_command_line(scene: Scene) -> None:
    scene.engine.replies = [OPEN_SETTINGS]
    argv = ("--dry-run", "--allow-app", "Settings", "--allow-app", "Notes")
    assert "The next action: Open the app" in command(scene, "run", "Open Settings", *argv)
    assert scene.touches() == []
    dry = scene.stack.get("/tasks?limit=1")["tasks"][0]
    assert (dry["mode"], dry["allowed_apps"]) == ("dry_run", ["Settings", "Notes"])

    scene.engine.replies = [TAP]
    refused = command(scene, "run", "Go on", "--step", "--follow", dry["id"], code=1)
    assert "Not allowed: Tap at" in refused  # the service of the tests denies
    step = scene.stack.get("/tasks?limit=1")["tasks"][0]
    assert (step["mode"], step["follows"]) == ("step", dry["id"])
    assert "exclude each other" in command(scene, "run", "x", "--step", "--dry-run", code=2)


def test_a_task_is_listed_shown_paused_answered_and_cancelled(scene: Scene) -> None:
    second = Held(SENSITIVE_TAP)
    task = scene.start(OPEN_SETTINGS, second, SENSITIVE_TAP, SENSITIVE_TAP)
    assert second.asked.wait(PATIENCE_S)
    assert command(scene, "tasks", "pause", task) == "Paused.\n"
    second.let.set()
    assert f"{task}  paused" in command(scene, "tasks", "list")
    assert json.loads(command(scene, "tasks", "show", task, "--json"))["status"] == "paused"
    assert command(scene, "tasks", "resume", task) == "It goes on.\n"
    scene.question(task)
    shown = command(scene, "tasks", "show", task)
    assert (
        "Open the app 'Settings'" in shown
        and '? Tap at 880, 273 on "Bluetooth off" in Settings?' in shown
    )
    listed = json.loads(command(scene, "tasks", "list", "--limit", "1", "--json"))["tasks"]
    assert [known["status"] for known in listed] == ["needs_confirmation"]
    late = command(scene, "tasks", "reply", task, "--allow", "--question", "9", code=1)
    assert "no_open_question" in late
    answered = command(scene, "tasks", "reply", task, "--refuse", "--text", "Not yet", "--json")
    assert json.loads(answered)["id"] == task
    scene.question(task, 2)
    assert "Not yet" in scene.engine.told()[-1]
    assert command(scene, "tasks", "cancel", task) == "Cancelled.\n"
    assert "task_not_running" in command(scene, "tasks", "cancel", task, code=1)
    assert scene.touches() == []


def test_a_task_id_is_no_path(scene: Scene) -> None:
    assert "task_not_found" in command(scene, "tasks", "show", "nobody", code=1)
    assert "error" in command(scene, "tasks", "show", "../devices?x=#y", code=1)


def test_schedules_are_kept_from_the_command_line(scene: Scene) -> None:
    goal, cron = "Turn on battery saver", ("--cron", "30 22 * * 1-5", "--timezone", "Europe/Berlin")
    added = json.loads(command(scene, "schedules", "add", goal, *cron, "--json"))
    listed = command(scene, "schedules", "list")
    assert added["id"] in listed
    assert goal in listed
    assert "off" in command(scene, "schedules", "off", added["id"])
    assert "off" not in command(scene, "schedules", "on", added["id"])
    command(scene, "schedules", "remove", added["id"])
    assert "No schedules" in command(scene, "schedules", "list")
    command(scene, "schedules", "add", goal, "--cron", "at noon", code=1)
    command(scene, "schedules", "remove", "../tasks", code=1)
