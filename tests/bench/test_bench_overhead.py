"""The bench of our own part of a step runs as a person runs it, and its parts add up."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from app.bench.overhead import PHASES
from app.bench.stub_engine import stub_engine
from app.cli.main import app
from app.llm.client import ChatClient, Sampling


@pytest.mark.timeout(120)
def test_the_phases_of_taps_and_texts_add_up() -> None:
    done = CliRunner().invoke(app, ["bench", "overhead", "--count", "3", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["count"] == 3
    for kind in ("tap", "type"):
        rows = {row["name"]: row for row in told["rows"][kind]}
        assert tuple(rows) == PHASES
        assert rows["total"]["theirs"]["median_ms"] > 0
        assert rows["act"]["ours"]["median_ms"] > 0
        parts = sum(rows[name]["ours"]["median_ms"] for name in PHASES[:-1])
        assert rows["total"]["ours"]["median_ms"] == pytest.approx(parts, rel=0.6)


async def test_the_stub_engine_says_what_it_is_told_and_nothing_to_a_prompt_read_ahead() -> None:
    async with stub_engine(
        lambda: "a reply that is longer than one piece of forty characters"
    ) as stub:
        client = ChatClient(stub.base_url, local=True)
        await client.warm([{"role": "user", "content": "x"}])
        async with client.stream([], sampling=Sampling(0.0, 1.0, 0.0, 10)) as reply:
            pieces = [piece.text async for piece in reply]
        await client.aclose()
    assert "".join(pieces) == "a reply that is longer than one piece of forty characters"
    assert len(pieces) == 2
    assert stub.worked_s > 0
