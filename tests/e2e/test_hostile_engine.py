"""An engine that floods, drips or never ends: the service answers others meanwhile, and the task
can be cancelled."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Stack, service_process
from tests.phones import phone_process

ANSWER_S = 1.0
WATCHED_S = 1.5
DEADLINE_S = 20.0
OPEN = {"queued", "running", "paused", "needs_confirmation", "needs_human"}


def said(**delta: str) -> bytes:
    return f"data: {json.dumps({'choices': [{'index': 0, 'delta': delta}]})}\n\n".encode()


FLOODS: dict[str, tuple[bytes, float]] = {
    # what is sent again and again, and the pause between
    "a reply": (said(content="and on ") * 500, 0.0),
    "a reply, slowly": (said(content="and on "), 0.05),
    "brackets": (b"".join(said(content=text) for text in ("</think>", *["do(x) "] * 100)), 0.0),
    "reasoning": (said(reasoning_content="Hm. ") * 500, 0.0),
    "half characters": (said(content="\ud800 ", reasoning_content="\udfff") * 500, 0.0),
    "huge pieces": (said(content="x" * 900_000), 0.0),
    "events without text": (said() * 500, 0.0),
    "a line": (b"data: " + b"x" * 60_000, 0.0),
    "pings": (b":\n\n" * 20_000, 0.0),
}


class Flood(ThreadingHTTPServer):
    """Answers every chat completion with `chunk` until the client leaves."""

    daemon_threads = True
    chunk, pause_s, status = b"", 0.0, 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked = threading.Event()
        self.closing = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    server: Flood

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        engine = self.server
        self.rfile.read(int(self.headers["Content-Length"]))
        engine.asked.set()
        self.close_connection = True
        self.send_response(engine.status)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        try:
            while not engine.closing.wait(engine.pause_s):
                self.wfile.write(engine.chunk)
        except OSError:
            pass  # the client has left

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is of interest."""


@contextmanager
def flood() -> Iterator[Flood]:
    with Flood() as engine:
        thread = threading.Thread(target=engine.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield engine
        finally:
            engine.closing.set()
            engine.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, Flood]]:
    folder = tmp_path_factory.mktemp("hostile")
    config = folder / "extra.toml"
    with flood() as engine, phone_process() as phone:
        url = f"http://127.0.0.1:{engine.server_address[1]}"
        config.write_text(f'[engine]\nurl = "{url}"\n[profile]\nmax_tokens = 3000\n')
        with service_process(folder / "data", "-c", str(config), kind="remote") as (base, process):
            stack = Stack(base, phone, process, folder)
            stack.post("/devices/connect", {"address": phone.serial}).raise_for_status()
            yield stack, engine


def within_a_second(ask: httpx.Client, method: str, path: str) -> Any:
    begun = time.monotonic()
    answer = ask.request(method, path).raise_for_status()
    assert time.monotonic() - begun < ANSWER_S, path
    return answer.json()


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("name", FLOODS)
def test_the_service_answers_and_cancels_while_an_engine_floods_it(
    scene: tuple[Stack, Flood], name: str, status: int
) -> None:
    stack, engine = scene
    (engine.chunk, engine.pause_s), engine.status = FLOODS[name], status
    engine.asked.clear()
    with httpx.Client(base_url=stack.url, timeout=30, trust_env=False) as http:
        task = http.post("/tasks", json={"goal": "Open Calendar"}).raise_for_status().json()
        assert engine.asked.wait(DEADLINE_S)
        until = time.monotonic() + WATCHED_S
        while time.monotonic() < until:
            assert within_a_second(http, "GET", "/healthz")["status"] == "ok"
            if http.get(f"/tasks/{task['id']}").json()["status"] not in OPEN:
                break
        http.post(f"/tasks/{task['id']}/cancel")
        until = time.monotonic() + ANSWER_S
        while (ended := within_a_second(http, "GET", f"/tasks/{task['id']}"))["status"] in OPEN:
            assert time.monotonic() < until, ended
            time.sleep(0.02)
        steps = http.get(f"/tasks/{task['id']}/steps").raise_for_status().json()["steps"]
        if name == "half characters" and status == 200:
            assert "\ufffd" in steps[0]["raw"]
        assert task["id"] in {one["id"] for one in http.get("/tasks").json()["tasks"]}
    assert ended["status"] in ("cancelled", "failed")
    assert ended["stop_reason"] in ("cancelled", "unparseable", "engine_lost")
