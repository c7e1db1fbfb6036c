"""Parcels: two help pages, each of which says that the answer is on the other one."""

from __future__ import annotations

from collections.abc import Callable

from app.virtual_phone.apps.app import Badge, Hand
from app.virtual_phone.state import Route
from app.virtual_phone.toolkit.rows import LinkRow, Paragraph
from app.virtual_phone.toolkit.scene import Widget
from app.virtual_phone.toolkit.screen import Screen

PACKAGE = "org.phonepilot.parcels"


class ParcelsApp:
    badge = Badge(PACKAGE, "Parcels", "arrows", (216, 92, 10))

    def screen(self, hand: Hand, route: Route) -> Screen:
        if route.name == "account":
            body: list[Widget] = [
                Paragraph("The address of a parcel is changed where the parcel is shown."),
                LinkRow("My parcels", _turner(hand, "main"), "Change the address there", "pin"),
            ]
            return Screen("Account", body, route.scroll)
        body = [
            Paragraph("1 parcel is on its way. Its address belongs to your account."),
            LinkRow("Account", _turner(hand, "account"), "Change the address there", "person"),
        ]
        return Screen("My parcels", body, route.scroll)

    def leave(self, hand: Hand, route: Route) -> None:
        """Nothing is kept."""


def _turner(hand: Hand, name: str) -> Callable[[], None]:
    """Show the other page in place of this one."""

    def turn() -> None:
        hand.state.ui.stacks[PACKAGE][-1] = Route(name=name)

    return turn
