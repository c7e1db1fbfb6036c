"""Engines for the tests: the real embedded one with a tiny model, and a fake binary for faults."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from app.settings import EngineSettings
from tests.llm.hollow_pair import write_hollow_pair
from tests.llm.supervised import Supervised
from tests.llm.tiny_glm4v import ModelPair, write_pair

FAKE_SERVER = Path(__file__).with_name("fake_llama_server.py")


@pytest.fixture(scope="session")
def tiny_pair(tmp_path_factory: pytest.TempPathFactory) -> ModelPair:
    return write_pair(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def hollow_pair(tmp_path_factory: pytest.TempPathFactory) -> ModelPair:
    return write_hollow_pair(tmp_path_factory.mktemp("hollow"))


KINDS = ["embedded", *(["llama-server"] if os.environ.get("PHONEPILOT_TEST_LLAMA_SERVER") else [])]


@pytest.fixture(params=KINDS)
def real(request: pytest.FixtureRequest, tiny_pair: ModelPair) -> EngineSettings:
    """A real engine with the tiny model: the embedded one, and llama-server where it was built.

    The context is large so that replies can be long.
    """
    return EngineSettings(
        kind=request.param,
        binary=os.environ.get("PHONEPILOT_TEST_LLAMA_SERVER", ""),
        model=tiny_pair.model,
        mmproj=tiny_pair.mmproj,
        alias="tiny",
        context=32768,
        threads=1,
        cache_ram=16,
        start_timeout_s=30.0,
    )


@pytest.fixture
def fake_binary(tmp_path: Path) -> Path:
    binary = tmp_path / "llama-server"
    binary.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -S "{FAKE_SERVER}" "$@"\n', encoding="utf-8"
    )
    binary.chmod(0o755)
    return binary


@pytest.fixture
def fake(tiny_pair: ModelPair, fake_binary: Path) -> Callable[..., EngineSettings]:
    """Settings for the fake binary: `fake("--fake-blind", context=4096)`."""

    def settings(*arguments: str, **changes: object) -> EngineSettings:
        fields: dict[str, object] = {
            "kind": "llama-server",
            "binary": str(fake_binary),
            "model": tiny_pair.model,
            "mmproj": tiny_pair.mmproj,
            "extra_args": arguments,
            "start_timeout_s": 20.0,
        }
        return EngineSettings.model_validate(fields | changes)

    return settings


@pytest.fixture
def large_fake(
    fake: Callable[..., EngineSettings], hollow_pair: ModelPair
) -> Callable[..., EngineSettings]:
    """The same, with a model whose settings can be made cheaper."""

    def settings(*arguments: str, **changes: object) -> EngineSettings:
        files = {"model": hollow_pair.model, "mmproj": hollow_pair.mmproj}
        return fake(*arguments, **(files | changes))

    return settings


@pytest.fixture
async def supervise() -> AsyncIterator[Callable[[EngineSettings], Supervised]]:
    """Makes supervised engines and closes them after the test."""
    made: list[Supervised] = []

    def make(settings: EngineSettings) -> Supervised:
        made.append(Supervised(settings))
        return made[-1]

    yield make
    for supervised in made:
        await supervised.engine.aclose()
