"""Progress bars on the terminal for work that is counted in bytes."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

_LABEL = 34
"""Leaves room for the rest in a line of 80 characters."""


class Bars:
    """One bar per name; nothing if the output is not a terminal.

    Drawn on stderr, so that stdout stays clean for programs.
    """

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(10),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def tell(self, name: str, done: int, total: int) -> None:
        """Show `done` of `total` bytes of `name`, which is escaped."""
        if name not in self._tasks:
            label = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
            if len(label) > _LABEL:
                label = f"{label[: _LABEL // 2]}…{label[1 - _LABEL // 2 :]}"
            self._tasks[name] = self._progress.add_task(escape(label), total=total)
        self._progress.update(self._tasks[name], completed=done, total=total)
