"""What the service logs, and of which task: lines for people, or JSON for programs."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

from app.visible import visible

_task: ContextVar[str] = ContextVar("task", default="")


@contextmanager
def about_task(name: str) -> Iterator[None]:
    """What is logged inside the block belongs to that task."""
    token = _task.set(name)
    try:
        yield
    finally:
        _task.reset(token)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, and task and error if any."""

    def format(self, record: logging.LogRecord) -> str:
        row = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": visible(record.getMessage()),
        }
        if name := _task.get():
            row["task"] = name
        if record.exc_info:
            row["error"] = self.formatException(record.exc_info)
        return json.dumps(row, ensure_ascii=False)


class VisibleFormatter(logging.Formatter):
    """Lines for people: what phones, models and callers wrote into them cannot reach the terminal
    as control codes."""

    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record))


def log_no_urls() -> None:
    """Have httpx keep its requests to itself: the URL of a webhook may hold a secret."""
    logging.getLogger("httpx").setLevel(logging.WARNING)


def log_json() -> None:
    """Have every handler of the root logger write JSON."""
    root = logging.getLogger()
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    root.handlers[:] = [handler]
