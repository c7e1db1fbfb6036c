"""Downloads: a file that is an app, and the system's installer that opens it."""

from __future__ import annotations

from app.virtual_phone.apps.app import Badge, Hand
from app.virtual_phone.state import Route
from app.virtual_phone.toolkit.controls import Key, KeyGrid
from app.virtual_phone.toolkit.rows import LinkRow, Paragraph, ValueRow
from app.virtual_phone.toolkit.scene import Widget
from app.virtual_phone.toolkit.screen import Screen

PACKAGE = "org.phonepilot.downloads"
INSTALLER = "com.android.packageinstaller"
OFFERED = "org.example.torch"
"""The package in the downloaded file."""


class DownloadsApp:
    badge = Badge(PACKAGE, "Downloads", "picture", (0, 137, 123))

    def screen(self, hand: Hand, route: Route) -> Screen:
        rows: list[Widget] = [
            ValueRow("timetable.pdf", "212 kB", "note"),
            LinkRow("torch-2.1.apk", lambda: _open(hand), "3.4 MB", "gear"),
            ValueRow("ticket.png", "88 kB", "picture"),
        ]
        return Screen("Downloads", rows, route.scroll)

    def leave(self, hand: Hand, route: Route) -> None:
        """Nothing is kept."""


class InstallerApp:
    """The activity has the same name as AOSP's `packages/PackageInstaller`."""

    badge = Badge(
        INSTALLER, "Package installer", "gear", (95, 108, 128), ".PackageInstallerActivity"
    )

    def screen(self, hand: Hand, route: Route) -> Screen:
        def back() -> None:
            hand.launch(PACKAGE)

        if OFFERED in hand.state.installed:
            done = Paragraph("App installed.", centered=True, padding=200)
            button = Key("Done", back, strong=True)
            return Screen("Torch", [done], footer=[KeyGrid(((button,),), 200, text_size=52)])
        text = Paragraph("Do you want to install this app?", centered=True, padding=200)
        buttons = (
            Key("Cancel", back),
            Key("Install", lambda: hand.install(OFFERED), strong=True),
        )
        return Screen("Torch", [text], footer=[KeyGrid((buttons,), 200, text_size=52)])

    def leave(self, hand: Hand, route: Route) -> None:
        """An installed app stays."""


def _open(hand: Hand) -> None:
    hand.launch(INSTALLER)
