"""A phone's screen for all its viewers: captured once, and encoded once per size.

The viewers of a phone share a loop that captures at the highest rate requested by any of them, and
only while somebody watches. Pictures are encoded in a separate thread, so that a hundred viewers
take at most one processor from the tasks.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_right
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from app.agent.screen import Frame
from app.errors import DeviceError
from app.tasks.ports import Phone

log = logging.getLogger(__name__)

BOUNDARY = "phonepilot-frame"
MAX_FPS = 10.0
KEEP_S = 2.0
"""Seconds after which an unchanged picture is sent again, to notice a closed connection."""
SIDES = (
    64,
    96,
    128,
    192,
    256,
    320,
    400,
    480,
    560,
    640,
    800,
    960,
    1200,
    1600,
    2000,
    2400,
    3200,
    4096,
)
"""The sizes of a stream, in pixels of the longer side: each size costs an encoding per picture."""
_TRIES = 3


@dataclass(eq=False)
class _Film:
    """The last picture of one phone. `rates` are the rates requested by its viewers, in pictures
    per second."""

    frame: Frame | None = None
    number: int = 0
    rates: list[float] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    joined: asyncio.Event = field(default_factory=asyncio.Event)
    job: asyncio.Task[None] | None = None


class LiveScreens:
    """`get` returns the phone of a serial as it may be shown now; raises DeviceError. `phone_of`
    returns the same value for all serials of one phone."""

    def __init__(
        self,
        get: Callable[[str], Awaitable[Phone]],
        phone_of: Callable[[str], Awaitable[str]] | None = None,
    ) -> None:
        self.get = get
        self._phone_of = phone_of
        self._films: dict[str, _Film] = {}
        self._encoded: WeakKeyDictionary[Frame, dict[int, asyncio.Future[bytes]]] = (
            WeakKeyDictionary()
        )
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="screens")
        self._closed = False

    async def frame(self, serial: str) -> Frame:
        """Return the current screen; raises DeviceError."""
        return await self._frame(serial, 0)

    async def jpeg(self, frame: Frame, max_side: int) -> bytes:
        """Encode the frame as JPEG of at most `max_side` pixels, once for all callers."""
        sizes = self._encoded.setdefault(frame, {})
        if max_side not in sizes:
            loop = asyncio.get_running_loop()
            sizes[max_side] = loop.run_in_executor(self._pool, frame.jpeg, max_side)
        return await asyncio.shield(sizes[max_side])

    async def watch(self, serial: str, max_side: int, fps: float) -> AsyncIterator[bytes]:
        """Yield the parts of a multipart/x-mixed-replace body, until the phone is gone.

        The pictures have the next smaller size of SIDES.
        """
        phone = await self._phone_of(serial) if self._phone_of else serial
        side = SIDES[max(0, bisect_right(SIDES, max_side) - 1)]
        film = self._films.setdefault(phone, _Film())
        film.rates.append(fps)
        film.joined.set()  # it may want pictures sooner than all others
        if film.job is None:
            film.job = asyncio.create_task(self._take(serial, film), name=f"film of {serial}")
        try:
            sent, clock = 0, asyncio.get_running_loop().time
            while not self._closed:
                begun = clock()
                if film.number == sent:
                    await _set_or_time(film.news, KEEP_S)
                if film.job.done() or self._closed:
                    return
                if film.frame is not None:
                    sent = film.number
                    yield _part(await self.jpeg(film.frame, side))
                await asyncio.sleep(max(0.0, begun + 1 / fps - clock()))
        finally:
            film.rates.remove(fps)
            if not film.rates:
                film.job.cancel()
                if self._films.get(phone) is film:
                    del self._films[phone]

    async def _take(self, serial: str, film: _Film) -> None:
        clock, seen = asyncio.get_running_loop().time, b""
        try:
            while film.rates:
                film.joined.clear()
                begun, pause = clock(), 1 / max(film.rates)
                frame = await self._frame(serial, pause / 2)
                if frame.fingerprint() != seen:
                    seen = frame.fingerprint()
                    film.frame = frame
                    film.number += 1
                    _wake(film)
                await _set_or_time(film.joined, begun + pause - clock())
        except DeviceError as exc:
            log.info("the film of %s ends: %s", serial, exc.message)
        except Exception:
            log.exception("the film of %s ends", serial)
        finally:
            _wake(film)

    async def _frame(self, serial: str, max_age_s: float) -> Frame:
        for _ in range(_TRIES):
            phone = await self.get(serial)
            frame = await phone.glimpse(max_age_s)
            if await self.get(serial) is phone:
                return frame
            # A task with secrets has begun or ended meanwhile: this frame may show too much.
        raise DeviceError(f"device {serial} changed hands again and again", "Look again.")

    def close(self) -> None:
        """End every stream; an open one would delay the service's shutdown."""
        self._closed = True
        for film in self._films.values():
            _wake(film)


def _wake(film: _Film) -> None:
    news, film.news = film.news, asyncio.Event()
    news.set()


async def _set_or_time(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _part(picture: bytes) -> bytes:
    head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
    return head.encode() + picture + b"\r\n"
