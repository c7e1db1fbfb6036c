"""Contacts: a list and a card."""

from __future__ import annotations

from collections.abc import Callable

from app.virtual_phone.apps.app import Badge, Hand
from app.virtual_phone.state import Route
from app.virtual_phone.toolkit.rows import LinkRow, Paragraph, ValueRow
from app.virtual_phone.toolkit.scene import Widget
from app.virtual_phone.toolkit.screen import Screen


class ContactsApp:
    badge = Badge("org.phonepilot.contacts", "Contacts", "person", (57, 106, 220))

    def screen(self, hand: Hand, route: Route) -> Screen:
        contacts = hand.state.contacts
        if route.name == "card":
            contact = contacts[route.arg]
            card: list[Widget] = [
                Paragraph(contact.name, size=84, centered=True, bold=True, padding=80),
                ValueRow("Mobile", contact.phone),
            ]
            return Screen("Contact", card, route.scroll, back=hand.back)

        def opener(index: int) -> Callable[[], None]:
            return lambda: hand.open("card", index)

        rows: list[Widget] = [
            LinkRow(contact.name, opener(index), contact.phone, "person")
            for index, contact in enumerate(contacts)
        ]
        return Screen("Contacts", rows, route.scroll)

    def leave(self, hand: Hand, route: Route) -> None:
        """Nothing is kept."""
