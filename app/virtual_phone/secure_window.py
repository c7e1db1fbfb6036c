"""Hides what programs may not capture: the windows of apps that forbid screenshots."""

from __future__ import annotations

from PIL import Image

from app.virtual_phone.display import HEIGHT, NAVIGATION_BAR, STATUS_BAR, WIDTH
from app.virtual_phone.phone import Phone
from app.virtual_phone.quirks import SECURE


def is_secret(phone: Phone) -> bool:
    """Whether the app in front forbids screenshots (FLAG_SECURE)."""
    secret = phone.quirks.get(SECURE)
    return phone.foreground.package == secret or (secret == "all" and not phone.at_home)


def capture(phone: Phone) -> Image.Image:
    """Return the picture for `screencap`: the display without secure windows.

    The window of a FLAG_SECURE app is black between the two bars, without any message.
    """
    screen = phone.frame()
    if is_secret(phone) and phone.state.power.awake and not phone.keyguard.showing:
        screen = screen.copy()
        screen.paste((0, 0, 0), (0, STATUS_BAR, WIDTH, HEIGHT - NAVIGATION_BAR))
    return phone.panel.picture(screen)
