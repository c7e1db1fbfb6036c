"""The service's log and its tasks: lines for people, or JSON for programs."""

from __future__ import annotations

import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

from app.visible import visible

QUIET_S = 60.0
"""Seconds during which a repeated line is logged at most once."""
_REMEMBERED = 500

_task: ContextVar[str] = ContextVar("task", default="")


@contextmanager
def about_task(name: str) -> Iterator[None]:
    """Attribute log lines inside the block to that task."""
    token = _task.set(name)
    try:
        yield
    finally:
        _task.reset(token)


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time (UTC), level, logger, message, and task and error if any."""

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


class CountRepeats(logging.Filter):
    """Counts the lines of a repeating fault instead of repeating them.

    Two lines are the same if their logger, format and text arguments are; numbers and the texts of
    exceptions, such as a file's name, may differ. The next line that passes says how many were left
    out.
    """

    def __init__(self, quiet_s: float = QUIET_S) -> None:
        super().__init__()
        self._quiet_s = quiet_s
        self._lock = threading.Lock()
        self._seen: OrderedDict[tuple[str, ...], tuple[float, int]] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        key = (record.name, str(record.msg), *_words(record.args))
        with self._lock:
            since, left_out = self._seen.pop(key, (float("-inf"), 0))
            if record.created - since < self._quiet_s:
                self._seen[key] = since, left_out + 1
                return False
            self._seen[key] = record.created, 0
            while len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)
        if left_out:
            record.msg, record.args = f"{record.getMessage()} ({left_out} times more before)", ()
            record.exc_info = None  # it was logged with the first
        return True


def _words(args: object) -> Iterator[str]:
    for each in args if isinstance(args, tuple) else (args,):
        if isinstance(each, BaseException):
            yield type(each).__name__
        elif not isinstance(each, int | float):
            yield str(each)


def count_repeats() -> None:
    """Make every handler of the root logger count repeated lines."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(CountRepeats())


class VisibleFormatter(logging.Formatter):
    """Lines for people: control codes from phones, models and callers do not reach the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record))


def log_no_urls() -> None:
    """Silence httpx's log of requests: the URL of a webhook may contain a secret."""
    logging.getLogger("httpx").setLevel(logging.WARNING)


def log_json() -> None:
    """Make every handler of the root logger write JSON."""
    root = logging.getLogger()
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    root.handlers[:] = [handler]
