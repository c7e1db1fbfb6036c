"""The main job on real parts: adb server, llama.cpp, the demo model, SQLite, HTTP."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import OpenAI

from tests.e2e.conftest import Stack


def lasting(state: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in state.items() if key != "ui"}


def test_a_switch_is_set_and_nothing_else_changes(stack: Stack) -> None:
    before = stack.phone.state()
    assert before["settings"]["bluetooth"] is False
    task = stack.run("Turn on Bluetooth")
    assert (task["status"], task["stop_reason"]) == ("succeeded", "finished")
    after = stack.phone.state()
    before["settings"]["bluetooth"] = True
    assert lasting(after) == lasting(before)


def test_a_goal_that_is_already_reached_changes_nothing(stack: Stack) -> None:
    before = stack.phone.state()
    task = stack.run("Turn off Bluetooth")
    assert task["status"] == "succeeded"
    assert lasting(stack.phone.state()) == lasting(before)


def test_an_app_is_opened(stack: Stack) -> None:
    assert stack.run("Open Calendar")["status"] == "succeeded"
    assert stack.phone.state()["ui"]["foreground"] == "org.phonepilot.calendar"


def test_what_the_demo_model_was_not_taught_is_not_called_a_success(stack: Stack) -> None:
    before = stack.phone.state()
    task = stack.run("Order a pizza")
    assert (task["status"], task["stop_reason"]) == ("failed", "out_of_scope")
    assert lasting(stack.phone.state()) == lasting(before)


def test_every_step_is_recorded(stack: Stack) -> None:
    task = stack.run("Turn on Bluetooth")
    steps = stack.get(f"/tasks/{task['id']}/steps")["steps"]
    assert [step["number"] for step in steps] == list(range(1, task["steps"] + 1))
    for step in steps:
        assert step["raw"].startswith("<think>") and step["thought"] and step["action"]
        assert {"screenshot", "encode", "first_token", "request"} <= set(step["timings_ms"])
        assert step["tokens"]["prompt"] > 180
        picture = httpx.get(stack.url + step["screenshot"], trust_env=False)
        assert picture.headers["content-type"] == "image/jpeg"
        assert picture.content.startswith(b"\xff\xd8")
    assert steps[-1]["action"]["kind"] == "finish"


def test_events_tell_the_whole_task_and_resume_where_a_reader_left(stack: Stack) -> None:
    task = stack.post("/tasks", {"goal": "Turn on Bluetooth"}).json()
    url = f"{stack.url}/tasks/{task['id']}/events"
    events = _events(httpx.get(url, timeout=60, trust_env=False).text)
    kinds = [kind for _, kind, _ in events]
    assert kinds[0] == "task" and kinds[-1] == "end"
    thought = "".join(data["text"] for _, kind, data in events if kind == "thought")
    assert "Bluetooth is off, want on." in thought and "<" not in thought
    assert kinds.count("thought") > kinds.count("step"), "the thought comes in pieces"
    middle = events[len(events) // 2][0]
    headers = {"Last-Event-ID": str(middle)}
    rest = _events(httpx.get(url, headers=headers, timeout=60, trust_env=False).text)
    assert rest == events[len(events) // 2 + 1 :]


def _events(text: str) -> list[tuple[int, str, dict[str, Any]]]:
    found = []
    blocks = text.strip().split("\n\n")
    for block in (each for each in blocks if not each.startswith(":")):  # a sign of life
        lines = dict(line.split(": ", 1) for line in block.splitlines())
        found.append((int(lines["id"]), lines["event"], json.loads(lines["data"])))
    return found


def test_openai_client_streams_through_the_passthrough(stack: Stack) -> None:
    client = OpenAI(base_url=f"{stack.url}/v1", api_key="none")
    with (
        client,
        client.chat.completions.create(
            model="phonepilot-demo",
            messages=[{"role": "user", "content": "Hello"}],
            stream=True,
            max_tokens=12,
            temperature=0,
        ) as stream,
    ):
        chunks = [c.choices[0].delta.content for c in stream if c.choices]
    assert len([c for c in chunks if c]) >= 3


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"goal": "   "}, 422, "empty"),
        ({"goal": "x" * 3000}, 422, "longer"),
        ({"goal": 5}, 422, "string"),
        ({}, 422, "goal"),
        ({"goal": "go", "colour": 1}, 422, "colour"),
        ({"goal": "go", "device": "nobody"}, 404, "nobody"),
    ],
)
def test_bad_input_is_a_typed_error(
    stack: Stack, body: dict[str, object], status: int, words: str
) -> None:
    answer = stack.post("/tasks", body)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "hint"}
    assert words in error["message"]


def test_a_cancelled_task_ends_at_once_and_says_so(stack: Stack) -> None:
    task = stack.post("/tasks", {"goal": "Turn on Bluetooth"}).json()
    answer = stack.post(f"/tasks/{task['id']}/cancel")
    assert answer.json()["status"] == "cancelled"
    seen = len(stack.phone.events())
    assert stack.post(f"/tasks/{task['id']}/cancel").status_code == 409
    assert len(stack.phone.events()) == seen, "nothing touches the phone after the answer"


def test_two_goals_for_one_phone_wait_for_each_other(stack: Stack) -> None:
    first = stack.post("/tasks", {"goal": "Turn on Bluetooth"}).json()
    second = stack.run("Open Calendar")
    ended = stack.get(f"/tasks/{first['id']}")
    assert ended["status"] == second["status"] == "succeeded"
    assert ended["ended_at"] <= second["started_at"]


def test_two_names_of_one_phone_are_one_queue(stack: Stack) -> None:
    """The adb server takes `localhost` and `127.0.0.1` for two phones."""
    other = stack.phone.serial.replace("127.0.0.1", "localhost")
    stack.post("/devices/connect", {"address": other}).raise_for_status()
    try:
        first = stack.post("/tasks", {"goal": "Turn on Bluetooth", "device": stack.phone.serial})
        second = stack.run("Turn on NFC", device=other)
        assert second["status"] == "succeeded"
        assert stack.get(f"/tasks/{first.json()['id']}")["status"] == "succeeded"
    finally:
        stack.post(f"/devices/{other}/disconnect").raise_for_status()


def test_a_task_shows_in_the_metrics(stack: Stack) -> None:
    assert stack.run("Turn on Bluetooth")["status"] == "succeeded"
    text = httpx.get(f"{stack.url}/metrics", trust_env=False).text
    assert 'phonepilot_tasks_ended_total{reason="finished",status="succeeded"}' in text
    assert 'phonepilot_step_phase_seconds_count{phase="act"}' in text
    assert stack.get("/readyz")["status"] == "ready"


def test_a_page_of_another_site_is_refused(stack: Stack) -> None:
    answer = httpx.post(
        f"{stack.url}/tasks",
        json={"goal": "Open Calendar"},
        headers={"Origin": "https://evil.example"},
        trust_env=False,
    )
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "request_refused"
    rebound = httpx.get(f"{stack.url}/healthz", headers={"Host": "evil.example"}, trust_env=False)
    assert rebound.status_code == 403


def test_no_file_outside_the_dashboard_is_served(stack: Stack) -> None:
    for path in ("/dashboard/../main.py", "/dashboard/%2e%2e/main.py", "/dashboard//etc/passwd"):
        assert httpx.get(stack.url + path, trust_env=False).status_code == 404


def test_the_store_is_a_plain_sqlite_file(
    stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> None:
    task = stack.run("Open Calendar")
    folder = Path(tmp_path_factory.getbasetemp())
    database = next(folder.glob("service*/phonepilot.db"))
    with sqlite3.connect(database) as connection:
        row = connection.execute("SELECT status FROM tasks WHERE id = ?", (task["id"],)).fetchone()
    connection.close()
    assert row == ("succeeded",)


def test_a_task_is_exported_whole(stack: Stack, tmp_path: Path) -> None:
    task = stack.run("Turn on Bluetooth")
    answer = httpx.get(f"{stack.url}/tasks/{task['id']}/export", trust_env=False)
    assert answer.headers["content-type"] == "application/zip"
    assert task["id"] in answer.headers["content-disposition"]
    (tmp_path / "task.zip").write_bytes(answer.content)
    with zipfile.ZipFile(tmp_path / "task.zip") as archive:
        names = set(archive.namelist())
        assert {f"screenshots/{n}.jpg" for n in range(1, task["steps"] + 1)} <= names
        assert len(archive.read("steps.jsonl").splitlines()) == task["steps"]
    missing = httpx.get(f"{stack.url}/tasks/nothing/export", trust_env=False)
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "task_not_found")
