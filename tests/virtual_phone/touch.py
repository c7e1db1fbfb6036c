"""What a person does with a virtual phone, by the names of the things on its screen."""

from __future__ import annotations

from app.virtual_phone.phone import Phone
from app.virtual_phone.quirk_set import Quirks
from app.virtual_phone.toolkit.scene import Spot

SETTINGS = "com.android.settings"
NOTES = "org.phonepilot.notes"
CALCULATOR = "org.phonepilot.calculator"
CLOCK = "org.phonepilot.clock"
CONTACTS = "org.phonepilot.contacts"
CALENDAR = "org.phonepilot.calendar"
MUSIC = "org.phonepilot.music"
GALLERY = "org.phonepilot.gallery"


def with_quirks(*options: str) -> Quirks:
    """Quirks from `NAME` and `NAME=VALUE`."""
    quirks = Quirks()
    for option in options:
        quirks.add(option)
    return quirks


def opened(package: str, seed: int = 7) -> Phone:
    """A phone with an app in front."""
    phone = Phone(seed)
    assert phone.launch(package)
    return phone


def spot(phone: Phone, kind: str, name: str) -> Spot:
    found = phone.scene().find(kind, name)
    seen = sorted({f"{s.kind}:{s.name}" for s in phone.scene().spots})
    assert found is not None, f"no {kind} {name!r} on the screen, but {seen}"
    return found


def tap(phone: Phone, kind: str, name: str) -> None:
    phone.tap(*spot(phone, kind, name).rect.center)


def names(phone: Phone, kind: str) -> list[str]:
    return [s.name for s in phone.scene().spots if s.kind == kind]


def title(phone: Phone) -> str:
    return names(phone, "title")[0]


def scroll_to(phone: Phone, kind: str, name: str) -> Spot:
    """Scroll from the top of the list until the spot is well in view."""
    route = phone.ui.stacks[phone.ui.foreground][-1]
    while route.scroll > 0:
        phone.swipe(540, 400, 540, 1800, 300)
    while True:
        found = phone.scene().find(kind, name)
        at_the_end = route.scroll == phone.scene().scroll_range
        if found is not None and (found.rect.bottom < 2200 or at_the_end):
            return found
        assert not at_the_end, f"no {kind} {name!r} in the whole list"
        phone.swipe(540, 1800, 540, 1400, 300)


def type_keys(phone: Phone, text: str) -> None:
    """Tap the keys of the on-screen keyboard, one by one."""
    for character in text:
        if character.isupper():
            tap(phone, "key", "Shift")
        tap(phone, "key", {" ": "Space", "\n": "Enter"}.get(character, character))
