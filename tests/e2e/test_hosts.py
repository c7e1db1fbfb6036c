"""Every preset of a host completes a task there, survives what goes wrong once, and names what is
wrong for good. The hosts are imitations on real sockets (tests/llm/hosts.py)."""

from __future__ import annotations

import asyncio
import json
import tomllib
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.agent.conduct import Conduct
from app.agent.loop import run_loop
from app.agent.outcome import Limits, Outcome
from app.agent.retry import Wait
from app.errors import ConfigError, EngineError, EngineKeyRefused, EngineRequestFailed
from app.llm.engine import Engine
from app.llm.readiness import check_remote
from app.settings import configs_folder, load_settings
from app.tasks.models import Task
from app.wiring import engines_of, equipment_of
from tests.agent.doubles import Notebook, RememberingDevice
from tests.e2e.conftest import Stack, service_process
from tests.e2e.test_dialect_tasks import SPEAKERS
from tests.llm.hosts import HOSTS, KEY, LASTING, SINGLE, Imitation, imitation
from tests.llm.scripted_server import Script, serve
from tests.phones import phone_process

CODES = {
    "key": "engine_key_refused",
    "money": "engine_unpaid",
    "model": "engine_model_unknown",
    "rate": "engine_rate_limited",
    "content": "engine_content_refused",
    "long": "context_overflow",
}


def preset(name: str) -> dict[str, dict[str, Any]]:
    return tomllib.loads((configs_folder() / f"{name}.toml").read_text(encoding="utf-8"))


@dataclass
class Job:
    """One task at an imitated host, from the preset to what the phone was told."""

    host: Imitation
    outcome: Outcome
    device: RememberingDevice
    waits: list[Wait]
    slept: list[float]
    engines: list[dict[str, Any]]
    """What GET /engine says of the engines."""


async def work(name: str, host: Imitation, fallback: Sequence[str] = ()) -> Job:
    """Do a task of two steps with a preset, without waiting for real."""
    variable = str(preset(name)["engine"].get("api_key_env", ""))
    settings = load_settings(
        (name,),
        {"engine.url": host.url, "engine.fallback": tuple(fallback)},
        {variable: KEY} if variable else {},
    )
    speaker = SPEAKERS[settings.profile.dialect]
    if not host.replies:
        host.replies += [speaker.tap(500, 250), speaker.done]
    waits, slept = list[Wait](), list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    task = Task.model_construct(goal="Turn on Bluetooth", lang="en", confirm="allow")
    device, notebook = RememberingDevice(), Notebook()
    async with AsyncExitStack() as stack:
        engine = Engine(settings.engine)
        stack.push_async_callback(engine.aclose)
        engines = engines_of(settings, engine)
        stack.push_async_callback(engines.aclose)
        equipment = equipment_of(settings, engines)
        retry = replace(equipment.retry, on_wait=waits.append, sleep=sleep)
        policy = equipment.policy(task, retry=retry)
        outcome = await run_loop(device, policy, notebook, Limits(5, 60), Conduct())
    return Job(host, outcome, device, waits, slept, engines.shown())


@asynccontextmanager
async def at_host(name: str) -> AsyncIterator[Imitation]:
    async with asyncio.timeout(30), imitation(name) as host:
        yield host


def test_every_host_has_its_preset_and_the_other_way_round() -> None:
    assert set(HOSTS) == {path.stem for path in configs_folder().glob("host-*.toml")}


@pytest.mark.parametrize("name", HOSTS)
def test_a_preset_names_the_path_and_the_model_of_its_host(name: str) -> None:
    engine = preset(name)["engine"]
    assert httpx.URL(str(engine["url"])).path == HOSTS[name].path
    assert engine["alias"] == HOSTS[name].model
    assert bool(engine.get("api_key_env")) is HOSTS[name].key


@pytest.mark.parametrize("name", HOSTS)
async def test_a_task_with_each_preset(name: str) -> None:
    async with at_host(name) as host:
        job = await work(name, host)
    assert (job.outcome.reason, host.wrong) == ("finished", [])
    assert job.device.calls == [("tap", 540, 600)]
    assert (len(host.bodies), job.slept) == (2, [])


@pytest.mark.parametrize("fault", SINGLE)
@pytest.mark.parametrize("name", HOSTS)
async def test_what_goes_wrong_once_is_survived(name: str, fault: str) -> None:
    async with at_host(name) as host:
        host.faults, host.retry_after = ["", fault], "7"
        job = await work(name, host)
    assert (job.outcome.reason, host.wrong) == ("finished", [])
    assert job.device.calls == [("tap", 540, 600)]  # nothing was done twice
    assert job.slept == [7.0 if fault == "rate" else 2.0]
    assert len(job.waits) == 1


@pytest.mark.parametrize("what", LASTING)
@pytest.mark.parametrize("name", HOSTS)
async def test_what_is_wrong_for_good_has_its_code(name: str, what: str) -> None:
    async with at_host(name) as host:
        host.lasting = what
        job = await work(name, host)
    error = job.outcome.error
    assert error is not None and error.code == CODES[what]
    assert job.device.calls == []
    assert error.hint
    if what == "rate":
        assert job.slept == [2.0, 4.0, 8.0, 16.0]
    else:
        assert job.slept == []
    if what == "money":
        assert "key" not in error.hint


@pytest.mark.parametrize("status", [403, 404, 405])
async def test_a_host_without_a_list_is_used_if_a_model_is_named(status: int) -> None:
    async with at_host("host-openai") as host:
        host.host = replace(host.host, models=status)
        await check_remote(host.url, KEY, "gpt-5")
        with pytest.raises(EngineRequestFailed, match=f"/models answers {status}") as caught:
            await check_remote(host.url, KEY)
        assert "engine.alias" in caught.value.hint


@pytest.mark.parametrize(
    ("status", "kind"), [(401, EngineKeyRefused), (500, EngineError), (503, EngineError)]
)
async def test_a_host_that_refuses_us_is_not_ready(status: int, kind: type[EngineError]) -> None:
    async with at_host("host-openai") as host:
        host.host = replace(host.host, models=status)
        with pytest.raises(kind):
            await check_remote(host.url, KEY, "gpt-5")


async def test_an_address_with_a_web_page_is_no_engine_unless_a_model_is_named() -> None:
    page = Script([b"<!DOCTYPE html>"], content_type="text/html; charset=utf-8")
    async with serve(page) as script:
        with pytest.raises(EngineRequestFailed, match="/models answers with a web page"):
            await check_remote(await script.base_url(), KEY)
        await check_remote(await script.base_url(), KEY, "gpt-5")


async def test_a_list_of_models_that_refuses_the_key_does_not_repeat_it() -> None:
    said = Script([f'{{"error": "wrong: {KEY}"}}'.encode()], status="401 Unauthorized")
    async with serve(said) as script:
        with pytest.raises(EngineKeyRefused, match=r"wrong: \[the key\]"):
            await check_remote(await script.base_url(), KEY, "gpt-5")


async def test_an_address_that_has_moved_is_not_followed_with_the_key() -> None:
    moved = Script(status="308 Permanent Redirect", headers="Location: http://127.0.0.1:9/v1\r\n")
    async with serve(moved) as script:
        with pytest.raises(EngineRequestFailed, match="answers 308") as caught:
            await check_remote(await script.base_url(), KEY, "gpt-5")
    assert "engine.url" in caught.value.hint
    assert len(script.heads) == 1


async def test_a_host_that_hides_its_list_and_refuses_requests_has_a_wrong_key() -> None:
    async with at_host("host-novita") as host:
        host.host, host.lasting = replace(host.host, models=403), "key"
        job = await work("host-novita", host)
    assert job.outcome.error is not None and job.outcome.error.code == "engine_key_refused"


async def test_the_person_sees_that_the_engine_asks_to_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIGMODEL_API_KEY", KEY)
    speaker = SPEAKERS["autoglm"]
    async with imitation("host-bigmodel") as host:
        host.faults, host.retry_after = ["rate"], "1"
        host.replies = [speaker.launch("Settings"), speaker.done]
        config = tmp_path / "mine.toml"
        config.write_text(
            f'[engine]\nurl = "{host.url}"\n[profile]\nimage_width = 0\nimage_height = 0\n',
            encoding="utf-8",
        )
        await asyncio.to_thread(in_the_service, config, tmp_path)
        assert host.wrong == []


def in_the_service(config: Path, folder: Path) -> None:
    options = ("-c", "host-bigmodel", "-c", str(config))
    with (
        phone_process() as phone,
        service_process(folder, *options, kind="remote") as (url, process),
    ):
        stack = Stack(url, phone, process)
        stack.post("/devices/connect", {"address": phone.serial}).raise_for_status()
        task = stack.run("Open Settings")
        assert task["status"] == "succeeded", task
        events = httpx.get(f"{url}/tasks/{task['id']}/events", timeout=30, trust_env=False).text
        waits = [
            json.loads(line.removeprefix("data: "))
            for before, line in zip(events.splitlines(), events.splitlines()[1:], strict=False)
            if before == "event: retry"
        ]
        assert len(waits) == 1
        assert (waits[0]["code"], waits[0]["wait_s"]) == ("engine_rate_limited", 1.0)
        assert waits[0]["message"].startswith("The engine asks to wait 1 s: ")


async def test_a_retry_after_that_is_a_date_is_kept() -> None:
    async with at_host("host-openai") as host:
        later = datetime.now(UTC).timestamp() + 20
        said = datetime.fromtimestamp(later, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        host.faults, host.retry_after = ["rate"], said
        job = await work("host-openai", host)
    assert job.outcome.reason == "finished"
    assert 15 < job.slept[0] <= 21


def fallback_file(folder: Path, name: str, host: Imitation, **more: Any) -> Path:
    """A preset of a host, moved to its imitation, as a file of one's own."""
    document = preset(name)
    engine = document["engine"] | {"url": host.url, "api_key_env": "KEY_OF_THE_SECOND"} | more
    lines = [
        f"[{section}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
        for section, table in (document | {"engine": engine}).items()
    ]
    path = folder / "second.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("what", ["money", "rate"])
async def test_another_host_takes_over_in_the_middle_of_a_task(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_OF_THE_SECOND", KEY)
    speaker = SPEAKERS["autoglm"]
    async with at_host("host-bigmodel") as first, at_host("host-novita") as second:
        first.replies = [speaker.tap(500, 250)]
        first.faults = ["", *[what] * 9]
        second.replies = [speaker.done]
        file = fallback_file(tmp_path, "host-novita", second)
        job = await work("host-bigmodel", first, fallback=[str(file)])
    assert (job.outcome.reason, first.wrong, second.wrong) == ("finished", [], [])
    assert job.device.calls == [("tap", 540, 600)]
    assert job.waits[-1].engine == str(file)
    assert len(second.bodies) == 1
    assert [row["used"] for row in job.engines] == [False, True]
    assert job.engines[0]["error"]["code"] == CODES[what]


@pytest.mark.parametrize(
    ("name", "more", "why"),
    [
        ("host-siliconflow", {}, "speaks qwen, the first engine autoglm"),
        ("host-novita", {"fallback": ["host-zai"]}, "a fallback of its own"),
        ("host-novita", {"api_key_env": "NOBODY_SET_THIS"}, "NOBODY_SET_THIS is not set"),
    ],
)
async def test_a_fallback_that_cannot_stand_in_is_refused_at_the_start(
    name: str, more: dict[str, Any], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_OF_THE_SECOND", KEY)
    async with at_host("host-bigmodel") as first:
        file = fallback_file(tmp_path, name, first, **more)
        with pytest.raises(ConfigError, match=f"engine.fallback: .*{why}"):
            await work("host-bigmodel", first, fallback=[str(file)])
