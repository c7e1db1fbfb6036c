"""A phone's screen as a film: one picture after another, taken once for all who watch."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from app.agent.ports import Device
from app.errors import DeviceError

log = logging.getLogger(__name__)

BOUNDARY = "phonepilot-frame"
MAX_FPS = 10.0
KEEP_S = 2.0
"""The same picture is sent again after so long, so that a connection that is gone is noticed."""


@dataclass
class _Film:
    """The last picture of one phone in one size. `viewers` keep it going."""

    picture: bytes = b""
    number: int = 0
    viewers: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)
    job: asyncio.Task[None] | None = None


class LiveScreens:
    """`get` gives the phone of a serial as it may be shown; raises DeviceError."""

    def __init__(self, get: Callable[[str], Awaitable[Device]]) -> None:
        self.get = get
        self._films: dict[tuple[str, int], _Film] = {}
        self._closed = False

    async def watch(self, serial: str, max_side: int, fps: float) -> AsyncIterator[bytes]:
        """Parts of a multipart/x-mixed-replace body, until the phone is gone."""
        film = self._films.setdefault((serial, max_side), _Film())
        film.viewers += 1
        if film.job is None:
            film.job = asyncio.create_task(self._take(serial, max_side, film))
        try:
            sent, clock = -1, asyncio.get_running_loop().time
            while not self._closed:
                begun = clock()
                news = film.news
                if film.number == sent:
                    await _news_or_time(news)
                if film.job.done():
                    return
                if film.picture:
                    sent = film.number
                    yield _part(film.picture)
                await asyncio.sleep(max(0.0, begun + 1 / fps - clock()))
        finally:
            film.viewers -= 1
            if not film.viewers:
                self._end(serial, max_side, film)

    async def _take(self, serial: str, max_side: int, film: _Film) -> None:
        clock, seen = asyncio.get_running_loop().time, b""
        try:
            while True:
                begun = clock()
                frame = await (await self.get(serial)).screenshot()
                if frame.fingerprint() != seen:
                    seen = frame.fingerprint()
                    film.picture = await asyncio.to_thread(frame.jpeg, max_side)
                    film.number += 1
                    _wake(film)
                await asyncio.sleep(max(0.0, begun + 1 / MAX_FPS - clock()))
        except DeviceError as exc:
            log.info("the film of %s ends: %s", serial, exc.message)
        except Exception:
            log.exception("the film of %s ends", serial)
        finally:
            _wake(film)

    def _end(self, serial: str, max_side: int, film: _Film) -> None:
        if film.job is not None:
            film.job.cancel()
        self._films.pop((serial, max_side), None)

    def close(self) -> None:
        """End every film, which would hold the service up."""
        self._closed = True
        for film in self._films.values():
            _wake(film)


def _wake(film: _Film) -> None:
    news, film.news = film.news, asyncio.Event()
    news.set()


async def _news_or_time(news: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(KEEP_S):
            await news.wait()
    except TimeoutError:
        return


def _part(picture: bytes) -> bytes:
    head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
    return head.encode() + picture + b"\r\n"
