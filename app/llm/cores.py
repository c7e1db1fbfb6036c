"""How many threads llama.cpp should get."""

from __future__ import annotations

import os
from pathlib import Path

_TOPOLOGY = Path("/sys/devices/system/cpu")


def engine_threads(configured: int) -> int:
    """`configured`, or for 0 the physical cores that this process may use less one, at least 1.

    llama.cpp's threads spin while they wait for each other: with one thread per core and anything
    else running, each token waits for the slowest.
    """
    return configured or max(1, _physical_cores() - 1)


def _physical_cores() -> int:
    logical = os.cpu_count() or 1
    if not hasattr(os, "sched_getaffinity"):
        return logical  # macOS on ARM and most Windows laptops of today: near enough
    cores = set()
    for cpu in os.sched_getaffinity(0):
        siblings = _TOPOLOGY / f"cpu{cpu}/topology/thread_siblings_list"
        try:
            cores.add(siblings.read_text(encoding="ascii").strip())
        except OSError:
            cores.add(str(cpu))  # no topology, as in some containers: count the CPU itself
    return len(cores)
