"""The supervisor, with real engines wherever they can show the behaviour."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

import app.llm.crashes as crashes_module
from app.errors import EngineNotReady, EngineStartFailed, EngineUnreachable
from app.http_client import bearer
from app.llm.address import server_root
from app.llm.client import ChatClient, Sampling
from app.llm.offload import Device, Layers
from app.llm.status import EngineKind, EngineState
from app.settings import EngineSettings, load_settings
from tests.llm.supervised import Supervised, engine_process, image_message

Supervise = Callable[[EngineSettings], Supervised]
Fake = Callable[..., EngineSettings]

GREEDY = Sampling(temperature=0.0, top_p=1.0, frequency_penalty=0.0, max_tokens=12)
GONE_TIMEOUT_S = 15.0

SERVICE = """
import asyncio, sys
from pathlib import Path
import psutil
from app.llm.engine import Engine
from app.settings import EngineSettings, load_settings

async def main():
    kind, binary = sys.argv[1:3]
    model, mmproj = map(Path, sys.argv[3:])
    engine = Engine(EngineSettings(kind=kind, binary=binary, model=model, mmproj=mmproj, threads=1))
    await engine.ensure_ready()
    print(*(child.pid for child in psutil.Process().children(recursive=True)), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_an_engine_looks_at_an_image_and_streams(
    supervise: Supervise, real: EngineSettings
) -> None:
    engine = supervise(real).engine
    client = ChatClient(engine.ensure_ready, local=True, api_key=engine.api_key)
    async with client.stream([image_message("What is this?")], sampling=GREEDY) as reply:
        pieces = [piece.text async for piece in reply]
    counted = await client.count([image_message("What is this?")])
    await client.aclose()
    completion = reply.completion
    assert counted == completion.prompt_tokens
    assert len(pieces) > 5
    assert "".join(pieces) == completion.text
    assert completion.finish_reason == "length"
    assert completion.completion_tokens == 12
    assert completion.prompt_tokens > 32  # 4 x 8 cells of 28 pixels, and the text
    assert completion.timings["predicted_n"] == 12
    assert completion.model == "tiny"


async def test_status_tells_what_runs(supervise: Supervise, real: EngineSettings) -> None:
    supervised = supervise(real)
    url = await supervised.engine.ensure_ready()
    status = supervised.engine.status()
    assert (status.state, status.kind, status.url) == (EngineState.READY, real.kind, url)
    assert status.model == str(real.model)
    assert (status.context, status.parallel, status.error) == (32768, 1, None)
    async with httpx.AsyncClient() as http:
        access = bearer(supervised.engine.api_key())
        props = (await http.get(f"{server_root(url)}/props", headers=access)).json()
    assert props["modalities"]["vision"] is True
    assert props["total_slots"] == 1
    assert any("listening" in line for line in supervised.engine.log_lines())
    assert len(supervised.engine.log_lines(3)) == 3


async def test_the_engines_port_demands_the_key_of_this_start(
    supervise: Supervise, real: EngineSettings
) -> None:
    supervised = supervise(real)
    engine, keys = supervised.engine, list[str]()
    for _ in range(2):
        url, key = await engine.ensure_ready(), engine.api_key()
        async with httpx.AsyncClient(base_url=server_root(url), trust_env=False) as http:
            for access in ({}, bearer("wrong"), bearer(keys[0] if keys else "")):
                for method, path in (
                    ("POST", "/v1/chat/completions"),
                    ("GET", "/props"),
                    ("GET", "/slots"),
                ):
                    refused = await http.request(method, path, json={}, headers=access)
                    assert refused.status_code == 401, path
            assert (await http.get("/health")).status_code == 200
            assert (await http.get("/props", headers=bearer(key))).status_code == 200
        engine_argv = engine_process(engine.status()).cmdline()
        assert key not in " ".join(engine_argv)
        told = f"{engine.status()!r} {engine.log_lines()} {engine!r}"
        assert key not in told
        keys.append(key)
        await engine.stop()
        assert engine.api_key() == ""
    assert keys[0] != keys[1]
    assert min(map(len, keys)) >= 32


async def test_concurrent_callers_share_one_start(
    supervise: Supervise, real: EngineSettings
) -> None:
    supervised = supervise(real)
    urls = await asyncio.gather(*(supervised.engine.ensure_ready() for _ in range(8)))
    assert len(set(urls)) == 1
    assert supervised.states == ["starting", "ready"]


async def test_a_caller_that_gives_up_does_not_end_the_start(
    supervise: Supervise, real: EngineSettings
) -> None:
    supervised = supervise(real)
    caller = asyncio.create_task(supervised.engine.ensure_ready())
    await supervised.reached(EngineState.STARTING)
    caller.cancel()
    await supervised.reached(EngineState.READY)
    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_stop_leaves_no_process(supervise: Supervise, real: EngineSettings) -> None:
    supervised = supervise(real)
    await supervised.engine.ensure_ready()
    status = supervised.engine.status()
    child = engine_process(status)
    await supervised.engine.stop()
    assert supervised.states == ["starting", "ready", "stopping", "stopped"]
    assert supervised.engine.status().pid is None
    assert not psutil.pid_exists(status.pid or 0)
    assert not child.is_running()
    await supervised.engine.stop()  # harmless
    assert supervised.states[-1] == "stopped"


async def test_restart_gives_a_new_process(supervise: Supervise, real: EngineSettings) -> None:
    engine = supervise(real).engine
    await engine.ensure_ready()
    before = engine.status().pid
    await engine.restart()
    assert engine.status().state is EngineState.READY
    assert engine.status().pid != before


async def test_a_crash_is_told_and_the_next_request_starts_again(
    supervise: Supervise, real: EngineSettings
) -> None:
    supervised = supervise(real)
    await supervised.engine.ensure_ready()
    engine_process(supervised.engine.status()).kill()
    status = await supervised.reached(EngineState.FAILED)
    assert status.error is not None
    assert status.error.code == "engine_unreachable"
    assert "137" in status.error.message
    assert status.url is None
    await supervised.engine.ensure_ready()
    assert supervised.engine.status().error is None
    assert supervised.states == ["starting", "ready", "failed", "starting", "ready"]


async def test_after_a_broken_connection_the_end_of_the_engine_is_known(
    supervise: Supervise, real: EngineSettings
) -> None:
    """Kill, verdict, next request, without waiting for the state: never the URL of the dead one."""
    engine = supervise(real).engine
    for _ in range(3):
        url = await engine.ensure_ready()
        engine_process(engine.status()).kill()
        await engine.verdict()
        assert engine.status().state is EngineState.FAILED
        assert await engine.ensure_ready() != url
        await engine.stop()  # without the pause that grows with each crash


async def test_a_verdict_on_an_engine_that_is_not_ours_comes_at_once(
    supervise: Supervise, fake: Fake
) -> None:
    local = supervise(fake())
    await local.engine.verdict()  # not started
    url = await local.engine.ensure_ready()
    remote = supervise(EngineSettings(kind="remote", url=url))
    await remote.engine.ensure_ready()
    await remote.engine.verdict()
    assert remote.engine.status().state is EngineState.READY


async def test_a_stream_breaks_with_a_typed_error_when_the_engine_dies(
    supervise: Supervise, real: EngineSettings
) -> None:
    supervised = supervise(real)
    client = ChatClient(
        supervised.engine.ensure_ready, local=True, api_key=supervised.engine.api_key
    )
    sampling = Sampling(temperature=0.0, top_p=1.0, frequency_penalty=0.0, max_tokens=30000)
    with pytest.raises(EngineUnreachable):
        async with client.stream([image_message("go on")], sampling=sampling) as reply:
            engine_process(supervised.engine.status()).kill()
            await supervised.reached(EngineState.FAILED)
            async for _ in reply:
                pass
    await client.aclose()


async def test_leaving_a_reply_frees_the_engine_at_once(
    supervise: Supervise, real: EngineSettings
) -> None:
    """A second request on the only slot would otherwise wait for thousands of tokens."""
    engine = supervise(real).engine
    client = ChatClient(engine.ensure_ready, local=True, api_key=engine.api_key)
    long = Sampling(temperature=0.0, top_p=1.0, frequency_penalty=0.0, max_tokens=30000)
    async with client.stream([image_message("go on")], sampling=long) as reply:
        async for _ in reply:
            break
    async with asyncio.timeout(10):
        async with client.stream([image_message("again")], sampling=GREEDY) as reply:
            assert [piece async for piece in reply]
    await client.aclose()


async def test_stop_closes_the_streams_first(supervise: Supervise, real: EngineSettings) -> None:
    supervised = supervise(real)
    client = ChatClient(
        supervised.engine.ensure_ready, local=True, api_key=supervised.engine.api_key
    )
    alive: list[bool] = []

    async def close() -> None:
        alive.append(engine.is_running())
        await client.close_streams()

    supervised.engine.before_stop(close)
    sampling = Sampling(temperature=0.0, top_p=1.0, frequency_penalty=0.0, max_tokens=30000)
    with pytest.raises(EngineUnreachable):
        async with client.stream([image_message("go on")], sampling=sampling) as reply:
            engine = engine_process(supervised.engine.status())
            await supervised.engine.stop()
            async for _ in reply:
                pass
    assert alive == [True]
    assert not engine.is_running()


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
async def test_no_orphan_when_the_service_is_killed(real: EngineSettings) -> None:
    service = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", SERVICE, real.kind, real.binary, str(real.model), str(real.mmproj)),
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert service.stdout is not None
    ours = [psutil.Process(int(pid)) for pid in (await service.stdout.readline()).split()]
    assert len(ours) == 2  # the guard and the engine
    service.kill()
    await service.wait()
    _, alive = await asyncio.to_thread(psutil.wait_procs, ours, GONE_TIMEOUT_S)
    assert not alive


@pytest.mark.parametrize("key", ["model", "mmproj"])
async def test_a_missing_file_is_named(
    supervise: Supervise, real: EngineSettings, key: str, tmp_path: Path
) -> None:
    settings = real.model_copy(update={key: tmp_path / "none.gguf"})
    supervised = supervise(settings)
    with pytest.raises(EngineStartFailed, match="file not found: .*none.gguf") as caught:
        await supervised.engine.ensure_ready()
    assert f"engine.{key}" in caught.value.hint
    assert supervised.engine.status().state is EngineState.FAILED


async def test_garbage_is_refused_before_the_start(
    supervise: Supervise, real: EngineSettings, tmp_path: Path
) -> None:
    garbage = tmp_path / "garbage.gguf"
    garbage.write_bytes(b"PK\x03\x04" * 100)
    engine = supervise(real.model_copy(update={"model": garbage})).engine
    with pytest.raises(EngineStartFailed, match="not a GGUF file"):
        await engine.ensure_ready()


async def test_a_model_without_one_of_its_tensors_is_explained_by_the_engines_own_line(
    supervise: Supervise, real: EngineSettings, tmp_path: Path
) -> None:
    assert real.model is not None
    damaged = tmp_path / "damaged.gguf"
    data = real.model.read_bytes()
    damaged.write_bytes(data.replace(b"output_norm.weight", b"output_morn.weight"))
    engine = supervise(real.model_copy(update={"model": damaged})).engine
    with pytest.raises(EngineStartFailed, match="output_norm.weight") as caught:
        await engine.ensure_ready()
    error = caught.value
    assert error.exit_code == 1
    assert any("failed to load model" in line for line in error.log_tail)
    fault = engine.status().error
    assert fault is not None
    assert (fault.code, fault.message) == ("engine_start_failed", error.message)


async def test_a_model_that_is_named_and_not_installed_is_told_with_what_gets_it(
    supervise: Supervise, tmp_path: Path
) -> None:
    overrides = {"service.data_dir": str(tmp_path), "engine.kind": "embedded"}
    engine = supervise(load_settings(("qwen3-vl-8b",), overrides, environ={}).engine).engine
    with pytest.raises(EngineStartFailed, match="qwen3-vl-8b is not installed") as caught:
        await engine.ensure_ready()
    assert caught.value.reason == "model_not_installed"
    assert "phonepilot models pull qwen3-vl-8b" in caught.value.hint


async def test_a_truncated_model_starts_no_engine(
    supervise: Supervise, real: EngineSettings, tmp_path: Path
) -> None:
    assert real.model is not None
    truncated = tmp_path / "truncated.gguf"
    truncated.write_bytes(real.model.read_bytes()[:100_000])
    engine = supervise(real.model_copy(update={"model": truncated})).engine
    with pytest.raises(EngineStartFailed, match="bytes after the file") as caught:
        await engine.ensure_ready()
    assert (caught.value.reason, caught.value.exit_code) == ("file_truncated", None)
    assert engine.status().pid is None


async def test_model_and_projector_of_different_sizes(
    supervise: Supervise, real: EngineSettings
) -> None:
    engine = supervise(real.model_copy(update={"model": real.mmproj})).engine
    with pytest.raises(EngineStartFailed, match="is a vision projector") as caught:
        await engine.ensure_ready()
    assert "swap" in caught.value.hint
    assert caught.value.reason == "files_swapped"


async def test_no_model_configured(supervise: Supervise) -> None:
    engine = supervise(EngineSettings(kind="embedded")).engine
    with pytest.raises(EngineStartFailed, match="no model is configured"):
        await engine.ensure_ready()


# The llama-server kind, with a fake binary.


async def test_llama_server_is_ready_when_it_has_loaded(
    supervise: Supervise, fake: Fake, tmp_path: Path
) -> None:
    written = tmp_path / "argv.json"
    settings = fake("--fake-loading", "3", "--fake-argv", str(written), context=4096)
    engine = supervise(settings).engine
    url = await engine.ensure_ready()
    argv = json.loads(written.read_text(encoding="utf-8"))
    assert argv[argv.index("--port") + 1] == str(httpx.URL(url).port)
    assert argv[argv.index("--ctx-size") + 1] == "4096"
    assert "--no-ui" not in argv  # its help does not know that one
    assert any("does not know --no-ui" in line for line in engine.log_lines())


async def test_a_death_at_start_shows_the_first_error_not_the_last(
    supervise: Supervise, fake: Fake
) -> None:
    lines = (
        "0.00.001.000 I srv  load_model: loading\n"
        "0.00.002.000 E llama_init_from_model: failed to create context with model\n"
        "0.00.003.000 E srv  llama_server: exiting due to model loading error"
    )
    engine = supervise(fake("--fake-die", lines, "--fake-exit", "3")).engine
    with pytest.raises(EngineStartFailed) as caught:
        await engine.ensure_ready()
    assert caught.value.message.endswith("failed to create context with model")
    assert "engine.context" in caught.value.hint
    assert caught.value.reason == "context_impossible"
    assert caught.value.exit_code == 3
    assert caught.value.log_tail[-1].endswith("model loading error")


async def test_out_of_memory_takes_the_next_cheaper_settings_and_says_so(
    supervise: Supervise, large_fake: Fake
) -> None:
    supervised = supervise(large_fake("--fake-oom-above", "q8_0"))
    await supervised.engine.ensure_ready()
    status = supervised.engine.status()
    assert supervised.states == ["starting", "starting", "ready"]
    assert len(status.adjusted) == 1
    assert "cache_type_k = q8_0" in status.adjusted[0]
    assert any("out of memory" in line for line in supervised.engine.log_lines())


async def test_kills_after_an_out_of_memory_change_no_more_settings(
    supervise: Supervise, large_fake: Fake
) -> None:
    supervised = supervise(large_fake("--fake-oom-above", "q8_0"))
    await supervised.engine.ensure_ready()
    adjusted = supervised.engine.status().adjusted
    for _ in range(2):
        engine_process(supervised.engine.status()).kill()
        await supervised.reached(EngineState.FAILED)
        await supervised.engine.ensure_ready()
    assert supervised.engine.status().adjusted == adjusted
    assert len(adjusted) == 1


async def test_out_of_memory_is_given_up_after_three_loads_with_the_reason(
    supervise: Supervise, large_fake: Fake
) -> None:
    supervised = supervise(large_fake("--fake-oom-above", "no such type"))
    with pytest.raises(EngineStartFailed) as caught:
        await supervised.engine.ensure_ready()
    assert caught.value.reason == "out_of_memory"
    assert "image_max_tokens" in caught.value.hint
    assert supervised.states == ["starting"] * 3 + ["failed"]
    status = supervised.engine.status()
    assert len(status.adjusted) == 2
    assert "gpu_layers = 10" in status.adjusted[-1]
    await supervised.engine.stop()
    assert supervised.engine.status().adjusted == ()


async def test_the_devices_and_layers_of_a_gpu_are_shown(supervise: Supervise, fake: Fake) -> None:
    engine = supervise(fake("--fake-gpu")).engine
    await engine.ensure_ready()
    status = engine.status()
    assert status.devices == (Device("CUDA0", "NVIDIA GeForce RTX 4060", 7099),)
    assert status.layers == Layers(41, 41)
    await engine.stop()
    assert (engine.status().devices, engine.status().layers) == ((), None)


async def test_memory_that_only_a_real_screenshot_takes_is_found_before_ready(
    supervise: Supervise, large_fake: Fake
) -> None:
    supervised = supervise(large_fake("--fake-gpu", "--fake-no-screenshots"))
    await supervised.engine.ensure_ready()
    assert supervised.states == ["starting", "starting", "ready"]
    assert supervised.engine.status().adjusted


async def test_a_screenshot_that_is_refused_for_want_of_memory_takes_the_next_settings_too(
    supervise: Supervise, large_fake: Fake
) -> None:
    supervised = supervise(large_fake("--fake-gpu", "--fake-refuses-screenshots"))
    await supervised.engine.ensure_ready()
    assert supervised.states == ["starting", "starting", "ready"]
    assert "cache_type_k = q8_0" in supervised.engine.status().adjusted[0]


async def test_without_a_gpu_no_screenshot_is_asked_about_unless_it_is_wished(
    supervise: Supervise, large_fake: Fake
) -> None:
    await supervise(large_fake("--fake-no-screenshots")).engine.ensure_ready()
    wished = supervise(large_fake("--fake-no-screenshots", self_test="on"))
    await wished.engine.ensure_ready()
    assert wished.engine.status().adjusted


async def test_an_engine_that_crashes_again_and_again_is_given_time(
    supervise: Supervise, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crashes_module, "FIRST_PAUSE_S", 0.05)  # shown in whole seconds
    supervised = supervise(fake())
    for crashes in range(3):
        await supervised.engine.ensure_ready()
        paused = [line for line in supervised.engine.log_lines() if "waiting 0." in line]
        assert bool(paused) is (crashes > 0)
        if crashes:
            begun = [status for status in supervised.seen if status.state is EngineState.STARTING]
            times = "a crash" if crashes == 1 else f"{crashes} crashes in a row"
            assert begun[-1].stage == f"starts in 1 s, after {times}"
        engine_process(supervised.engine.status()).kill()
        await supervised.reached(EngineState.FAILED)
    fault = supervised.engine.status().error
    assert fault is not None
    assert (fault.code, fault.reason) == ("engine_unreachable", "killed")


async def test_an_engine_that_hangs_is_ended_and_comes_back(
    supervise: Supervise, fake: Fake
) -> None:
    supervised = supervise(fake("--fake-ignore-sigterm"))
    await supervised.engine.ensure_ready()
    child = engine_process(supervised.engine.status())
    supervised.engine.hung()
    await supervised.reached(EngineState.FAILED)
    assert not child.is_running()
    await supervised.engine.ensure_ready()
    assert supervised.engine.status().state is EngineState.READY


async def test_a_model_that_was_let_go_of_is_told(supervise: Supervise, fake: Fake) -> None:
    supervised = supervise(fake("--fake-sleep-log"))
    url = await supervised.engine.ensure_ready()
    async with httpx.AsyncClient(trust_env=False) as http:
        await http.get(f"{server_root(url)}/health")
    await supervised.reached(EngineState.SLEEPING)
    assert await supervised.engine.ensure_ready() == url


async def test_an_engine_that_ignores_sigterm_is_killed(supervise: Supervise, fake: Fake) -> None:
    supervised = supervise(fake("--fake-ignore-sigterm", stop_timeout_s=0.1))
    await supervised.engine.ensure_ready()
    child = engine_process(supervised.engine.status())
    await supervised.engine.stop()
    assert not child.is_running()
    assert supervised.states[-1] == "stopped"


async def test_stop_during_the_start(supervise: Supervise, fake: Fake) -> None:
    before = psutil.Process().children(recursive=True)
    supervised = supervise(fake("--fake-loading", "1000000"))
    caller = asyncio.create_task(supervised.engine.ensure_ready())
    await supervised.reached(EngineState.STARTING)
    await supervised.engine.stop()
    with pytest.raises(EngineNotReady):
        await caller
    assert supervised.states == ["starting", "stopping", "stopped"]
    assert not set(psutil.Process().children(recursive=True)) - set(before)


async def test_who_waits_for_a_start_waits_on_if_it_is_restarted(
    supervise: Supervise, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in the pause after a crash, which a restart ends."""
    monkeypatch.setattr(crashes_module, "FIRST_PAUSE_S", 60.0)
    supervised = supervise(fake())
    await supervised.engine.ensure_ready()
    engine_process(supervised.engine.status()).kill()
    await supervised.reached(EngineState.FAILED)
    caller = asyncio.create_task(supervised.engine.ensure_ready())
    await supervised.reached(EngineState.STARTING)
    async with asyncio.timeout(30):
        url = await supervised.engine.restart()
        assert await caller == url


async def test_a_start_asked_for_while_the_engine_closes_is_refused(
    supervise: Supervise, fake: Fake
) -> None:
    before = psutil.Process().children(recursive=True)
    engine = supervise(fake()).engine
    await engine.ensure_ready()
    closing = asyncio.create_task(engine.aclose())
    await asyncio.sleep(0)
    async with asyncio.timeout(20):
        with pytest.raises(EngineNotReady):
            await engine.ensure_ready()
        await closing
    assert not set(psutil.Process().children(recursive=True)) - set(before)


async def test_a_start_asked_for_during_the_stop_follows_it(
    supervise: Supervise, fake: Fake
) -> None:
    supervised = supervise(fake())
    await supervised.engine.ensure_ready()
    stopping = asyncio.create_task(supervised.engine.stop())
    await supervised.reached(EngineState.STOPPING)
    await supervised.engine.ensure_ready()
    await stopping
    assert supervised.states == ["starting", "ready", "stopping", "stopped", "starting", "ready"]


async def test_a_start_that_takes_too_long(supervise: Supervise, fake: Fake) -> None:
    before = psutil.Process().children(recursive=True)
    engine = supervise(fake("--fake-loading", "1000000", start_timeout_s=0.5)).engine
    with pytest.raises(EngineStartFailed, match="said nothing for 0.5 s"):
        await engine.ensure_ready()
    assert not set(psutil.Process().children(recursive=True)) - set(before)


async def test_an_engine_without_its_projector_is_not_ready(
    supervise: Supervise, fake: Fake
) -> None:
    engine = supervise(fake("--fake-blind")).engine
    with pytest.raises(EngineStartFailed, match="takes no images"):
        await engine.ensure_ready()


async def test_a_port_in_use(supervise: Supervise, fake: Fake) -> None:
    taken = supervise(fake()).engine
    port = httpx.URL(await taken.ensure_ready()).port
    engine = supervise(fake(port=port)).engine
    with pytest.raises(EngineStartFailed, match=f"port {port} is in use"):
        await engine.ensure_ready()


async def test_a_configured_binary_that_is_not_there(supervise: Supervise, fake: Fake) -> None:
    engine = supervise(fake(kind="auto", binary="/nowhere/llama-server")).engine
    with pytest.raises(EngineStartFailed, match="not a program: /nowhere/llama-server"):
        await engine.ensure_ready()


async def test_remote_is_ready_when_it_answers(supervise: Supervise, fake: Fake) -> None:
    local = supervise(fake())
    url = await local.engine.ensure_ready()
    remote = supervise(EngineSettings(url=f"{url}/"))
    assert await remote.engine.ensure_ready() == url
    assert remote.engine.status().kind is EngineKind.REMOTE
    assert remote.engine.status().pid is None
    await remote.engine.stop()
    await local.engine.stop()
    with pytest.raises(EngineUnreachable, match="no engine answers"):
        await remote.engine.ensure_ready()


async def test_a_closed_engine_starts_no_more(supervise: Supervise, fake: Fake) -> None:
    engine = supervise(fake()).engine
    await engine.ensure_ready()
    await engine.aclose()
    with pytest.raises(EngineNotReady, match="closed"):
        await engine.ensure_ready()
