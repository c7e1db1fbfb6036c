"""Measures the cost of parsing a streamed reply by its length: processor time that delays the
model, because the event loop does nothing else meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from app.agent.dialects import dialect_named

ROUNDS = 3
_WORD = " going"


@dataclass(frozen=True)
class Cost:
    """`total_ms` is the processor time for a whole reply, the best of several rounds; `worst_ms` is
    the time of its most expensive piece, during which nothing else runs."""

    kind: str
    pieces: int
    characters: int
    total_ms: float
    worst_ms: float


_ACTION = ["</think><answer>", 'do(action="Tap", element=[500,250])', "</a"]

KINDS: dict[str, Callable[[int], list[str]]] = {
    "a long thought": lambda n: ["<think>", *[_WORD] * (n - 4), *_ACTION],
    "a short thought, typing code": lambda n: [
        "So.</think><answer>", 'do(action="Type", text="', *["if (x) {} "] * (n - 4), '")', "</a"
    ],
    "brackets only": lambda n: ["</think>", *[")"] * (n - 1)],
    "calls that are broken": lambda n: ["</think>", *['do(x="{)'] * (n - 1)],
}  # fmt: skip


def reading_costs(pieces: int, dialect: str) -> list[Cost]:
    """Measure replies of a quarter, a half and all of `pieces`. Raises ConfigError."""
    lengths = [max(8, pieces // 4), max(8, pieces // 2), max(8, pieces)]
    return [_cost(kind, KINDS[kind](length), dialect) for kind in KINDS for length in lengths]


def _cost(kind: str, pieces: list[str], dialect: str) -> Cost:
    rounds = []
    for _ in range(ROUNDS):
        reading, worst = dialect_named(dialect).reading(), 0.0
        begun = before = time.process_time()
        for piece in pieces:
            reading.feed(piece)
            now = time.process_time()
            worst, before = max(worst, now - before), now
        rounds.append((time.process_time() - begun, worst))
    total, worst = min(rounds)
    characters = sum(map(len, pieces))
    return Cost(kind, len(pieces), characters, round(total * 1000, 1), round(worst * 1000, 1))
