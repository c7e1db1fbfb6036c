"""The interface between an app of the virtual phone and the phone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from app.virtual_phone.display import Color
from app.virtual_phone.state import PhoneState, Route
from app.virtual_phone.toolkit.scene import Scene
from app.virtual_phone.toolkit.screen import Screen


class Hand(Protocol):
    """The phone as an app sees it. Only the phone itself implements it."""

    state: PhoneState

    def open(self, name: str, arg: int = 0) -> None:
        """Push a screen of the foreground app."""

    def back(self) -> None:
        """Leave the top screen, or the app if it is the last one."""

    def launch(self, package: str) -> bool:
        """Bring an app to the front."""

    def ask(self, name: str, arg: int = 0) -> None:
        """Show the app's dialog of that name."""

    def dismiss(self) -> None:
        """Close the dialog."""

    def focus(self, field: str | None) -> None:
        """Give a text field the keyboard, or take it away."""

    def cover(self, package: str) -> None:
        """Show the small window of another app over this one; "" removes it."""

    def install(self, package: str) -> None:
        """Install an app."""

    def now(self) -> float:
        """The phone's clock, in seconds since the epoch."""


@dataclass(frozen=True)
class Badge:
    """An app's component, label, and icon on the home screen."""

    package: str
    label: str
    icon: str
    color: Color
    activity: str = ".MainActivity"
    further: tuple[tuple[str, str], ...] = ()
    """(name of a route, activity) for the screens with an activity of their own."""

    def at(self, route: Route) -> Badge:
        """Return the badge with the activity that shows `route`."""
        return replace(self, activity=dict(self.further).get(route.name, self.activity))


class App(Protocol):
    @property
    def badge(self) -> Badge: ...

    def screen(self, hand: Hand, route: Route) -> Screen:
        """Build the screen of `route` from the phone's state."""

    def leave(self, hand: Hand, route: Route) -> None:
        """Called when `route` is about to be closed: the place to save a draft."""


class Cover(Protocol):
    """A small window of one app over the screen of another, with the focus."""

    @property
    def badge(self) -> Badge: ...

    def shown(self, hand: Hand) -> bool:
        """Whether it is visible now, if an app is in front."""

    def paint(self, scene: Scene, hand: Hand) -> None:
        """Draw it over the app; nothing below it can be touched any more."""

    def back(self, hand: Hand) -> None:
        """The back key was pressed."""
