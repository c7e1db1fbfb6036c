"""`phonepilot bench reading`: every kind of reply at three lengths."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from app.bench.reading import KINDS
from app.cli.main import app


def test_every_kind_of_reply_is_read_at_three_lengths() -> None:
    result = CliRunner().invoke(app, ["bench", "reading", "--pieces", "80", "--json"])
    rows = json.loads(result.stdout)["rows"]
    assert [row["kind"] for row in rows] == [kind for kind in KINDS for _ in range(3)]
    assert [row["pieces"] for row in rows[:3]] == [20, 40, 80]
    assert all(row["total_ms"] >= row["worst_ms"] >= 0 for row in rows)


def test_an_unknown_dialect_is_told() -> None:
    result = CliRunner().invoke(app, ["bench", "reading", "--dialect", "klingon"])
    assert result.exit_code != 0
    assert "klingon" in str(result.exception)
