"""Leaves a phone on a random screen, as its owner may have."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from app.virtual_phone.apps.catalogue import APPS

if TYPE_CHECKING:
    from app.virtual_phone.surface import Surface


def scatter_about(phone: Surface, choose: random.Random) -> None:
    """Open, tap and scroll something; nothing lasting is changed, except the music."""
    place = choose.random()
    if place < 0.25:
        phone.ui.home_page = choose.randrange(len(phone.state.home))
        return
    package = "com.android.settings" if place < 0.6 else choose.choice(list(APPS))
    phone.launch(package)
    for _ in range(choose.randint(0, 2)):
        spots = [s for s in phone.scene().spots if s.kind in ("link", "tile", "field")]
        if spots and choose.random() < 0.4:
            phone.tap(*choose.choice(spots).rect.center)
        elif scene_range := phone.scene().scroll_range:
            phone.route().scroll = choose.randint(0, scene_range)
            phone.changed()
    if package != "com.android.settings" and choose.random() < 0.3:
        phone.launch("com.android.settings")
