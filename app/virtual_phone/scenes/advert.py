"""An advert that covers whatever app is in front, and reappears some time after it was closed.

Its package is in front while it is visible, as with the full-screen adverts of advertising
libraries.
"""

from __future__ import annotations

from app.virtual_phone.apps.app import Badge, Hand
from app.virtual_phone.toolkit.card import Card
from app.virtual_phone.toolkit.controls import Key
from app.virtual_phone.toolkit.scene import Scene

PACKAGE = "org.phonepilot.adverts"
AGAIN_S = 30.0
"""Seconds of the phone's clock from closing one advert to the next."""


class Advert:
    """The first advert appears with the first app in front."""

    badge = Badge(PACKAGE, "Advert", "picture", (194, 24, 91), ".AdvertActivity")

    def shown(self, hand: Hand) -> bool:
        due = hand.state.ui.advert_due
        return due is None or due <= hand.now()

    def paint(self, scene: Scene, hand: Hand) -> None:
        def follow() -> None:
            hand.state.deeds.adverts_followed += 1
            self._put_off(hand)

        text = "Castle of Coins\nFive million players. Play now!"
        button = Key("Play now", follow, strong=True)
        Card(text, (button,), "sun", (194, 24, 91), lambda: self.back(hand)).paint(scene)

    def back(self, hand: Hand) -> None:
        hand.state.deeds.adverts_closed += 1
        self._put_off(hand)

    def _put_off(self, hand: Hand) -> None:
        hand.state.ui.advert_due = hand.now() + AGAIN_S
