"""A program of llama.cpp that runs to its end as our child: its lines, and its last words."""

from __future__ import annotations

import os
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from app.orphan import GRACE_S, guard_command

LAST_LINES = 40
KILLED = 128 + 9
"""The guard's exit code for a child that was killed: mostly by a system that ran out of memory."""

OnLine = Callable[[str], None]


@dataclass(frozen=True)
class Finished:
    """How it ended; `tail` holds its last lines, oldest first."""

    code: int
    tail: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join(self.tail)

    @property
    def last(self) -> str:
        return self.tail[-1] if self.tail else "it said nothing"


def run_tool(
    argv: Sequence[str], on_line: OnLine = lambda _: None, env: Mapping[str, str] | None = None
) -> Finished:
    """Run to the end, with `env` on top of the environment; the child ends when we do.

    Progress lines that end in a carriage return count as lines. A program that is not there ends
    with 127, as in a shell.
    """
    process = subprocess.Popen(
        guard_command(argv),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, **(env or {})},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    tail: deque[str] = deque(maxlen=LAST_LINES)
    try:
        with process.stdout:
            for raw in process.stdout:
                if line := raw.rstrip():
                    tail.append(line)
                    on_line(line)
        return Finished(process.wait(), tuple(tail))
    finally:
        process.stdin.close()  # the guard ends what still runs
        try:
            process.wait(2 * GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
