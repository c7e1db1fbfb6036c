"""The model is exchanged while the service runs: running tasks first, and back if it fails."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.llm.catalogue import measured, record
from app.settings import PulledModel, Settings
from tests.e2e.conftest import Stack, service_process, wait_until_ready
from tests.llm.supervised import image_message
from tests.llm.tiny_glm4v import ModelPair, write_pair
from tests.phones import ROOT, phone_process

OTHER = "autoglm-phone-9b"
STATUS_S = 60.0
BROKEN = "glm-4.1v-9b-thinking"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> ModelPair:
    return write_pair(tmp_path_factory.mktemp("pair"))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, pair: ModelPair) -> Iterator[Stack]:
    """A service with the demo model, another one that is installed, and one that is damaged."""
    data = tmp_path_factory.mktemp("models")
    install(data, OTHER, pair)
    damaged = install(data, BROKEN, pair)
    damaged.write_bytes(damaged.read_bytes()[:100_000])
    with phone_process() as phone, service_process(data) as (url, process):
        wait_until_ready(url)
        stack = Stack(url, phone, process, data)
        stack.post("/devices/connect", {"address": phone.serial}).raise_for_status()
        yield stack


def install(data: Path, name: str, pair: ModelPair) -> Path:
    """As `models pull` leaves it; returns the model's file."""
    folder = data / "models" / name
    folder.mkdir(parents=True)
    copies = [Path(shutil.copy(path, folder)) for path in (pair.model, pair.mmproj)]
    files = [measured(path, lambda *_: None) for path in copies]
    record(folder, PulledModel(model=files[0], mmproj=files[1]))
    return copies[0]


def use(stack: Stack, name: str) -> httpx.Response:
    return stack.post("/engine/model", {"name": name})


def until(stack: Stack, task: str, status: str) -> dict[str, Any]:
    """The task, once it has that status."""
    end = time.monotonic() + STATUS_S
    while (found := stack.get(f"/tasks/{task}"))["status"] != status:
        assert time.monotonic() < end, found
        time.sleep(0.02)
    return found


def error(answer: httpx.Response) -> dict[str, Any]:
    return dict(answer.json()["error"])


def test_a_running_task_ends_with_its_model_and_the_next_one_has_the_other(service: Stack) -> None:
    running = service.post(
        "/tasks", {"goal": "Turn on Bluetooth", "mode": "step", "confirm": "ask"}
    )
    task = running.json()["id"]
    with ThreadPoolExecutor() as pool:
        until(service, task, "needs_confirmation")
        changed = pool.submit(use, service, OTHER)
        waits = service.post("/tasks", {"goal": "Anything at all", "max_steps": 1}).json()
        assert waits["status"] == "queued"
        assert service.get("/engine")["name"] == "phonepilot-demo"
        assert not changed.done()
        service.post(f"/tasks/{task}/cancel").raise_for_status()
        engine = changed.result(60).raise_for_status().json()
    assert (engine["name"], engine["state"]) == (OTHER, "ready")
    assert engine["model"].endswith("tiny.gguf")
    assert service.get(f"/tasks/{task}")["profile"] == "demo"
    assert service.get("/goals") == {"any_goal": True, "known": []}
    assert service.get(f"/v1/models/{OTHER}")["id"] == OTHER
    ended = until(service, waits["id"], "failed")
    assert (ended["profile"], ended["stop_reason"] == "out_of_scope") == ("demo", True)
    task = service.run("Anything at all", max_steps=1)
    assert (task["profile"], task["timeout_s"]) == (OTHER, Settings().agent.timeout_s)

    assert use(service, "demo").json()["name"] == "phonepilot-demo"
    pid = service.get("/engine")["pid"]
    assert use(service, "demo").json()["pid"] == pid  # it is in use already
    assert service.get("/goals")["any_goal"] is False
    task = service.run("Turn on Bluetooth")
    assert (task["status"], task["profile"]) == ("succeeded", "demo")
    assert (task["timeout_s"], task["max_steps"]) == (120, 20)  # a small model's own


def test_an_exchange_is_given_up_if_its_client_leaves_while_it_waits(service: Stack) -> None:
    use(service, "demo").raise_for_status()
    service.phone.reset(7)
    body = {"goal": "Turn on Bluetooth", "mode": "step", "confirm": "ask"}
    task = service.post("/tasks", body).json()["id"]
    until(service, task, "needs_confirmation")
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{service.url}/engine/model", json={"name": OTHER}, timeout=0.5, trust_env=False
        )
    service.post(f"/tasks/{task}/cancel").raise_for_status()
    assert service.run("Turn on Bluetooth")["profile"] == "demo"
    assert service.get("/engine")["name"] == "phonepilot-demo"


def test_a_model_that_does_not_start_leaves_the_one_that_did(service: Stack) -> None:
    before = service.get("/engine")["model"]
    answer = use(service, BROKEN)
    assert (answer.status_code, error(answer)["code"]) == (503, "engine_start_failed")
    assert "bytes after the file" in error(answer)["message"]
    assert service.get("/engine")["model"] == before
    assert service.run("Turn on Bluetooth")["status"] == "succeeded"


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("qwen3-vl-8b", 409, "model_not_installed"),
        ("autoglm-phone-9", 404, "model_unknown"),
        ("../../etc/passwd", 422, "input_invalid"),
        ("", 422, "input_invalid"),
    ],
)
def test_what_cannot_be_used_is_refused(service: Stack, name: str, status: int, code: str) -> None:
    answer = use(service, name)
    assert (answer.status_code, error(answer)["code"]) == (status, code)
    assert service.get("/engine")["state"] == "ready"


def test_a_language_without_a_prompt_is_refused(service: Stack) -> None:
    answer = service.post("/tasks", {"goal": "Turn on Bluetooth", "lang": "zh"})
    assert (answer.status_code, error(answer)["code"]) == (422, "input_invalid")
    assert "'zh'" in error(answer)["message"]


def test_the_command_changes_the_model(service: Stack) -> None:
    command = [sys.executable, "-m", "app", "engine", "use", "demo", "--url", service.url, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=os.environ)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["name"] == "phonepilot-demo"
    done = subprocess.run(
        [*command[:5], "qwen3-vl-8b", "--url", service.url],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 1
    assert "phonepilot models pull qwen3-vl-8b" in done.stderr


def test_a_model_without_eyes_is_refused_for_tasks_and_says_so_to_clients(
    tmp_path: Path, pair: ModelPair
) -> None:
    config = tmp_path / "blind.toml"
    config.write_text(f'[engine]\nmodel = "{pair.model}"\nmmproj = ""\n', encoding="utf-8")
    with phone_process() as phone, service_process(tmp_path, "-c", str(config)) as (url, process):
        stack = Stack(url, phone, process)
        stack.post("/devices/connect", {"address": phone.serial}).raise_for_status()
        refused = stack.post("/tasks", {"goal": "Turn on Bluetooth"})
        assert (refused.status_code, error(refused)["code"]) == (409, "model_blind")
        assert "engine.mmproj" in error(refused)["hint"]
        assert stack.get("/tasks")["tasks"] == []
        body = {"messages": [image_message("What is this?")], "max_tokens": 1}
        picture = stack.post("/v1/chat/completions", body)
        assert (picture.status_code, error(picture)["code"]) == (400, "unsupported")
        assert "takes no pictures" in error(picture)["message"]
        vectors = stack.post("/v1/embeddings", {"input": "text"})
        assert (vectors.status_code, error(vectors)["code"]) == (400, "unsupported")
        assert "not started for this" in error(vectors)["message"]
        missing = httpx.get(f"{url}/v1/models/another", trust_env=False)
        assert (missing.status_code, error(missing)["code"]) == (404, "model_not_found")
