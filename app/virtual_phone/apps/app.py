"""What an app of the virtual phone is, and what it may do to the phone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from app.virtual_phone.display import Color
from app.virtual_phone.state import PhoneState, Route
from app.virtual_phone.toolkit.screen import Screen


class Hand(Protocol):
    """What an app sees of the phone it runs on. Only the phone itself implements it."""

    state: PhoneState

    def open(self, name: str, arg: int = 0) -> None:
        """Push a screen of the foreground app."""

    def back(self) -> None:
        """Leave the top screen, or the app when it is the last."""

    def launch(self, package: str) -> bool:
        """Bring an app to the front."""

    def ask(self, name: str, arg: int = 0) -> None:
        """Show the app's dialog of that name."""

    def dismiss(self) -> None:
        """Take the dialog away."""

    def focus(self, field: str | None) -> None:
        """Give a text field the keyboard, or take it away."""


@dataclass(frozen=True)
class Badge:
    """How an app is known: component, label, and the icon on the home screen."""

    package: str
    label: str
    icon: str
    color: Color
    activity: str = ".MainActivity"

    @property
    def component(self) -> str:
        return f"{self.package}/{self.activity}"


class App(Protocol):
    @property
    def badge(self) -> Badge: ...

    def screen(self, hand: Hand, route: Route) -> Screen:
        """Build the screen of `route` from the phone's state."""

    def leave(self, hand: Hand, route: Route) -> None:
        """Called when `route` is about to be closed: the place to keep a draft."""
