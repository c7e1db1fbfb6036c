"""Music: a list of tracks and a player below it."""

from __future__ import annotations

from collections.abc import Callable

from app.virtual_phone.apps.app import Badge, Hand
from app.virtual_phone.state import Route
from app.virtual_phone.toolkit.controls import Key, KeyGrid
from app.virtual_phone.toolkit.rows import LinkRow, Paragraph
from app.virtual_phone.toolkit.scene import Widget
from app.virtual_phone.toolkit.screen import Screen


class MusicApp:
    badge = Badge("org.phonepilot.music", "Music", "music", (142, 36, 170))

    def screen(self, hand: Hand, route: Route) -> Screen:
        music = hand.state.music

        def select(index: int) -> Callable[[], None]:
            def play() -> None:
                music.track, music.playing = index, True

            return play

        def step(by: int) -> Callable[[], None]:
            def move() -> None:
                music.track = (music.track + by) % len(music.tracks)

            return move

        def toggle() -> None:
            music.playing = not music.playing

        rows: list[Widget] = [
            LinkRow(title, select(index), "Playing" if index == music.track else "", "music")
            for index, title in enumerate(music.tracks)
        ]
        middle = (
            Key("Pause", toggle, "pause", strong=True)
            if music.playing
            else Key("Play", toggle, "play", strong=True)
        )
        player = KeyGrid(
            ((Key("Previous", step(-1), "previous"), middle, Key("Next", step(1), "next")),), 220
        )
        now = Paragraph(music.tracks[music.track], size=52, centered=True, bold=True)
        return Screen("Music", rows, route.scroll, footer=[now, player])

    def leave(self, hand: Hand, route: Route) -> None:
        """The music continues."""
