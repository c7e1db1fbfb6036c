"""What cannot be exchanged is refused before anything is changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from app.errors import InputError
from app.models import Models
from app.settings import load_settings
from app.tasks.metrics import TaskMetrics


async def test_a_model_of_another_family_than_the_fallback_is_the_callers_fault(
    tmp_path: Path,
) -> None:
    fallback = tmp_path / "fallback.toml"
    fallback.write_text('[engine]\nurl = "http://127.0.0.1:9/v1"\n', encoding="utf-8")
    catalogue = tmp_path / "models.toml"
    catalogue.write_text(
        '[[model]]\nname = "other"\ntitle = "Other"\nconfig = "qwen3-vl-8b"\n'
        'model = "package:demo/demo-q4_k_s.gguf"\nmmproj = "package:demo/demo-mmproj-f16.gguf"\n',
        encoding="utf-8",
    )
    given = {"engine.fallback": (str(fallback),), "models.file": str(catalogue)}
    models = Models(load_settings(("demo",), given, {}), TaskMetrics(CollectorRegistry()))
    before = (models.engine.settings, models.equipment)
    with pytest.raises(InputError, match="other does not go with the configuration: engine.fallb"):
        await models.use("other")
    assert (models.engine.settings, models.equipment) == before
    await models.aclose()
