"""The apps on the phone: always those of the catalogue, and those of its scenes."""

from __future__ import annotations

from app.virtual_phone.apps import launcher
from app.virtual_phone.apps.app import App, Badge, Cover
from app.virtual_phone.apps.catalogue import APPS
from app.virtual_phone.quirk_set import Quirks
from app.virtual_phone.quirks import SCENE
from app.virtual_phone.scenes.catalogue import SCENES, Cast


class Roster:
    """The phone's apps and the windows that may cover them, according to its quirks."""

    def __init__(self, quirks: Quirks) -> None:
        self._quirks = quirks

    @property
    def _casts(self) -> list[Cast]:
        return [SCENES[name] for name in self._quirks.get(SCENE) or ()]

    @property
    def apps(self) -> dict[str, App]:
        """By package."""
        casts = self._casts
        if not casts:
            return APPS
        return {**APPS, **{app.badge.package: app for cast in casts for app in cast.apps}}

    @property
    def covers(self) -> list[Cover]:
        """From the topmost one down."""
        return [cover for cast in self._casts for cover in cast.covers]

    @property
    def badges(self) -> tuple[Badge, ...]:
        """The apps that can be started, the launcher first."""
        return (launcher.BADGE, *(app.badge for app in self.apps.values()))
