"""Recorder: an app that needs the microphone, and the system's permission dialog.

The dialog is an activity of another package, as on Android 10 and later (AOSP
`packages/modules/Permission`, `GrantPermissionsActivity`).
"""

from __future__ import annotations

from collections.abc import Callable

from app.virtual_phone.apps.app import Badge, Hand
from app.virtual_phone.state import Route
from app.virtual_phone.toolkit.card import Card
from app.virtual_phone.toolkit.controls import Key, KeyGrid
from app.virtual_phone.toolkit.rows import Paragraph
from app.virtual_phone.toolkit.scene import Scene
from app.virtual_phone.toolkit.screen import Screen

PACKAGE = "org.phonepilot.recorder"
CONTROLLER = "com.android.permissioncontroller"
PERMISSION = f"{PACKAGE}/android.permission.RECORD_AUDIO"


class RecorderApp:
    badge = Badge(PACKAGE, "Recorder", "microphone", (211, 47, 47))

    def screen(self, hand: Hand, route: Route) -> Screen:
        deeds = hand.state.deeds

        def record() -> None:
            if deeds.permissions.get(PERMISSION):
                deeds.recordings += 1
            else:
                hand.cover(CONTROLLER)

        label = f"Recordings: {deeds.recordings}"
        button = KeyGrid(((Key("Record", record, strong=True),),), 200, text_size=52)
        text = Paragraph(label, centered=True, padding=200)
        return Screen("Recorder", [text], route.scroll, footer=[button])

    def leave(self, hand: Hand, route: Route) -> None:
        """The recordings are kept."""


class PermissionDialog:
    badge = Badge(
        CONTROLLER,
        "Permission controller",
        "info",
        (95, 108, 128),
        ".permission.ui.GrantPermissionsActivity",
    )

    def shown(self, hand: Hand) -> bool:
        return hand.state.ui.cover == CONTROLLER

    def paint(self, scene: Scene, hand: Hand) -> None:
        def answer(granted: bool) -> Callable[[], None]:
            def give() -> None:
                deeds = hand.state.deeds
                deeds.permissions = {**deeds.permissions, PERMISSION: granted}
                deeds.recordings += granted
                hand.cover("")

            return give

        buttons = (
            Key("While using the app", answer(True)),
            Key("Only this time", answer(True)),
            Key("Don't allow", answer(False)),
        )
        Card("Allow Recorder to record audio?", buttons, "microphone").paint(scene)

    def back(self, hand: Hand) -> None:
        """Nothing is granted, and the question will be asked again."""
        hand.cover("")
