"""What is logged: a line a message, with the task that it is about."""

from __future__ import annotations

import json
import logging

from app.log import CountRepeats, JsonFormatter, about_task


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


def test_a_fault_that_repeats_is_counted_and_not_repeated() -> None:
    counted = CountRepeats(quiet_s=60)

    def said(at: float, message: str, *arguments: object) -> str | None:
        record = logging.LogRecord("app.x", logging.WARNING, "x.py", 1, message, arguments, None)
        record.created = at
        return record.getMessage() if counted.filter(record) else None

    fault = "picture %d of %s could not be kept: %s"
    full = [OSError(28, "No space left", f"/data/{number}.jpg") for number in range(100)]
    told = [said(number / 10, fault, number, "a", full[number]) for number in range(100)]
    assert told[0] == f"picture 0 of a could not be kept: {full[0]}"
    assert told[1:] == [None] * 99
    assert said(10, fault, 3, "b", full[3]) is not None  # another one's is another fault
    assert said(10, fault, 3, "a", ValueError("odd")) is not None
    assert said(70, fault, 7, "a", full[7]) == (
        f"picture 7 of a could not be kept: {full[7]} (99 times more before)"
    )
    assert said(71, fault, 8, "a", full[8]) is None
