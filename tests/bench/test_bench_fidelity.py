"""`phonepilot models check`: what the engine tells is read whole and handed to the checkpoint's
side, and what comes back is told. The reference here is a script that needs no torch; the real one
runs in tests/llm/test_convert_llama_cpp.py."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from typer.testing import CliRunner, Result

from app.bench import fidelity, reference
from app.cli.main import app
from app.errors import AppError
from app.llm.checkpoint import read_checkpoint
from app.settings import load_settings

DEMO = Path("app/demo")
MODEL, MMPROJ = DEMO / "demo-q4_k_s.gguf", DEMO / "demo-mmproj-f16.gguf"
VOCABULARY = 894
STAND_IN = """
import array, json, math, os, sys
job = json.load(open(sys.argv[1], encoding="utf-8"))
for reply in job["replies"]:
    told = array.array("f", open(reply["told"], "rb").read())
    width = len(told) // len(reply["tokens"])
    assert width == {vocabulary}, width
    for row, token in enumerate(reply["tokens"]):
        line = told[row * width : (row + 1) * width]
        assert abs(sum(map(math.exp, line)) - 1) < 1e-3
        assert max(range(width), key=line.__getitem__) == token
    assert open(reply["image"], "rb").read(4) == b"\\x89PNG"
    assert reply["prompt"].count(reply["marker"]) == 1
    found = dict(
        prompt_tokens=reply["read"] + {more},
        correlations=[{correlation}] * len(reply["tokens"]),
        same=1,
    )
    print("{line}" + json.dumps(found))
"""


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    config = {"architectures": ["Glm4vForConditionalGeneration"], "vision_config": {}}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "model.safetensors").write_bytes(b"")
    return folder


def stand_in(
    folder: Path, monkeypatch: pytest.MonkeyPatch, more: int = 0, correlation: float = 0.5
) -> None:
    text = STAND_IN
    for name, value in {
        "vocabulary": VOCABULARY, "more": more, "correlation": correlation, "line": fidelity.LINE,
    }.items():  # fmt: skip
        text = text.replace("{" + name + "}", str(value))
    script = folder / "stand_in.py"
    script.write_text(text, encoding="utf-8")
    monkeypatch.setattr(fidelity, "REFERENCE", script)
    monkeypatch.setenv("PHONEPILOT_ENGINE__KIND", "embedded")
    monkeypatch.setenv("PHONEPILOT_ENGINE__THREADS", "1")


def check(checkpoint: Path, *more: str, mmproj: Path | None = MMPROJ) -> Result:
    words = ["models", "check", str(MODEL), "--checkpoint", str(checkpoint), "-c", "demo"]
    if mmproj is not None:
        words += ["--mmproj", str(mmproj)]
    return CliRunner().invoke(app, [*words, "--count", "2", "--tokens", "3", *more])


def error(done: Result) -> AppError:
    assert isinstance(done.exception, AppError), done.output
    return done.exception


def test_all_that_the_engine_tells_reaches_the_checkpoint(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch)
    done = check(checkpoint, "--json")
    assert done.exit_code == 0, done.exception
    (row,) = json.loads(done.stdout)["rows"]
    assert (row["model"], row["quantisation"]) == (MODEL.name, "Q4_K_S")
    assert (row["replies"], row["tokens"], row["same"]) == (2, 6, 2)
    assert (row["first_worst"], row["worst"], row["median"]) == (0.5, 0.5, 0.5)


def test_a_file_of_16_bits_below_the_goal_is_wrong(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch)
    monkeypatch.setattr("app.llm.describe.quantisation", lambda header: "F16")
    done = check(checkpoint)
    assert done.exit_code == 1
    assert "compute something else" in done.stdout
    stand_in(tmp_path, monkeypatch, correlation=0.9995)
    assert check(checkpoint).exit_code == 0


def test_a_prompt_that_is_read_otherwise_is_no_comparison(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch, more=1)
    assert "tokens, the checkpoint as" in error(check(checkpoint)).message


def test_a_python_without_torch_is_told(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stand_in(tmp_path, monkeypatch)
    (tmp_path / "stand_in.py").write_text("import no_such_torch", encoding="utf-8")
    found = error(check(checkpoint))
    assert found.message.endswith("lacks the package no_such_torch")
    assert "--python" in found.hint


async def test_a_check_that_is_broken_off_leaves_no_process(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch)
    started = asyncio.Event()

    async def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        started.set()
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    hanging = f"import socket, time; socket.create_connection({address!r}); time.sleep(600)"
    (tmp_path / "stand_in.py").write_text(hanging, encoding="utf-8")
    before = set(psutil.Process().children(recursive=True))
    work = fidelity.measure(
        load_settings(("demo",)),
        [MODEL],
        MMPROJ,
        read_checkpoint(checkpoint),
        sys.executable,
        count=1,
        tokens=2,
    )
    running = asyncio.create_task(work)
    async with server, asyncio.timeout(30):
        await started.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert set(psutil.Process().children(recursive=True)) <= before


def test_what_cannot_be_compared_is_told_before_anything_starts(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHONEPILOT_SERVICE__DATA_DIR", str(tmp_path))
    assert "--mmproj is missing" in error(check(checkpoint, mmproj=None)).message
    assert "is not a folder" in error(check(tmp_path / "none")).message
    words = ["models", "check", "autoglm-phone-9b", "--checkpoint", str(checkpoint)]
    assert "is not installed" in error(CliRunner().invoke(app, words)).message


def test_a_correlation_is_one_over_the_tokens_that_are_told() -> None:
    logits = np.array([1.0, 4.0, 2.0, 0.5, 9.0], dtype=np.float32)
    told = np.append(logits[:4] - 7.5, np.float32("nan"))
    correlation, same = reference.agreement(told, logits)
    assert correlation == pytest.approx(1)
    assert not same  # the checkpoint would choose one that the engine does not tell
    correlation, same = reference.agreement(told[:4], logits[:4])
    assert correlation == pytest.approx(1)
    assert same
    assert reference.agreement(told[:4], -logits)[0] < 0
