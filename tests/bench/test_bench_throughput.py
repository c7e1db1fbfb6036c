"""The bench of the engine: the same request both ways, and an honest word about speculation."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.bench.phases import step_costs
from app.bench.stub_engine import stub_engine
from app.bench.throughput import measure
from app.cli.main import app
from app.errors import ConfigError
from app.llm.client import ChatClient, Sampling
from app.settings import load_settings
from tests.llm.hosts import KEY, imitation
from tests.llm.scripted_server import Script, serve
from tests.phones import ROOT

BINARY = os.environ.get("PHONEPILOT_TEST_LLAMA_SERVER", "")


@pytest.mark.timeout(120)
def test_both_ways_read_and_write_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHONEPILOT_ENGINE__KIND", "embedded")
    monkeypatch.setenv("PHONEPILOT_SERVICE__DATA_DIR", str(tmp_path))
    done = CliRunner().invoke(
        app, ["bench", "engine", "-c", "demo", "--count", "5", "--screen", "720x1600", "--json"]
    )
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["model"], told["count"]) == ("demo-q4_k_s.gguf", 5)
    plain = told["plain"]
    assert "ngram" not in told
    # The picture alone is 180 tokens, and nothing of the prompt comes from the cache.
    assert plain["ours"]["prompt_tokens"] == plain["raw"]["prompt_tokens"] > 200
    assert plain["ours"]["reply_tokens"] == plain["raw"]["reply_tokens"] > 10
    assert plain["ours"]["prompt"] > 0 and plain["ours"]["generation"] > 0
    assert 0.2 < plain["prompt_ratio"] < 5
    assert 0.2 < plain["generation_ratio"] < 5
    # The picture is the same for this model whatever the screen, and the most of a step.
    step = told["step"]
    assert step["screen"] == "720x1600"
    for which in ("first", "later"):
        phases = {name: (phase["tokens"], phase["how"]) for name, phase in step[which].items()}
        assert phases["vision"][1] == "computed"
        assert (phases["prompt"][1], phases["decode"][1]) == ("measured", "measured")
        assert phases["prompt"][0] > phases["vision"][0] > 100
        assert step[which]["vision"]["ms"] > 0 < step[which]["decode"]["ms"]


async def test_an_engine_that_tells_no_times_is_measured_by_our_clock(tmp_path: Path) -> None:
    def reply() -> str:
        body = stub.asked
        time.sleep(0.08 if b"image_url" in body else 0.02)
        return "word " * 40

    async with stub_engine(reply) as stub:
        changes = {"engine.kind": "remote", "engine.url": stub.url}
        settings = load_settings(("demo",), changes | {"service.data_dir": str(tmp_path)})
        costs = await step_costs(settings, (1080, 2400), 20)
    assert costs.first.vision.how == "computed"
    assert 50 < costs.first.vision.ms < costs.first.vision.ms + costs.first.prompt.ms < 500
    assert costs.later.prompt.tokens == 3400


async def test_of_an_engine_that_counts_nothing_the_picture_is_not_told_apart(
    tmp_path: Path,
) -> None:
    event = b'data: {"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": %s}]}\n\n'
    chunks = [event % b"null", event % b'"stop"', b"data: [DONE]\n\n"]
    async with serve(Script(chunks=chunks, pause_s=0.01)) as script:
        changes = {"engine.kind": "remote", "engine.url": script.url}
        settings = load_settings(("demo",), changes | {"service.data_dir": str(tmp_path)})
        costs = await step_costs(settings, (1080, 2400), 20)
    assert (costs.first.vision.how, costs.first.vision.ms) == ("in prompt", 0.0)
    assert costs.first.prompt.how == "measured"
    assert costs.first.prompt.ms >= 10


async def test_replies_are_no_longer_than_asked(tmp_path: Path) -> None:
    settings = load_settings(
        ("demo",), {"engine.kind": "embedded", "service.data_dir": str(tmp_path)}
    )
    (found,) = await measure(settings, 2, 4)
    assert found.ours.reply_tokens == found.raw.reply_tokens == 4


async def test_the_stub_remembers_what_our_client_sends() -> None:
    async with stub_engine(lambda: "x") as stub:
        client = ChatClient(stub.base_url, local=True)
        messages = [{"role": "user", "content": "hello"}]
        sampling = Sampling(0.0, 1.0, 0.0, 10)
        async with client.stream(messages, sampling=sampling, extra={"cache_prompt": False}):
            pass
        await client.aclose()
    sent = json.loads(stub.asked)
    assert sent["messages"] == messages
    assert sent["cache_prompt"] is False


def test_speculation_of_a_remote_engine_cannot_be_switched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHONEPILOT_ENGINE__KIND", "remote")
    monkeypatch.setenv("PHONEPILOT_ENGINE__URL", "http://127.0.0.1:1")
    done = CliRunner().invoke(app, ["bench", "engine", "-c", "demo", "--spec", "ngram"])
    assert isinstance(done.exception, ConfigError)
    assert "remote" in done.exception.message


@pytest.mark.parametrize("kind", ["embedded", *(["llama-server"] if BINARY else [])])
async def test_speculation_is_measured_beside_the_plain_engine(kind: str) -> None:
    settings = load_settings(
        ("demo",), {"engine.kind": kind, "engine.binary": BINARY, "engine.threads": 1}
    )
    plain, ngram = await measure(settings, 6, 64, spec=True)
    assert plain.ours.drafted == 0
    assert ngram.ours.drafted >= ngram.ours.accepted > ngram.ours.drafted / 3
    assert ngram.ours.reply_tokens == plain.ours.reply_tokens


async def test_of_a_host_the_step_is_measured_in_the_form_that_the_host_wants(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with imitation("host-openai") as host:
        host.replies = ["Yes."] * 99
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("PHONEPILOT_ENGINE__URL", host.url)
        settings = load_settings(("host-openai",))
        costs = await step_costs(settings, (1080, 2400), 20)
        assert host.wrong == []
        assert costs.first.decode.tokens == 60
        command = (sys.executable, "-m", "app", "bench", "engine", "-c", "host-openai")
        bench = await asyncio.create_subprocess_exec(
            *command, "--count", "1", stdout=asyncio.subprocess.PIPE, cwd=ROOT
        )
        said = (await bench.communicate())[0].decode()
    assert bench.returncode == 0, said
    assert "no tokens/s: the engine reports no timings" in said
    assert "ms of a step" in said
