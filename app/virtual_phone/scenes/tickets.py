"""Tickets: a button without effect, as when a server behind an app is down."""

from __future__ import annotations

from app.virtual_phone.apps.app import Badge, Hand
from app.virtual_phone.state import Route
from app.virtual_phone.toolkit.controls import Key, KeyGrid
from app.virtual_phone.toolkit.rows import Header, Paragraph, ValueRow
from app.virtual_phone.toolkit.scene import Widget
from app.virtual_phone.toolkit.screen import Screen

PACKAGE = "org.phonepilot.tickets"


class TicketsApp:
    badge = Badge(PACKAGE, "Tickets", "note", (0, 121, 107))

    def screen(self, hand: Hand, route: Route) -> Screen:
        body: list[Widget] = [
            Header("Next journey"),
            ValueRow("Berlin - Prague", "Friday, 8:10, platform 4", "pin"),
            ValueRow("Seat", "Coach 21, seat 64", "person"),
            Paragraph("Check in to be let on the train without a stop at the desk."),
        ]
        button = KeyGrid(((Key("Check in", _nothing, strong=True),),), 200, text_size=52)
        return Screen("Tickets", body, route.scroll, footer=[button])

    def leave(self, hand: Hand, route: Route) -> None:
        """Nothing is kept."""


def _nothing() -> None:
    """Ignore the press, without any visible reaction."""
