"""Timetable: a list that ends without the train that somebody is looking for."""

from __future__ import annotations

from app.virtual_phone.apps.app import Badge, Hand
from app.virtual_phone.state import Route
from app.virtual_phone.toolkit.rows import Header, Paragraph, ValueRow
from app.virtual_phone.toolkit.scene import Widget
from app.virtual_phone.toolkit.screen import Screen

PACKAGE = "org.phonepilot.timetable"
TRAINS = (
    ("6:42", "Hamburg", 3),
    ("7:15", "Leipzig", 1),
    ("8:10", "Prague", 4),
    ("9:02", "Munich", 7),
    ("9:48", "Rostock", 2),
    ("11:20", "Cologne", 5),
    ("12:36", "Dresden", 1),
    ("14:05", "Basel", 6),
    ("15:31", "Frankfurt", 3),
    ("17:10", "Hanover", 2),
    ("18:44", "Leipzig", 1),
    ("20:03", "Hamburg", 3),
    ("21:55", "Magdeburg", 5),
)
"""Departure, destination, platform. No train goes to Vienna."""


class TimetableApp:
    badge = Badge(PACKAGE, "Timetable", "clock", (103, 80, 164))

    def screen(self, hand: Hand, route: Route) -> Screen:
        rows: list[Widget] = [
            ValueRow(f"{time}  {place}", f"Platform {platform}", "arrows")
            for time, place, platform in TRAINS
        ]
        end = Paragraph("No more departures today.", centered=True, padding=80)
        return Screen("Timetable", [Header("All departures"), *rows, end], route.scroll)

    def leave(self, hand: Hand, route: Route) -> None:
        """Nothing is kept."""
