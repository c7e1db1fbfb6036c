"""A service that is killed at any moment goes on afterwards: no step lost, no touch doubled.

`PHONEPILOT_TEST_KILLS=50` kills it at fifty moments.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import STOP_S, Stack, service_process, wait_until_ready
from tests.e2e.scripted_engine import scripted_engine
from tests.phones import PhoneProcess, phone_process

KILLS = int(os.environ.get("PHONEPILOT_TEST_KILLS", "5"))
MOMENTS_S = (0.0, 1.6)
"""After the tasks were given; the two of them take about so long."""
GOALS = ("Turn on Bluetooth", "Turn on NFC")


def ended(url: str, task: str) -> dict[str, Any]:
    """The task once it has ended: its events come until then."""
    with httpx.stream("GET", f"{url}/tasks/{task}/events", timeout=90, trust_env=False) as events:
        for _ in events.iter_lines():
            pass
    return dict(httpx.get(f"{url}/tasks/{task}", trust_env=False).json())


def taps(phone: PhoneProcess, after: int) -> list[str]:
    commands = (event["command"] for event in phone.events(after) if event["kind"] == "shell")
    return [found.group() for line in commands if (found := re.search(r"input tap \d+ \d+", line))]


def story(task: dict[str, Any], steps: list[dict[str, Any]]) -> str:
    """A task in a line, for whoever has to find out why it went wrong."""
    did = [f"{step['summary']} {step['error'] or ''} {step['remark']}" for step in steps]
    return f"{task['status']} {task['stop_reason']} {task['message']} {task['error']}: {did}"


@pytest.mark.timeout(60 + 40 * KILLS)
def test_killed_at_any_moment_it_goes_on_without_doubling_a_touch(tmp_path: Path) -> None:
    moments = random.Random(20261120)
    with phone_process() as phone:
        for number in range(KILLS):
            phone.reset(7)
            before = max([0, *(event["seq"] for event in phone.events())])
            folder = tmp_path / str(number)
            with service_process(folder) as (url, process):
                wait_until_ready(url)
                stack = Stack(url, phone, process)
                stack.post("/devices/connect", {"address": phone.serial}).raise_for_status()
                tasks = [stack.post("/tasks", {"goal": goal}).json()["id"] for goal in GOALS]
                moment = moments.uniform(*MOMENTS_S)
                threading.Event().wait(moment)
                process.kill()
            with service_process(folder) as (url, _):
                found = [ended(url, task) for task in tasks]
                steps = [
                    httpx.get(f"{url}/tasks/{task}/steps", trust_env=False).json()["steps"]
                    for task in tasks
                ]
            told = (number, moment, [story(*each) for each in zip(found, steps, strict=True)])
            assert [task["status"] for task in found] == ["succeeded", "succeeded"], told
            settings = phone.state()["settings"]
            assert settings["bluetooth"] and settings["nfc"], told
            for task, kept in zip(found, steps, strict=True):
                assert [step["number"] for step in kept] == list(range(1, task["steps"] + 1)), told
            done = taps(phone, before)
            assert len(set(done)) == len(done), (told, done)


def test_stopped_politely_it_goes_on_too(tmp_path: Path) -> None:
    with phone_process() as phone:
        phone.reset(7)
        before = max([0, *(event["seq"] for event in phone.events())])
        with service_process(tmp_path) as (url, process):
            wait_until_ready(url)
            stack = Stack(url, phone, process)
            stack.post("/devices/connect", {"address": phone.serial}).raise_for_status()
            tasks = [stack.post("/tasks", {"goal": goal}).json()["id"] for goal in GOALS]
            process.send_signal(signal.SIGTERM)
            assert process.wait(STOP_S) == 128 + signal.SIGTERM
        with service_process(tmp_path) as (url, _):
            found = [ended(url, task) for task in tasks]
        assert [task["status"] for task in found] == ["succeeded", "succeeded"], found
        assert [task["restarts"] for task in found] == [1, 0]  # the second one had not begun
        done = taps(phone, before)
        assert len(set(done)) == len(done), done


def test_an_answer_to_a_question_of_before_a_restart_counts_for_nothing(tmp_path: Path) -> None:
    """An old "I unlocked it" must not allow what is asked after the restart."""
    take = 'do(action="Take_over", message="Unlock it")'

    def asked(url: str, task: str) -> dict[str, Any]:
        with httpx.stream("GET", f"{url}/tasks/{task}/events", timeout=60, trust_env=False) as s:
            for line in s.iter_lines():
                name, _, value = line.partition(": ")
                if name == "data" and (found := json.loads(value).get("question")):
                    return dict(found)
        raise AssertionError("it asked nothing")

    with phone_process() as phone, scripted_engine() as engine:
        engine.habit = [take]
        config = tmp_path / "restart.toml"
        config.write_text(f'[engine]\nurl = "{engine.url}"\n', encoding="utf-8")
        options, folder = ("-c", str(config)), tmp_path / "data"
        with service_process(folder, *options, kind="remote") as (url, process):
            stack = Stack(url, phone, process)
            stack.post("/devices/connect", {"address": phone.serial}).raise_for_status()
            body = {"goal": "Turn on Bluetooth", "confirm": "ask"}
            task = stack.post("/tasks", body).json()["id"]
            before = asked(url, task)["number"]
            process.kill()
        with service_process(folder, *options, kind="remote") as (url, _):
            after = asked(url, task)["number"]
            assert after > before
            reply = {"allow": True, "question": before}
            answer = httpx.post(f"{url}/tasks/{task}/reply", json=reply, trust_env=False)
            assert (answer.status_code, answer.json()["error"]["code"]) == (409, "no_open_question")
