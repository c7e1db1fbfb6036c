"""`phonepilot bench bodies`, with small ones."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from app.bench.bodies import KINDS
from app.cli.main import app


def test_a_body_of_each_kind_is_sent_and_answered() -> None:
    result = CliRunner().invoke(app, ["bench", "bodies", "--mib", "1", "--json"])
    rows = json.loads(result.stdout)["rows"]
    assert [row["kind"] for row in rows] == [*KINDS]
    assert all(row["status"] == 400 for row in rows)  # none of them is anything that is answered
    assert all(json.loads(make(1000)) for make in KINDS.values())
