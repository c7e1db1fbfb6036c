"""Where things lie on a page once it is at rest."""

from __future__ import annotations

import asyncio

from playwright.async_api import FloatRect, Locator

REST_S = 10.0
LOOK_AGAIN_S = 0.05


async def boxes(*parts: Locator) -> list[FloatRect]:
    """The boxes of `parts` in CSS pixels, as soon as two looks in a row find them in one place.

    A redraw takes elements off the page for a moment, and a picture that loads moves its
    neighbours.
    """
    before: list[FloatRect | None] = []
    async with asyncio.timeout(REST_S):
        while True:
            now = [await part.bounding_box() for part in parts]
            found = [box for box in now if box is not None]
            if now == before and len(found) == len(parts):
                return found
            before = now
            await asyncio.sleep(LOOK_AGAIN_S)
