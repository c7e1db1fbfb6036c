"""Gallery: a grid of drawn pictures, and one of them large."""

from __future__ import annotations

import random
from collections.abc import Callable

from app.virtual_phone.apps.app import Badge, Hand
from app.virtual_phone.display import ACCENTS, Color
from app.virtual_phone.state import Route
from app.virtual_phone.toolkit.controls import Picture, Tile, TileGrid
from app.virtual_phone.toolkit.screen import Screen

MOTIFS = ("sun", "moon", "pin", "airplane", "person", "bell", "music", "picture")
PICTURES = 18


class GalleryApp:
    badge = Badge("org.phonepilot.gallery", "Gallery", "picture", (233, 90, 70))

    def screen(self, hand: Hand, route: Route) -> Screen:
        pictures = _pictures(hand.state.seed)
        if route.name == "picture":
            color, motif = pictures[route.arg]
            return Screen("Picture", [Picture(color, motif)], back=hand.back)

        def opener(index: int) -> Callable[[], None]:
            return lambda: hand.open("picture", index)

        tiles = tuple(
            Tile(f"Picture {index + 1}", color, motif, opener(index))
            for index, (color, motif) in enumerate(pictures)
        )
        return Screen("Gallery", [TileGrid(tiles)], route.scroll)

    def leave(self, hand: Hand, route: Route) -> None:
        """Nothing is kept."""


def _pictures(seed: int) -> list[tuple[Color, str]]:
    choose = random.Random(f"gallery {seed}")
    return [(choose.choice(ACCENTS), choose.choice(MOTIFS)) for _ in range(PICTURES)]
