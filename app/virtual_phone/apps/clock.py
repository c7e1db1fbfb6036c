"""Clock: the time, the alarms, a stopwatch."""

from __future__ import annotations

from collections.abc import Callable

from app.virtual_phone.apps.app import Badge, Hand
from app.virtual_phone.state import Alarm, Route
from app.virtual_phone.toolkit.controls import Key, KeyGrid
from app.virtual_phone.toolkit.rows import Header, Paragraph, SwitchRow
from app.virtual_phone.toolkit.scene import Widget
from app.virtual_phone.toolkit.screen import Screen


class ClockApp:
    badge = Badge("org.phonepilot.clock", "Clock", "clock", (45, 55, 110))

    def screen(self, hand: Hand, route: Route) -> Screen:
        ui = hand.state.ui

        def toggle_stopwatch() -> None:
            ui.stopwatch_running = not ui.stopwatch_running

        label = "Pause" if ui.stopwatch_running else "Start"
        body: list[Widget] = [
            Paragraph(hand.state.look.clock, size=190, centered=True, padding=60),
            Header("Alarms"),
            *(
                SwitchRow(alarm.time, alarm.on, _toggler(alarm), "bell")
                for alarm in hand.state.alarms
            ),
            Header("Stopwatch"),
            Paragraph("00:00.0", size=90, centered=True),
            KeyGrid(((Key(label, toggle_stopwatch, strong=True),),), 180, text_size=52),
        ]
        return Screen("Clock", body, route.scroll)

    def leave(self, hand: Hand, route: Route) -> None:
        """Nothing is kept."""


def _toggler(alarm: Alarm) -> Callable[[], None]:
    def toggle() -> None:
        alarm.on = not alarm.on

    return toggle
