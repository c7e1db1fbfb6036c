"""What fits is what was computed from the real shapes, and the presets come from it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli.main import app
from app.errors import ConfigError
from app.llm.gguf import read_header
from app.llm.gpu import Gpu, find_gpus, parse_gpus
from app.llm.memory import (
    MIB,
    Choice,
    best,
    catalogue_shapes,
    image_tokens,
    plan,
    plans,
    shapes_of,
    usable,
)
from app.settings import ModelsSettings, load_models, load_settings
from tests.llm.tiny_glm4v import ModelPair

AUTOGLM = catalogue_shapes(
    next(
        entry.memory
        for entry in load_models(ModelsSettings())
        if entry.name == "autoglm-phone-9b" and entry.memory
    )
)
SCREEN = (1080, 2400)


@pytest.mark.parametrize(
    ("choice", "mib"),
    [
        (Choice("f16", 0, "f16"), 9010),
        (Choice("q8_0", 1024, "f16"), 8144),
        (Choice("f16", 2048, "q8_0"), 7921),
        (Choice("q8_0", 1024, "q8_0"), 7371),
        (Choice("f16", 0, "f16", mmproj_offload=False), 6490),
    ],
)
def test_the_real_shapes_take_what_they_are_known_to_take(choice: Choice, mib: int) -> None:
    found = plan(AUTOGLM, choice, vram=8188 * MIB, context=16384, screen=SCREEN)
    assert found.total / MIB == pytest.approx(mib, rel=0.02)


@pytest.mark.parametrize(
    ("width", "height", "cap", "tokens"),
    [
        (1080, 2400, 0, 3354),
        (1080, 1920, 0, 2691),
        (720, 1600, 0, 1482),
        (1440, 3200, 0, 3990),
        (1080, 2400, 2048, 2010),
        (1080, 2400, 1500, 1425),
        (1080, 2400, 1024, 987),
    ],
)
def test_tokens_of_a_screenshot(width: int, height: int, cap: int, tokens: int) -> None:
    assert image_tokens(width, height, cap) == tokens


@pytest.mark.parametrize(
    ("preset", "vram"), [("rtx-4060-8gb", 8188), ("gpu-12gb", 12282), ("gpu-24gb", 24564)]
)
def test_a_preset_is_what_the_plan_chooses(preset: str, vram: int) -> None:
    engine = load_settings([preset], environ={}).engine
    chosen = best(plans(AUTOGLM, vram=vram * MIB, context=engine.context, screen=SCREEN))
    assert chosen.total < vram * MIB
    choice = chosen.choice
    assert (engine.cache_type_k, engine.cache_type_v) == (choice.cache_type, choice.cache_type)
    assert engine.image_max_tokens == choice.image_max_tokens
    assert engine.mmproj_offload == choice.mmproj_offload
    assert engine.fit_target == chosen.fit_target


def test_what_does_not_fit_is_refused_with_what_is_short() -> None:
    with pytest.raises(ConfigError, match=r"nothing fits: the smallest plan takes 5\d\d\d MiB"):
        best(plans(AUTOGLM, vram=4096 * MIB, context=16384, screen=SCREEN))


def test_shapes_come_from_the_files(tiny_pair: ModelPair) -> None:
    model, projector = read_header(tiny_pair.model), read_header(tiny_pair.mmproj)
    shapes = shapes_of(model, projector)
    data = sum(t.nbytes for t in model.tensors)
    assert shapes.weights + shapes.host_weights == data < tiny_pair.model.stat().st_size
    assert shapes.projector < tiny_pair.mmproj.stat().st_size
    assert shapes.kv_values > 0
    with pytest.raises(ConfigError, match="is not a text model"):
        shapes_of(projector, None)


def test_the_lines_of_nvidia_smi() -> None:
    said = "NVIDIA GeForce RTX 4060, 8188, 7800\nNVIDIA GB10, [N/A], [N/A]\n\nnonsense\n"
    assert parse_gpus(said) == [Gpu("NVIDIA GeForce RTX 4060", 8188 * MIB, 7800 * MIB)]


async def test_a_program_that_says_no_gpu_is_no_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert await find_gpus() == []
    fake = tmp_path / "nvidia-smi"
    fake.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'; exit 9\n")
    fake.chmod(0o755)
    assert await find_gpus() == []
    fake.write_text("#!/bin/sh\necho 'NVIDIA GeForce RTX 4060, 8188, 7800'\n")
    assert [gpu.total // MIB for gpu in await find_gpus()] == [8188]


def test_the_command_tells_settings_that_fit_the_card() -> None:
    done = CliRunner().invoke(app, ["engine", "plan", "--vram", "8GiB", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["total"] < 8188 * MIB
    assert told["total"] <= usable(8192 * MIB)
    assert 'cache_type_k = "q8_0"' in told["settings"]
    table = CliRunner().invoke(app, ["engine", "plan", "--vram", "8188MiB"])
    assert table.output.count("chosen") == 1
    demo = CliRunner().invoke(app, ["engine", "plan", "-c", "demo", "--vram", "2GiB"])
    assert demo.exit_code == 0, demo.output


def test_what_other_programs_take_of_the_card_is_not_planned_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "nvidia-smi"
    fake.write_text("#!/bin/sh\necho 'NVIDIA GeForce RTX 4060, 8188, 7700'\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    told = json.loads(CliRunner().invoke(app, ["engine", "plan", "--json"]).stdout)
    assert (told["free"] // MIB, told["total"] // MIB) == (7700, 7361)
    fake.write_text("#!/bin/sh\necho 'NVIDIA GeForce RTX 4060, 8188, 7000'\n")
    told = json.loads(CliRunner().invoke(app, ["engine", "plan", "--json"]).stdout)
    assert "mmproj_offload = false" in told["settings"]
    fake.write_text("#!/bin/sh\necho 'NVIDIA GeForce RTX 4060, 8188, 3000'\n")
    done = CliRunner().invoke(app, ["engine", "plan"])
    assert isinstance(done.exception, ConfigError)
    assert "Other programs take 5188 MiB" in done.exception.hint


@pytest.mark.parametrize("options", [["--vram", "lots"], ["--vram", "8GiB", "--screen", "big"]])
def test_bad_options_are_refused(options: list[str]) -> None:
    done = CliRunner().invoke(app, ["engine", "plan", *options])
    assert done.exit_code == 1
