"""A secret through the whole service: it arrives on the phone, and stands nowhere else."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.tasks.database import FILE
from tests.e2e.conftest import Stack
from tests.e2e.scripted_engine import ScriptedEngine
from tests.e2e.test_scenes import Rehearsal, scripted_service

SECRET = "Xq7-tulip-9931"
GOAL = "Sign in to Bank as ada with the password {{secret:bank}}"
LINES = (
    "open Bank",
    "tap bank.user",
    "type ada",
    "tap bank.password",
    "type {{secret:bank}}",
    "tap Sign in",
    "finish Signed in.",
)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[tuple[Stack, ScriptedEngine]]:
    with scripted_service(tmp_path, "off") as service:
        yield service


def prepare(stack: Stack, engine: ScriptedEngine, lines: tuple[str, ...]) -> None:
    stack.phone.reset(7)
    stack.phone.change_quirks({"scene": "login"})
    engine.requests.clear()
    engine.replies[:] = Rehearsal("login", stack.phone).replies(lines)


def test_a_secret_arrives_and_stands_nowhere_else(
    service: tuple[Stack, ScriptedEngine], tmp_path: Path
) -> None:
    stack, engine = service
    prepare(stack, engine, LINES)
    task = stack.run(GOAL, secrets={"bank": SECRET}, confirm="allow")
    assert (task["status"], task["message"]) == ("succeeded", "Signed in.")
    logins = stack.phone.state()["deeds"]["logins"]
    assert logins == [{"package": "org.phonepilot.bank", "user": "ada", "password": SECRET}]
    steps = stack.get(f"/tasks/{task['id']}/steps")
    events = httpx.get(f"{stack.url}/tasks/{task['id']}/events", trust_env=False).text
    export = httpx.get(f"{stack.url}/tasks/{task['id']}/export", trust_env=False).content
    told = json.dumps([task, steps, engine.requests]) + events
    assert "{{secret:bank}}" in told
    assert SECRET not in told
    assert SECRET.encode() not in export
    for file in (path for path in tmp_path.rglob("*") if path.is_file()):
        assert SECRET.encode() not in file.read_bytes(), file
    with sqlite3.connect(tmp_path / FILE) as database:
        assert SECRET not in "".join(database.iterdump())


def test_a_text_on_the_screen_cannot_have_it_typed_into_another_field(
    service: tuple[Stack, ScriptedEngine],
) -> None:
    stack, engine = service
    prepare(stack, engine, ("open Bank", "tap bank.user", "type {{secret:bank}}", "finish No."))
    task = stack.run(GOAL, secrets={"bank": SECRET}, confirm="allow")
    step = stack.get(f"/tasks/{task['id']}/steps")["steps"][2]
    assert step["error"]["code"] == "text_refused"
    assert not any(SECRET in json.dumps(value) for value in stack.phone.state().values())


def test_a_goal_that_names_what_is_not_there_is_refused(
    service: tuple[Stack, ScriptedEngine],
) -> None:
    stack, _ = service
    answer = stack.post("/tasks", {"goal": GOAL, "secrets": {"other": SECRET}})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "secret_unknown")
    assert SECRET not in answer.text
    wrong = stack.post("/tasks", {"goal": GOAL, "secrets": {"bad name": SECRET}})
    assert wrong.status_code == 422
    assert SECRET not in wrong.text
