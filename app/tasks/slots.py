"""Which of the engine's slots a phone's task uses: its own, where its prompt is in the cache."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Slots:
    """`count` slots of one engine, given to one task each at a time."""

    def __init__(self, count: int) -> None:
        self._free = [*range(count)]
        """The one that was used longest ago first."""
        self._last: dict[str, int] = {}

    @contextmanager
    def hold(self, phone: str) -> Iterator[int | None]:
        """A slot while the block runs, the one that the phone had before when it is free; None when
        all are taken, and then the engine chooses."""
        if not self._free:
            yield None
            return
        slot = self._last.get(phone, self._free[0])
        if slot not in self._free:
            slot = self._free[0]
        self._free.remove(slot)
        self._last[phone] = slot
        try:
            yield slot
        finally:
            self._free.append(slot)
