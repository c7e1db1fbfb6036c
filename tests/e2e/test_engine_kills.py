"""One crash of the engine, at any moment of a task, does not fail the task."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import Stack, service_process, wait_until_ready
from tests.phones import phone_process

LLAMA_SERVER = os.environ.get("PHONEPILOT_TEST_LLAMA_SERVER", "")
RUNS = int(os.environ.get("PHONEPILOT_TEST_ENGINE_KILLS", "6"))
"""20 for the figure in docs/measurements/service.md."""
LONGEST_S = 1.5
"""About as long as the task takes."""

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL"),
    pytest.mark.timeout(60 + 20 * RUNS),
]


@pytest.mark.parametrize(
    "kind",
    [
        "embedded",
        pytest.param(
            "llama-server",
            marks=pytest.mark.skipif(
                not LLAMA_SERVER, reason="PHONEPILOT_TEST_LLAMA_SERVER names no binary"
            ),
        ),
    ],
)
def test_a_task_survives_one_kill_of_the_engine(tmp_path: Path, kind: str) -> None:
    binary = tmp_path / "binary.toml"
    binary.write_text(f'[engine]\nbinary = "{LLAMA_SERVER}"\n', encoding="utf-8")
    choose = random.Random(f"kills {kind}")
    ends = []
    with (
        phone_process() as phone,
        service_process(tmp_path / "data", "-c", str(binary), kind=kind) as (url, process),
    ):
        wait_until_ready(url)
        stack = Stack(url, phone, process)
        stack.post("/devices/connect", {"address": phone.serial}).raise_for_status()
        for run in range(RUNS):
            phone.reset(7 + run)
            delay = choose.uniform(0, LONGEST_S)
            created = stack.post("/tasks", {"goal": "Turn on Bluetooth"}).raise_for_status().json()
            time.sleep(delay)  # the moment is the point
            os.kill(stack.get("/engine")["pid"], signal.SIGKILL)
            ended = _ended(stack, created["id"])
            ends.append((run, round(delay, 3), ended["status"], ended["message"]))
            stack.post("/engine/restart").raise_for_status()  # forgets the crash and its pause
    assert [end for end in ends if end[2] != "succeeded"] == []


def _ended(stack: Stack, task: str) -> dict[str, object]:
    end = time.monotonic() + 60
    while True:
        found = stack.get(f"/tasks/{task}")
        if found["status"] not in ("queued", "running") or time.monotonic() > end:
            return found
        httpx.get(f"{stack.url}/tasks/{task}?wait=10", timeout=20, trust_env=False)
