"""The `llama-server` kind with the real binary, which `make test-llama-server` builds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from app.errors import EngineStartFailed
from app.http_client import bearer
from app.llm.address import server_root
from app.llm.engine import Engine
from app.llm.status import EngineKind, EngineState
from app.settings import EngineSettings, load_settings
from tests.e2e.conftest import service_process
from tests.phones import phone_process

BINARY = os.environ.get("PHONEPILOT_TEST_LLAMA_SERVER", "")
pytestmark = pytest.mark.skipif(not BINARY, reason="run by `make test-llama-server`")


def engine_settings(**changes: object) -> EngineSettings:
    overrides = {"engine.kind": "llama-server", "engine.binary": BINARY, "engine.threads": 1}
    overrides |= {f"engine.{key}": value for key, value in changes.items()}
    return load_settings(("demo",), overrides, environ={}).engine


async def test_it_starts_sees_images_and_stops_without_a_trace() -> None:
    engine = Engine(engine_settings())
    url = await engine.ensure_ready()
    status = engine.status()
    assert (status.state, status.kind) == (EngineState.READY, EngineKind.LLAMA_SERVER)
    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(f"{server_root(url)}/props")).status_code == 401
        props = (
            await http.get(f"{server_root(url)}/props", headers=bearer(engine.api_key()))
        ).json()
    assert props["modalities"]["vision"] is True
    assert status.pid is not None
    processes = [psutil.Process(status.pid), *psutil.Process(status.pid).children(recursive=True)]
    await engine.aclose()
    assert not [process for process in processes if process.is_running()]


async def test_a_flag_that_the_binary_does_not_know_is_named() -> None:
    engine = Engine(engine_settings(extra_args=["--no-such-flag"]))
    with pytest.raises(EngineStartFailed, match="no-such-flag"):
        await engine.ensure_ready()
    await engine.aclose()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[httpx.Client]:
    config = tmp_path / "llama-server.toml"
    config.write_text(f'[engine]\nbinary = "{BINARY}"\nthreads = 1\n', encoding="utf-8")
    with (
        service_process(tmp_path / "data", "-c", str(config), kind="llama-server") as (url, _),
        httpx.Client(base_url=url, timeout=90, trust_env=False) as http,
    ):
        yield http


def test_the_main_job_on_llama_server(service: httpx.Client) -> None:
    with phone_process() as phone:
        service.post("/devices/connect", json={"address": phone.serial}).raise_for_status()
        answer = service.post("/tasks", json={"goal": "Turn on Bluetooth"}, params={"wait": 80})
        assert answer.json()["status"] == "succeeded"
        assert phone.state()["settings"]["bluetooth"] is True
        assert service.get("/engine").json()["kind"] == "llama-server"
        # From the second step on the engine takes the system prompt and the goal from its cache.
        steps = service.get(f"/tasks/{answer.json()['id']}/steps").json()["steps"]
        assert steps[1]["tokens"]["cached"] > 0
