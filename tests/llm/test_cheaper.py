"""Settings that take less of a GPU, for a model with the shapes of AutoGLM-Phone-9B."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.llm.cheaper import LEAST_SAVED, CheaperSettings, Model, cheaper, cost
from app.llm.memory import MIB
from app.llm.offload import Offload
from app.settings import EngineSettings
from tests.llm.tiny_glm4v import ModelPair

CACHES = ("f32", "f16", "bf16", "q8_0", "q4_0", "iq4_nl", "q5_1")


@pytest.fixture(scope="session")
def autoglm(hollow_pair: ModelPair) -> Model:
    return Model.of(EngineSettings(model=hollow_pair.model, mmproj=hollow_pair.mmproj))


def changes(before: EngineSettings, after: EngineSettings) -> dict[str, object]:
    new = after.model_dump()
    return {key: new[key] for key, value in before.model_dump().items() if new[key] != value}


@given(
    context=st.integers(256, 131072),
    parallel=st.integers(1, 8),
    keys=st.sampled_from(CACHES),
    values=st.sampled_from(CACHES),
    cap=st.integers(0, 4096),
    layers=st.one_of(st.sampled_from(("auto", "all")), st.integers(0, 99)),
    offload=st.booleans(),
    on_gpu=st.integers(0, 41),
)
def test_each_step_frees_memory_that_is_worth_a_load(
    autoglm: Model,
    context: int,
    parallel: int,
    keys: str,
    values: str,
    cap: int,
    layers: str | int,
    offload: bool,
    on_gpu: int,
) -> None:
    settings = EngineSettings.model_validate(
        {
            "context": context,
            "parallel": parallel,
            "cache_type_k": keys,
            "cache_type_v": values,
            "image_max_tokens": cap,
            "gpu_layers": layers,
            "mmproj_offload": offload,
        }
    )
    steps = [settings, *cheaper(autoglm, settings, on_gpu)]
    costs = [cost(autoglm, step, on_gpu) for step in steps]
    assert all(before - after >= LEAST_SAVED for before, after in pairwise(costs))
    assert all(EngineSettings.model_validate(step.model_dump()) for step in steps)


def test_what_is_given_up_first_costs_the_least(autoglm: Model) -> None:
    settings = EngineSettings(context=32768)
    steps = [settings, *cheaper(autoglm, settings, autoglm.layers)]
    assert [changes(before, after) for before, after in pairwise(steps)] == [
        {"cache_type_k": "q8_0", "cache_type_v": "q8_0", "flash_attention": "on"},
        {"image_max_tokens": 2048},
        {"image_max_tokens": 1024},  # 1500 would have freed too little
        {"gpu_layers": 30},
        {"context": 16384},
        {"mmproj_offload": False},
        {"gpu_layers": 20},
        {"gpu_layers": 10},
    ]


def test_what_is_cheap_already_loses_layers(autoglm: Model) -> None:
    settings = EngineSettings(
        cache_type_k="q4_0", cache_type_v="q4_0", image_max_tokens=1024, mmproj_offload=False
    )
    first = next(cheaper(autoglm, settings, 24))
    assert changes(settings, first) == {"gpu_layers": 18}


def affordable(pair: ModelPair) -> CheaperSettings:
    return CheaperSettings(EngineSettings(model=pair.model, mmproj=pair.mmproj))


def reported(free_mib: int) -> Offload:
    offload = Offload()
    offload.read(f"using device CUDA0 (Some GPU) (0000:01:00.0) - {free_mib} MiB free")
    offload.read("load_tensors: offloaded 41/41 layers to GPU")
    return offload


@pytest.mark.parametrize(
    ("free_mib", "changed"),
    [
        (
            8400,
            "image_max_tokens = 2048, cache_type_k = q8_0, cache_type_v = q8_0, flash_attention",
        ),
        (7400, "gpu_layers = 30, image_max_tokens = 1024"),
        (5000, "mmproj_offload = False"),
    ],
)
def test_the_first_settings_that_fit_the_memory_that_was_free_are_taken(
    hollow_pair: ModelPair, free_mib: int, changed: str
) -> None:
    settings = affordable(hollow_pair)
    assert changed in settings.take_less(reported(free_mib))
    assert cost(Model.of(settings.settings), settings.settings, 41) < free_mib * MIB


def test_without_a_report_the_next_settings_are_taken_and_the_cheapest_for_the_last_load(
    hollow_pair: ModelPair,
) -> None:
    settings = affordable(hollow_pair)
    settings.take_less(Offload())
    assert settings.settings.cache_type_k == "q8_0"
    assert settings.settings.image_max_tokens == 0
    settings.take_less(Offload(), last_load=True)
    assert settings.settings.gpu_layers == 10
    assert "gpu_layers = 10" in settings.changes[1]
    settings.forget()
    assert not settings.changes
    assert settings.settings == affordable(hollow_pair).settings
