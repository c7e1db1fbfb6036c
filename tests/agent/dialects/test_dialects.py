"""The dialects by name, and the names that the configuration allows."""

from __future__ import annotations

from typing import get_args

import pytest

from app.agent.actions import Tap
from app.agent.dialects import DIALECTS, dialect_named
from app.agent.dialects.autoglm import AutoGlm
from app.agent.dialects.base import Dialect
from app.agent.prompt import read_prompt
from app.errors import ActionOutOfBounds, ConfigError
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


def test_a_model_may_answer_in_pixels_of_the_picture_it_was_sent() -> None:
    reply = 'do(action="Tap", element=[540,1999])'
    dialect = AutoGlm(pixels=True)
    sent = (1092, 2408)
    assert dialect.read(reply, sent=sent).action == Tap(element=(494.963, 830.357))
    reading = dialect.reading(sent)
    reading.feed(reply)
    assert reading.decision() == dialect.read(reply, sent=sent)
    with pytest.raises(ActionOutOfBounds, match="pixels of the picture"):
        dialect.read('do(action="Tap", element=[540,2409])', sent=sent)
