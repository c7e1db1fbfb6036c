"""The dialects by name, and the names that the configuration allows."""

from __future__ import annotations

from typing import get_args

import pytest

from app.agent.dialects import DIALECTS, dialect_named
from app.agent.dialects.base import Dialect, Grid
from app.agent.prompt import read_prompt
from app.errors import ConfigError
from app.settings import load_settings
from app.settings.sections import ProfileSettings


def test_the_configuration_allows_the_dialects_that_there_are() -> None:
    assert get_args(ProfileSettings.model_fields["dialect"].annotation) == tuple(DIALECTS)


def test_an_unknown_dialect_in_the_configuration_names_the_choices() -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings([], {"profile.dialect": "klingon"}, environ={})
    assert "profile.dialect" in caught.value.message
    for name in DIALECTS:
        assert name in caught.value.message + caught.value.hint


def test_an_unknown_dialect_names_the_choices() -> None:
    with pytest.raises(ConfigError, match="klingon") as caught:
        dialect_named("klingon")
    assert "autoglm" in caught.value.hint


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_every_dialect_has_a_prompt_of_its_own(dialect: Dialect) -> None:
    assert read_prompt(dialect.prompt, "en")


@pytest.mark.parametrize(
    ("last", "value", "thousandths"),
    [(999, 0, 0), (999, 999, 999), (999, 1e308, 999), (999, -5, 0), (1000, 1000, 999)],
)
def test_a_grid_ends_at_the_edges(last: int, value: float, thousandths: int) -> None:
    assert Grid(last).thousandths(value) == thousandths
