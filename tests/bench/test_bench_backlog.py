"""`phonepilot bench backlog`, with a short queue."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from app.cli.main import app


def test_it_measures_a_start_with_and_without_tasks_that_wait() -> None:
    result = CliRunner().invoke(app, ["bench", "backlog", "--tasks", "20", "--json"])
    rows = json.loads(result.stdout)["rows"]
    assert [row["waiting"] for row in rows] == [0, 20]
    assert all(row[name] > 0 for row in rows for name in ("start_s", "submit_s", "stop_s"))
