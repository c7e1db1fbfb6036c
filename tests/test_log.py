"""What is logged: a line a message, with the task that it is about."""

from __future__ import annotations

import json
import logging

from app.log import JsonFormatter, about_task


def line(message: str, *arguments: object, error: BaseException | None = None) -> dict[str, str]:
    info = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("app.x", logging.WARNING, "x.py", 1, message, arguments, info)
    text = JsonFormatter().format(record)
    assert "\n" not in text
    return dict(json.loads(text))


def test_a_line_tells_its_task_where_there_is_one() -> None:
    assert "task" not in line("ready")
    with about_task("99c1"):
        told = line("phone %s\nsaid “no”", "a")
    assert (told["task"], told["message"]) == ("99c1", "phone a\nsaid “no”")
    assert (told["level"], told["logger"]) == ("warning", "app.x")


def test_a_fault_tells_where_it_was() -> None:
    try:
        raise ValueError("broken")
    except ValueError as exc:
        told = line("fault", error=exc)
    assert "test_log.py" in told["error"]
