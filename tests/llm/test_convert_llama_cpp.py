"""llama.cpp's own converter and quantiser on tiny checkpoints that transformers has written.

They need a checkout of llama.cpp with `llama-quantize` built (PHONEPILOT_TEST_LLAMA_CPP, or the
program in PATH) and a Python with torch and transformers (PHONEPILOT_TEST_TORCH_PYTHON).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.bench.fidelity import GOAL
from app.cli.main import app
from app.errors import AppError
from app.llm.client import ChatClient, Sampling
from app.llm.describe import describe
from app.llm.quantise import TYPES
from app.settings import EngineSettings
from tests.llm.supervised import Supervised, image_message

LLAMA_CPP = os.environ.get("PHONEPILOT_TEST_LLAMA_CPP", "")
PYTHON = os.environ.get("PHONEPILOT_TEST_TORCH_PYTHON", "")
pytestmark = [
    pytest.mark.skipif(not (LLAMA_CPP and PYTHON), reason="needs llama.cpp's sources and torch"),
    pytest.mark.timeout(300),
]
WRITER = Path(__file__).with_name("tiny_checkpoint.py")
KINDS = {"glm4v": "glm4", "glm4v_moe": "glm4moe", "glm": "chatglm"}
"""Each checkpoint with the architecture that llama.cpp makes of it."""


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("checkpoints")

    def write(kind: str) -> Path:
        if not (folder / kind).exists():
            subprocess.run([PYTHON, WRITER, kind, folder / kind], check=True, capture_output=True)
        return folder / kind

    return write


def convert(checkpoint: Path, output: Path, *more: str, pre: str = "glm4") -> Result:
    words = ["models", "convert", "--json", "--model-path", str(checkpoint)]
    words += ["--output-path", str(output), "--llama-cpp-path", LLAMA_CPP, "--python", PYTHON]
    return CliRunner().invoke(app, [*words, "--pre-tokenizer", pre, *more])


def error(done: Result) -> AppError:
    assert isinstance(done.exception, AppError), done.output
    return done.exception


@pytest.mark.parametrize("kind", KINDS)
async def test_a_converted_model_answers(
    kind: str,
    checkpoint: Callable[[str], Path],
    supervise: Callable[[EngineSettings], Supervised],
    real: EngineSettings,
    tmp_path: Path,
) -> None:
    done = convert(checkpoint(kind), tmp_path / "tiny-Q4_K_S.gguf")
    assert done.exit_code == 0, done.exception
    paths = [Path(file["path"]) for file in json.loads(done.stdout)["files"]]
    assert len(paths) == (1 if kind == "glm" else 2)
    assert set(os.listdir(tmp_path)) == {path.name for path in paths}  # noqa: PTH208
    facts = describe(paths[0])
    assert (facts["architecture"], facts["quantisation"]) == (KINDS[kind], "Q4_K_S")
    mmproj = paths[1] if len(paths) > 1 else None
    settings = real.model_copy(
        update={"model": paths[0], "mmproj": mmproj, "context": 2048, "extra_args": ()}
    )
    supervised = supervise(settings)
    client = ChatClient(
        supervised.engine.ensure_ready, local=True, api_key=supervised.engine.api_key
    )
    message = image_message("Hello") if mmproj else {"role": "user", "content": "Hello"}
    async with client.stream([message], sampling=Sampling(0.0, 1.0, 0.0, 8)) as reply:
        pieces = [piece.text async for piece in reply]
    await client.aclose()
    assert pieces
    assert reply.completion.completion_tokens > 0


@pytest.mark.parametrize("kind", ["glm4v", "glm4v_moe", "glm"])
def test_the_engine_computes_what_transformers_does(
    kind: str, checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    folder, whole, small = checkpoint(kind), tmp_path / "t-F16.gguf", tmp_path / "t-Q4_K_S.gguf"
    assert convert(folder, whole, "--quantize", "f16").exit_code == 0
    assert convert(folder, small).exit_code == 0
    # The prompt is short: converted, the blind one has a context of 256 tokens.
    words = ["models", "check", str(whole), str(small), "--checkpoint", str(folder), "-c", "demo"]
    words += ["--python", PYTHON, "--count", "2", "--json"]
    if kind != "glm":
        words += ["--mmproj", str(tmp_path / "mmproj-t-f16.gguf")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.exception
    f16, q4 = json.loads(done.stdout)["rows"]
    assert f16["worst"] >= GOAL
    assert 0.9 < q4["worst"] < f16["worst"]


def test_of_glm_edge_v_the_text_part_is_converted_and_the_rest_is_said(
    checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    folder, output = checkpoint("glm_edge_v"), tmp_path / "edge-Q4_K_S.gguf"
    refused = error(convert(folder, output))
    assert "does not know the eyes of GLM-Edge-V" in refused.message
    assert "models pull glm-edge-v-2b" in refused.hint
    assert convert(folder, output, "--mmproj", "none").exit_code == 0
    facts = describe(output)
    assert (facts["architecture"], facts["quantisation"]) == ("chatglm", "Q4_K_S")


def test_every_quantisation_is_what_it_says(
    checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    """All from one half that is kept, the projector too."""
    sizes = {}
    for kind in TYPES:
        path = tmp_path / f"tiny-{kind}.gguf"
        done = convert(checkpoint("glm4v"), path, "--quantize", kind, "--keep")
        assert done.exit_code == 0, done.exception
        assert describe(path)["quantisation"] == kind
        sizes[kind] = path.stat().st_size
    assert sizes["Q8_0"] > sizes["Q5_K_M"] > sizes["Q4_K_S"] > sizes["Q2_K"]
    assert sizes["Q8_0"] > sizes["Q6_K"] > sizes["Q5_1"] > sizes["Q5_0"] > sizes["IQ4_XS"]
    assert (tmp_path / "tiny-BF16.gguf").stat().st_size > sizes["Q8_0"]
    options = ("--quantize", "q8_0", "--mmproj", "q8_0")
    done = convert(checkpoint("glm4v"), tmp_path / "tiny-Q8_0.gguf", *options)
    assert done.exit_code == 0, done.exception
    assert describe(tmp_path / "mmproj-tiny-q8_0.gguf")["quantisation"] == "Q8_0"


def test_what_the_real_programs_refuse(checkpoint: Callable[[str], Path], tmp_path: Path) -> None:
    folder, output = checkpoint("glm4v"), tmp_path / "tiny-Q4_K_S.gguf"
    assert "does not know this tokenizer" in error(convert(folder, output, pre="")).message
    assert "lacks the package" in error(convert(folder, output, "--python", sys.executable)).message
    odd = tmp_path / "odd"
    odd.mkdir()
    for path in folder.iterdir():
        (odd / path.name).symlink_to(path)
    (odd / "config.json").unlink()
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["architectures"] = ["OddForConditionalGeneration"]
    (odd / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert "cannot convert OddForConditionalGeneration" in error(convert(odd, output)).message
    assert convert(folder, output).exit_code == 0
    words = ["models", "quantise", str(output), "--to", "q2_k", "--llama-cpp-path", LLAMA_CPP]
    assert "quantised already" in error(CliRunner().invoke(app, words)).hint
