"""Every type that `models quantise` offers, with the real program."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli.main import app
from app.errors import InputError
from app.llm.convert import SHARES
from app.llm.describe import describe
from app.llm.memory import Choice, plan, shapes_of
from app.llm.parts import read_model
from app.llm.quantise import TYPES
from tests.llm.tiny_glm4v import ModelPair

BINARY = os.environ.get("PHONEPILOT_TEST_LLAMA_SERVER", "")


@pytest.mark.skipif(not BINARY, reason="run by `make test-llama-server`")
@pytest.mark.parametrize("kind", TYPES)
def test_a_file_becomes_what_was_asked_for(tiny_pair: ModelPair, tmp_path: Path, kind: str) -> None:
    target = tmp_path / "tiny.gguf"
    words = ["models", "quantise", str(tiny_pair.model), "--to", kind.lower()]
    words += ["--output-path", str(target), "--llama-cpp-path", str(Path(BINARY).parent)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    facts = describe(target)
    assert facts["quantisation"] == kind
    assert facts["bytes"] < tiny_pair.model.stat().st_size
    shapes = shapes_of(read_model(target), None)
    assert shapes.unknown == ()
    chosen = plan(shapes, Choice("f16", 0, ""), vram=0, context=256, screen=(1080, 2400))
    assert chosen.parts["weights"] == shapes.weights > 0


def test_types_are_ordered_by_the_size_that_they_give() -> None:
    shares = [SHARES[kind] for kind in TYPES]
    assert shares == sorted(shares, reverse=True)
    assert set(SHARES) == {*TYPES, "F16", "BF16"}


def test_a_type_that_is_none_names_those_that_are(tmp_path: Path) -> None:
    words = ["models", "quantise", str(tmp_path / "x.gguf"), "--to", "q9_k"]
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, InputError)
    assert "IQ4_XS" in done.exception.hint


@pytest.mark.parametrize("command", ["convert", "quantise"])
def test_the_help_names_every_type(command: str) -> None:
    done = CliRunner().invoke(app, ["models", command, "--help"], env={"COLUMNS": "300"})
    words = done.output.translate(str.maketrans(",.;", "   ")).split()
    assert {kind.lower() for kind in TYPES} <= {word.lower() for word in words}
