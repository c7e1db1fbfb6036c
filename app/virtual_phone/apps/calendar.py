"""Calendar: one month, and the events of a day."""

from __future__ import annotations

from collections.abc import Callable

from app.virtual_phone.apps.app import Badge, Hand
from app.virtual_phone.state import Route
from app.virtual_phone.toolkit.controls import Key, KeyGrid
from app.virtual_phone.toolkit.rows import Header, Paragraph, ValueRow
from app.virtual_phone.toolkit.scene import Widget
from app.virtual_phone.toolkit.screen import Screen

DAYS = 30
COLUMNS = 6


class CalendarApp:
    badge = Badge("org.phonepilot.calendar", "Calendar", "calendar", (211, 47, 47))

    def screen(self, hand: Hand, route: Route) -> Screen:
        events = hand.state.calendar
        if route.name == "day":
            found: list[Widget] = [
                ValueRow(event.title, f"{event.day} November", "calendar")
                for event in events
                if event.day == route.arg
            ]
            empty = Paragraph("Nothing on this day.", centered=True, padding=160)
            return Screen(f"{route.arg} November", found or [empty], back=hand.back)
        busy = {event.day for event in events}

        def opener(day: int) -> Callable[[], None]:
            return lambda: hand.open("day", day)

        days = [Key(str(day), opener(day), strong=day in busy) for day in range(1, DAYS + 1)]
        weeks = tuple(tuple(days[i : i + COLUMNS]) for i in range(0, DAYS, COLUMNS))
        body: list[Widget] = [Header("November"), KeyGrid(weeks, 184, text_size=48), Header("Next")]
        body += [ValueRow(e.title, f"{e.day} November", "calendar") for e in events[:3]]
        return Screen("Calendar", body, route.scroll)

    def leave(self, hand: Hand, route: Route) -> None:
        """Nothing is kept."""
