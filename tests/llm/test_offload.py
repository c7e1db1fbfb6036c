"""The devices and layers of an engine, read from the lines of its log."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.llm.command import llama_server_command, traces
from app.llm.offload import Device, Layers, Offload
from app.settings import EngineSettings


@pytest.mark.parametrize(
    ("line", "device"),
    [
        (
            "0.00.301.000 I llama_model_load_from_file_impl: using device CUDA0 (NVIDIA GeForce RTX"
            " 4060) (0000:01:00.0) - 7099 MiB free",
            Device("CUDA0", "NVIDIA GeForce RTX 4060", 7099),
        ),
        (
            "llama_model_load_from_file_impl: using device CUDA0 (NVIDIA GeForce RTX 4060) - 7099"
            " MiB free",
            Device("CUDA0", "NVIDIA GeForce RTX 4060", 7099),
        ),
        (
            "using device Vulkan0 (llvmpipe (LLVM 15.0.6, 256 bits)) (unknown id) - 24105 MiB free",
            Device("Vulkan0", "llvmpipe (LLVM 15.0.6, 256 bits)", 24105),
        ),
    ],
)
def test_a_device_is_read(line: str, device: Device) -> None:
    offload = Offload()
    offload.read(line)
    offload.read(line)
    assert offload.devices == (device,)
    assert offload.on_gpu


@pytest.mark.parametrize(("count", "on_gpu"), [(41, True), (0, False)])
def test_layers_are_read(count: int, on_gpu: bool) -> None:
    offload = Offload()
    offload.read(f"0.00.001.000 I load_tensors: offloaded {count}/41 layers to GPU")
    assert offload.layers == Layers(count, 41)
    assert offload.on_gpu is on_gpu


def test_an_engine_on_the_cpu_has_no_device() -> None:
    offload = Offload()
    offload.read("0.00.293.344 I llama_kv_cache:        CPU KV buffer size =     8.00 MiB")
    assert (offload.devices, offload.layers, offload.on_gpu) == ((), None, False)


@given(st.text())
def test_no_line_is_a_fault(text: str) -> None:
    offload = Offload()
    offload.read(f"using device {text} - 1 MiB free")
    assert all(each.description.isprintable() for each in offload.devices)


@pytest.mark.parametrize(
    ("help_text", "asked"), [(" - 4: trace (more info)\n", True), ("-lv, --verbosity N", False)]
)
def test_the_lines_are_asked_for_where_the_build_knows_the_level(
    help_text: str, asked: bool
) -> None:
    command = llama_server_command(
        EngineSettings(), binary="llama-server", port=1, threads=1, trace=traces(help_text)
    )
    assert ("--verbosity" in command.argv) is asked
