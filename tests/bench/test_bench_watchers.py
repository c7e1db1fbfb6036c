"""`phonepilot bench watchers`, with a few of them."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from app.cli.main import app


def test_a_task_takes_no_more_screenshots_when_it_is_watched() -> None:
    options = ["--watchers", "8", "--followers", "20", "--steps", "10", "--json"]
    result = CliRunner().invoke(app, ["bench", "watchers", *options])
    alone, watched = json.loads(result.stdout)["rows"]
    assert (alone["watchers"], watched["watchers"]) == (0, 8)
    assert 1 <= alone["shots"] <= 8
    assert watched["shots"] <= alone["shots"] + 3  # two a second, by steps of a second at most
