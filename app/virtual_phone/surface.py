"""The phone as the modules for touches, painting and the panel see it."""

from __future__ import annotations

from typing import Any, Protocol

from PIL import Image

from app.virtual_phone.apps.app import Badge, Cover, Hand
from app.virtual_phone.keyguard import Keyguard
from app.virtual_phone.roster import Roster
from app.virtual_phone.state import Route, Ui
from app.virtual_phone.toolkit.scene import Scene


class Surface(Hand, Protocol):
    """What is on the screen now, and what a touch can change. Implemented by `Phone`."""

    keyguard: Keyguard
    roster: Roster

    @property
    def ui(self) -> Ui: ...

    @property
    def at_home(self) -> bool: ...

    @property
    def foreground(self) -> Badge: ...

    @property
    def packages(self) -> tuple[Badge, ...]: ...

    @property
    def covering(self) -> Cover | None: ...

    @property
    def keyboard_shown(self) -> bool: ...

    def scene(self) -> Scene: ...

    def frame(self) -> Image.Image: ...

    def route(self) -> Route: ...

    def go_home(self) -> None: ...

    def tap(self, x: float, y: float) -> None: ...

    def insert(self, text: str) -> bool: ...

    def erase(self) -> None: ...

    def log(self, kind: str, **data: Any) -> None: ...

    def changed(self) -> None: ...
