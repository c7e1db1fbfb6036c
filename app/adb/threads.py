"""Threads for calls that block until a phone or the adb server answers.

They are a pool of their own, and many: asyncio's default pool is sized by the number of processors,
and a few unresponsive phones would block all others.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

MOST = 256
_POOL = ThreadPoolExecutor(MOST, thread_name_prefix="adb")
"""A thread is started only if none is idle."""


def run_in_thread(work: Callable[[], T]) -> asyncio.Future[T]:
    """Start `work` in a thread; the future gets its result or exception.

    Cancelling the future does not stop the work.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():  # cancelled meanwhile
            return
        if error is None:
            future.set_result(result)  # type: ignore[arg-type]  # the result of the work
        else:
            future.set_exception(error)

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except BaseException as exc:
            error = exc
        with contextlib.suppress(RuntimeError):  # the loop has closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, error)

    _POOL.submit(run)
    return future
