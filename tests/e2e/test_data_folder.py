"""What is stored: owned by one service, readable row by row, deleted when asked, whole on a full
disk."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Stack, service_environment, service_process
from tests.e2e.scripted_engine import ScriptedEngine, scripted_engine
from tests.phones import ROOT, PhoneProcess, phone_process

PATIENCE_S = 20.0
DONE = 'finish(message="Done.")'
WAIT = 'do(action="Wait", duration="0.2 seconds")'


@pytest.fixture(scope="module")
def world() -> Iterator[tuple[PhoneProcess, ScriptedEngine]]:
    with phone_process() as phone, scripted_engine() as engine:
        yield phone, engine


@contextmanager
def service(
    world: tuple[PhoneProcess, ScriptedEngine], folder: Path, data: Path, lines: str = ""
) -> Iterator[Stack]:
    phone, engine = world
    config = folder / "data-folder.toml"
    config.write_text(f'[engine]\nurl = "{engine.url}"\n{lines}', encoding="utf-8")
    with service_process(data, "-c", str(config), kind="remote") as (url, process):
        stack = Stack(url, phone, process, data)
        stack.post("/devices/connect", {"address": phone.serial}).raise_for_status()
        yield stack


def until(what: str, reached: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if found := reached():
            return found
        time.sleep(0.05)
    raise AssertionError(f"not in {PATIENCE_S:g} s: {what}")


def ended(stack: Stack, task: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = stack.get(f"/tasks/{task}")
        return dict(found) if found["ended_at"] else None

    return dict(until("the end of the task", look))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/tasks", '{"goal": "Open \\ud800 Notes"}'),
        ("/tasks", '{"goal": "x", "allowed_apps": ["\\udfff"]}'),
        ("/tasks", '{"goal": "x", "\\ud800": 1}'),
        ("/schedules", '{"name": "\\ud800", "cron": "@daily", "task": {"goal": "x"}}'),
        ("/schedules", '{"name": "x", "cron": "@daily", "task": {"goal": "\\udc00"}}'),
        ("/devices/connect", '{"address": "\\ud800:5555"}'),
        ("/tasks/nope/reply", '{"allow": true, "text": "\\ud800"}'),
    ],
)
def test_half_a_character_is_refused_at_every_door(stack: Stack, path: str, body: str) -> None:
    headers = {"Content-Type": "application/json"}
    answer = httpx.post(stack.url + path, content=body, headers=headers, trust_env=False)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "input_invalid")
    for listed in ("/tasks", "/schedules", "/devices"):
        assert httpx.get(stack.url + listed, trust_env=False).status_code == 200


def test_a_task_is_deleted_with_its_pictures_once_it_has_ended(
    world: tuple[PhoneProcess, ScriptedEngine], tmp_path: Path
) -> None:
    world[1].replies, world[1].habit = [WAIT, DONE], []
    with service(world, tmp_path, tmp_path / "data") as stack:
        task = stack.post("/tasks", {"goal": "Wait"}).json()["id"]
        ended(stack, task)
        pictures = tmp_path / "data" / "screenshots" / task
        assert pictures.is_dir()
        url = f"{stack.url}/tasks/{task}"
        assert httpx.delete(url, trust_env=False).status_code == 204
        assert not pictures.exists()
        assert httpx.get(url, trust_env=False).status_code == 404
        assert httpx.delete(url, trust_env=False).status_code == 404
        assert stack.get("/tasks")["tasks"] == []
        world[1].habit = [WAIT]
        running = stack.post("/tasks", {"goal": "Wait"}).json()["id"]
        refused = httpx.delete(f"{stack.url}/tasks/{running}", trust_env=False)
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "task_not_ended")
        stack.post(f"/tasks/{running}/cancel").raise_for_status()


def test_a_row_that_cannot_be_read_is_one_damaged_row(
    world: tuple[PhoneProcess, ScriptedEngine], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    world[1].replies, world[1].habit = [], [DONE]
    schedule = {"name": "s", "cron": "@daily", "task": {"goal": "x"}}
    with service(world, tmp_path, data) as stack:
        tasks = [stack.post("/tasks", {"goal": f"goal {n}"}).json()["id"] for n in range(6)]
        for task in tasks:
            ended(stack, task)
        for _ in range(3):
            stack.post("/schedules", schedule).raise_for_status()
    bodies = ["{not json", "[]", '{"goal": 7}', '{"goal": "\\ud800", "future": [1]}', None]
    with sqlite3.connect(data / "phonepilot.db") as database:
        for task, body in zip(tasks, bodies, strict=False):
            if body is None:
                row = database.execute("SELECT body FROM tasks WHERE id = ?", [task]).fetchone()
                body = json.dumps(json.loads(row[0]) | {"goal": "\ud800 x", "from_the_future": 1})
            database.execute("UPDATE tasks SET body = ? WHERE id = ?", [body, task])
        database.execute("UPDATE tasks SET status = 'running' WHERE id = ?", [tasks[0]])
        ids = [row[0] for row in database.execute("SELECT id FROM schedules ORDER BY created_at")]
        database.execute("UPDATE schedules SET body = '{' WHERE id = ?", [ids[0]])
        database.execute(
            "UPDATE schedules SET body = json_set(body, '$.cron', 'every day') WHERE id = ?",
            [ids[1]],
        )
    with service(world, tmp_path, data) as stack:
        listed = {task["id"]: task for task in stack.get("/tasks")["tasks"]}
        assert set(listed) == set(tasks)
        for task in tasks[:4]:
            assert listed[task]["error"]["code"] == "record_damaged", listed[task]
        assert listed[tasks[0]]["status"] == "failed"  # it was running, and cannot go on
        for task in tasks[4:]:
            assert listed[task]["status"] == "succeeded"
        serial = stack.phone.serial
        by_phone = stack.get(f"/tasks?device={serial}")["tasks"]
        assert {task["id"] for task in by_phone} >= set(tasks[4:])
        for task in tasks:
            assert httpx.get(f"{stack.url}/tasks/{task}/steps", trust_env=False).status_code == 200
        found = {each["id"]: each for each in stack.get("/schedules")["schedules"]}
        assert [found[name]["enabled"] for name in ids] == [False, False, True]
        assert "cannot be read" in found[ids[1]]["last_error"]["message"]
        mended = httpx.patch(
            f"{stack.url}/schedules/{ids[1]}",
            json={"cron": "@hourly", "enabled": True},
            trust_env=False,
        )
        assert (mended.status_code, mended.json()["last_error"]) == (200, None)
        assert httpx.delete(f"{stack.url}/schedules/{ids[0]}", trust_env=False).status_code == 204
        assert httpx.delete(f"{stack.url}/tasks/{tasks[0]}", trust_env=False).status_code == 204


def refused_start(data: Path) -> str:
    """What a service says that does not start."""
    command = [sys.executable, "-m", "app", "serve", "-c", "demo"]
    ran = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=service_environment(data, "remote") | {"PHONEPILOT_ENGINE__URL": "http://127.0.0.1:1"},
        cwd=ROOT,
        timeout=60,
    )
    assert ran.returncode != 0
    return ran.stderr


def test_a_second_service_on_the_same_data_does_not_start(
    world: tuple[PhoneProcess, ScriptedEngine], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    with service(world, tmp_path, data) as stack:
        said = refused_start(data)
        assert "data_folder_busy" in said
        assert str(stack.process.pid) in said
        stack.process.send_signal(signal.SIGKILL)
        stack.process.wait(10)
        with service(world, tmp_path, data) as again:  # the lock has ended with its process
            assert again.get("/healthz")


def test_a_damaged_database_is_one_clear_sentence(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "phonepilot.db").write_bytes(b"SQLite format 3\0" + os.urandom(8192))
    said = refused_start(data)
    assert "store_damaged" in said
    assert "move phonepilot.db away" in said
    assert "Traceback" not in said


@contextmanager
def small_disk(folder: Path, mib: int) -> Iterator[Path]:
    """A file system of its own; skips where none may be mounted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "phonepilot-test", str(folder)]
    mounted = subprocess.run(command, capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("a file system of its own cannot be mounted here (it takes root)")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, capture_output=True)


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a tmpfs")
def test_a_disk_that_is_full_in_mid_task_loses_no_end(
    world: tuple[PhoneProcess, ScriptedEngine], tmp_path: Path
) -> None:
    world[1].replies, world[1].habit = [], [WAIT]
    with (
        small_disk(tmp_path / "disk", 32) as disk,
        service(
            world,
            tmp_path,
            disk / "data",
            "[service]\nmin_free_mib = 0\nkeep_screenshots = false\n[agent]\nmax_steps = 500\n",
        ) as stack,
    ):
        task = stack.post("/tasks", {"goal": "Wait"}).json()["id"]
        other = stack.post("/tasks", {"goal": "Wait too"}).json()["id"]
        until("the first steps", lambda: stack.get(f"/tasks/{task}")["steps"] > 1)
        fill(disk / "ballast")
        found = ended(stack, task)
        assert (found["status"], found["stop_reason"]) == ("failed", "disk_full"), found
        assert found["error"]["code"] == "disk_full"
        refused = stack.post("/tasks", {"goal": "One more"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (507, "disk_full")
        cancelled = stack.post(f"/tasks/{other}/cancel")
        assert cancelled.status_code in (200, 409)  # the full disk may have ended it already
        (disk / "ballast").unlink()

        def written() -> bool:
            with sqlite3.connect(f"file:{disk}/data/phonepilot.db?mode=ro", uri=True) as database:
                rows = dict(database.execute("SELECT id, status FROM tasks"))
            return rows[task] == "failed" and rows[other] in ("failed", "cancelled")

        until("the ends on the disk", written)
        world[1].habit = [DONE]
        again = stack.post("/tasks", {"goal": "Once more"})
        assert again.status_code == 202
        assert ended(stack, again.json()["id"])["status"] == "succeeded"


def fill(path: Path) -> None:
    """Leave no room on the file system."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 2**16)
        except OSError:
            pass
        try:
            while True:
                file.write(b"\0")
        except OSError:
            pass
