"""The whole product as a person runs it: the service in a process of its own, nothing replaced."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, async_playwright

from tests.phones import ROOT, PhoneProcess, phone_process

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
READY_S = 60
STOP_S = 15


@dataclass(frozen=True)
class Stack:
    """A running service at `url` with one virtual phone, which `phone` controls and judges."""

    url: str
    phone: PhoneProcess
    process: subprocess.Popen[str]
    folder: Path = Path()
    """Of the service's data."""

    def get(self, path: str) -> dict[str, Any]:
        return dict(httpx.get(self.url + path, trust_env=False).raise_for_status().json())

    def post(self, path: str, body: dict[str, Any] | None = None, **query: Any) -> httpx.Response:
        return httpx.post(self.url + path, json=body, params=query, timeout=90, trust_env=False)

    def run(self, goal: str, **fields: Any) -> dict[str, Any]:
        """Run a goal to its end and return the task."""
        answer = self.post("/tasks", {"goal": goal, **fields}, wait=80)
        return dict(answer.raise_for_status().json())


def service_environment(folder: Path, kind: str = "embedded") -> dict[str, str]:
    """Settings of a service that shares nothing with the person's own."""
    folder.mkdir(parents=True, exist_ok=True)
    own = {key: value for key, value in os.environ.items() if not key.startswith("PHONEPILOT_")}
    scripted = {"PHONEPILOT_PROFILE__GOALS": ""} if kind == "remote" else {}  # it knows any goal
    return (
        own
        | scripted
        | {
            "PHONEPILOT_SERVICE__DATA_DIR": str(folder),
            "TMPDIR": str(folder),  # what a killed process cannot clean up goes with the test
            "PHONEPILOT_SERVICE__PORT": "0",
            "PHONEPILOT_ADB__PRIVATE": "true",
            "PHONEPILOT_ENGINE__KIND": kind,
            "PHONEPILOT_AGENT__CONFIRM": "deny",  # nobody answers, unless a test says it will
        }
    )


@contextmanager
def service_process(
    folder: Path, *options: str, kind: str = "embedded"
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """(URL, process) of `phonepilot serve`, started as a person would."""
    command = [sys.executable, "-m", "app", "serve", "-c", "demo", *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=service_environment(folder, kind), cwd=ROOT
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, f"the service did not start: {line!r}"
        try:
            yield found.group(), process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(STOP_S)


def wait_until_ready(url: str) -> None:
    """Until the engine has loaded its model."""
    end = time.monotonic() + READY_S
    while (engine := httpx.get(f"{url}/engine", trust_env=False).json())["state"] != "ready":
        assert engine["state"] != "failed" and time.monotonic() < end, engine
        time.sleep(0.05)


@pytest.fixture(scope="session")
def shared_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("service")
    with phone_process() as phone, service_process(folder) as (url, process):
        wait_until_ready(url)
        stack = Stack(url, phone, process, folder)
        stack.post("/devices/connect", {"address": phone.serial}).raise_for_status()
        yield stack


@pytest.fixture
def stack(shared_stack: Stack) -> Stack:
    """The session's service, its phone as new."""
    shared_stack.phone.reset(7)
    return shared_stack


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert program, "install chromium to run the tests of the dashboard"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=OPTIONS)
        yield browser
        await browser.close()
