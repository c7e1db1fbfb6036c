"""The `llama-server` kind on a GPU.

The device is llvmpipe, Mesa's Vulkan driver that computes on the CPU: for llama.cpp a device like
any other, once it is asked to use one of that type.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

import httpx
import pytest

from app import doctor
from app.errors import EngineStartFailed
from app.llm import crashes as crashes_module
from app.llm.client import ChatClient, Sampling
from app.llm.engine import Engine
from app.llm.offload import Layers
from app.llm.status import EngineState
from app.settings import EngineSettings, load_settings
from tests.e2e.conftest import service_process
from tests.llm.supervised import Supervised, engine_process, image_message

BINARY = os.environ.get("PHONEPILOT_TEST_VULKAN_SERVER", "")
DRIVERS = Path("/usr/share/vulkan/icd.d")
MIB = 2**20
LAYERS = 5
"""Of the demo model, the output included."""

pytestmark = [
    pytest.mark.skipif(
        not BINARY, reason="no llama-server for Vulkan: see scripts/llama_server_vulkan.sh"
    ),
    pytest.mark.timeout(300),
]
Supervise = Callable[[EngineSettings], Supervised]


@pytest.fixture(autouse=True)
def llvmpipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """The only device, also where there is a real GPU."""
    (driver,) = DRIVERS.glob("lvp_icd*.json")
    monkeypatch.setenv("VK_DRIVER_FILES", str(driver))
    monkeypatch.setenv("GGML_VK_VISIBLE_DEVICES", "0")  # without it CPUs are passed over


def on_vulkan(**changes: object) -> EngineSettings:
    """The demo model on the device. A screenshot of real size becomes few tokens: its 3,354 would
    take this device minutes."""
    overrides: dict[str, object] = {
        "kind": "llama-server",
        "binary": BINARY,
        "threads": 1,
        "context": 4096,
        "image_min_tokens": 16,
        "image_max_tokens": 64,
    }
    overrides |= changes
    settings = {f"engine.{key}": value for key, value in overrides.items()}
    return load_settings(("demo",), settings, environ={}).engine


def asked_about_a_screenshot(engine: Engine) -> bool:
    return any("asking about a screenshot" in line for line in engine.log_lines())


async def reply(engine: Engine) -> str:
    """What the model says of a picture."""
    sampling = Sampling(temperature=0.0, top_p=1.0, frequency_penalty=0.0, max_tokens=40)
    asked = [image_message("Turn on Bluetooth")]
    client = ChatClient(engine.ensure_ready, local=True, api_key=engine.api_key)
    async with aclosing(client):
        async with client.stream(asked, sampling=sampling) as stream:
            async for _ in stream:
                pass
        return stream.completion.text


async def test_devices_and_layers_are_shown_and_a_screenshot_comes_before_ready(
    supervise: Supervise,
) -> None:
    engine = supervise(on_vulkan()).engine
    await engine.ensure_ready()
    status = engine.status()
    (device,) = status.devices
    assert device.name == "Vulkan0"
    assert device.description.startswith("llvmpipe")
    assert device.free_mib > 0
    assert status.layers == Layers(LAYERS, LAYERS)
    assert asked_about_a_screenshot(engine)
    assert not status.adjusted


def test_the_service_shows_the_device(tmp_path: Path) -> None:
    config = tmp_path / "vulkan.toml"
    config.write_text(
        f'[engine]\nbinary = "{BINARY}"\nthreads = 1\nimage_max_tokens = 64\n', encoding="utf-8"
    )
    with (
        service_process(tmp_path / "data", "-c", str(config), kind="llama-server") as (url, _),
        httpx.Client(base_url=url, timeout=250, trust_env=False) as http,
    ):
        engine = http.post("/engine/restart").raise_for_status().json()
        assert [device["name"] for device in engine["devices"]] == ["Vulkan0"]
        assert engine["layers"] == {"offloaded": LAYERS, "total": LAYERS}


async def test_a_gpu_says_what_the_cpu_says(supervise: Supervise) -> None:
    on_gpu = supervise(on_vulkan()).engine
    on_cpu = supervise(on_vulkan(kind="embedded")).engine
    said = await reply(on_gpu)
    assert len(said) > 10
    assert said == await reply(on_cpu)
    assert on_cpu.status().devices == ()


async def test_no_layer_is_on_the_gpu_when_none_is_wished(supervise: Supervise) -> None:
    engine = supervise(on_vulkan(gpu_layers=0)).engine
    await engine.ensure_ready()
    assert engine.status().layers == Layers(0, LAYERS)


async def test_a_fit_target_is_what_is_left_free(supervise: Supervise) -> None:
    engine = supervise(on_vulkan(fit_target=1_000_000)).engine  # more than there is
    await engine.ensure_ready()
    layers = engine.status().layers
    assert layers is not None
    assert layers.offloaded < LAYERS
    assert not any("does not know --fit-target" in line for line in engine.log_lines())


async def test_the_doctor_names_the_device() -> None:
    checks = await doctor.check_engine(on_vulkan())
    (check,) = (check for check in checks if check.name == "gpu")
    assert check.status == "ok"
    assert check.message.startswith("Vulkan0 (llvmpipe")


async def test_settings_fall_once_when_memory_runs_out_and_not_with_kills(
    supervise: Supervise, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The cache of this context takes 768 MiB in f16 and 408 MiB in q8_0.
    monkeypatch.setenv("GGML_VK_FORCE_MAX_BUFFER_SIZE", str(512 * MIB))
    monkeypatch.setattr(crashes_module, "FIRST_PAUSE_S", 0.01)
    supervised = supervise(on_vulkan(context=393_216, gpu_layers=LAYERS))
    engine = supervised.engine
    await engine.ensure_ready()
    assert supervised.states == ["starting", "starting", "ready"]
    (adjusted,) = engine.status().adjusted
    assert adjusted == "cache_type_k = q8_0, cache_type_v = q8_0, flash_attention = on"
    for _ in range(2):
        engine_process(engine.status()).kill()
        failed = await supervised.reached(EngineState.FAILED)
        assert failed.error is not None
        assert failed.error.reason == "killed"
        await engine.ensure_ready()
    assert engine.status().adjusted == (adjusted,)
    assert engine.status().layers == Layers(LAYERS, LAYERS)


async def test_memory_that_nothing_cheaper_fits_into_is_told(
    supervise: Supervise, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GGML_VK_FORCE_MAX_BUFFER_SIZE", str(MIB))  # less than the weights
    engine = supervise(on_vulkan(gpu_layers=LAYERS)).engine
    with pytest.raises(EngineStartFailed, match="ErrorOutOfDeviceMemory") as caught:
        await engine.ensure_ready()
    assert caught.value.reason == "out_of_memory"
