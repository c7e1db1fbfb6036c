"""The whole state of a virtual phone as one typed tree.

Everything that a test or a bench checks is here. `ui` is where the person currently is (foreground
app, open screens, scroll positions, keyboard); everything else is what the person would still find
changed tomorrow, and `lasting()` returns exactly that part.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Node(BaseModel):
    model_config = ConfigDict(extra="forbid", validate_assignment=True)


class Look(Node):
    """The phone's appearance: fixed by the seed, never changed by a tap."""

    wallpaper: int = 0
    accent: int = 0
    font_scale: float = 1.0
    row_height: int = 176
    clock: str = "10:24"
    battery: int = 80
    carrier: str = "Virtual"


class Settings(Node):
    """The switches and sliders of the Settings app; levels go up to 255 or 15 as on Android."""

    wifi: bool = True
    bluetooth: bool = False
    airplane_mode: bool = False
    mobile_data: bool = True
    hotspot: bool = False
    nfc: bool = False
    dark_theme: bool = False
    night_light: bool = False
    auto_rotate: bool = False
    do_not_disturb: bool = False
    location: bool = True
    battery_saver: bool = False
    brightness: int = Field(default=128, ge=0, le=255)
    media_volume: int = Field(default=8, ge=0, le=15)
    ring_volume: int = Field(default=8, ge=0, le=15)


class Note(Node):
    id: int
    title: str
    body: str = ""


class Contact(Node):
    name: str
    phone: str


class Alarm(Node):
    time: str
    on: bool


class Event(Node):
    day: int
    title: str


class Music(Node):
    tracks: list[str] = []
    track: int = 0
    playing: bool = False


class Power(Node):
    awake: bool = True


class InputMethod(Node):
    """Keyboards by component id, as `ime list` prints them."""

    current: str
    enabled: list[str]
    available: list[str]


class Route(Node):
    """One open screen of an app: its name, its argument, and its scroll position in pixels."""

    name: str = "main"
    arg: int = 0
    scroll: int = 0


class Dialog(Node):
    """A question over the screen: its name and argument."""

    name: str
    arg: int = 0


class Ui(Node):
    foreground: str
    stacks: dict[str, list[Route]] = {}
    home_page: int = 0
    focus: str | None = None
    drafts: dict[str, str] = {}
    behind: int = 0
    """Characters of the focused field after its cursor."""
    selected: int = 0
    """Characters of the focused field that are selected, directly before its cursor."""
    dialog: Dialog | None = None
    keyboard_symbols: bool = False
    keyboard_shift: bool = False
    stopwatch_running: bool = False
    calculator: str = ""
    cover: str = ""
    """Package whose small window was requested over the app in front; "" if none was."""
    advert_due: float | None = None
    """When the next advert appears, in seconds of the phone's clock; None for at once."""


class Order(Node):
    items: list[str]
    cents: int


class Message(Node):
    to: str
    text: str


class Login(Node):
    package: str
    user: str
    password: str


class Deeds(Node):
    """What was done in the apps of scenes (`app.virtual_phone.scenes`); empty without them."""

    cart: list[str] = []
    orders: list[Order] = []
    """The paid orders."""
    sent: list[Message] = []
    logins: list[Login] = []
    permissions: dict[str, bool] = {}
    """By `PACKAGE/PERMISSION`: granted or denied; missing while nobody has answered."""
    recordings: int = 0
    adverts_closed: int = 0
    adverts_followed: int = 0


class PhoneState(Node):
    seed: int
    look: Look
    settings: Settings
    notes: list[Note]
    contacts: list[Contact]
    alarms: list[Alarm]
    calendar: list[Event]
    music: Music
    home: list[list[str]]
    power: Power
    ime: InputMethod
    system: dict[str, str] = {}
    clipboard: str | None = None
    """The text in the clipboard; None if it is empty."""
    installed: list[str] = []
    """Packages that were installed and have no screen."""
    deeds: Deeds = Field(default_factory=Deeds)
    ui: Ui

    def lasting(self) -> dict[str, Any]:
        """The state without `ui`: what must not change unintentionally."""
        return self.model_dump(exclude={"ui"})
