"""Settings: one long list of switches and sliders, and two sub-pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.virtual_phone.apps.app import Badge, Hand
from app.virtual_phone.state import Route
from app.virtual_phone.toolkit.rows import Header, LinkRow, SliderRow, SwitchRow, ValueRow
from app.virtual_phone.toolkit.scene import Widget
from app.virtual_phone.toolkit.screen import Screen


@dataclass(frozen=True)
class Switch:
    key: str
    title: str
    icon: str


@dataclass(frozen=True)
class Slider:
    key: str
    title: str
    icon: str
    top: int


GROUPS: tuple[tuple[str, tuple[Switch | Slider, ...]], ...] = (
    (
        "Network",
        (
            Switch("wifi", "Wi-Fi", "wifi"),
            Switch("bluetooth", "Bluetooth", "bluetooth"),
            Switch("airplane_mode", "Airplane mode", "airplane"),
            Switch("mobile_data", "Mobile data", "arrows"),
            Switch("hotspot", "Hotspot", "hotspot"),
            Switch("nfc", "NFC", "nfc"),
        ),
    ),
    (
        "Display",
        (
            Slider("brightness", "Brightness", "sun", 255),
            Switch("dark_theme", "Dark theme", "contrast"),
            Switch("night_light", "Night light", "moon"),
            Switch("auto_rotate", "Auto-rotate", "rotate"),
        ),
    ),
    (
        "Sound",
        (
            Slider("media_volume", "Media volume", "speaker", 15),
            Slider("ring_volume", "Ring volume", "bell", 15),
            Switch("do_not_disturb", "Do not disturb", "forbidden"),
        ),
    ),
    (
        "Device",
        (
            Switch("location", "Location", "pin"),
            Switch("battery_saver", "Battery saver", "battery"),
        ),
    ),
)

SWITCHES: tuple[Switch, ...] = tuple(
    item for _, items in GROUPS for item in items if isinstance(item, Switch)
)
NETWORKS = ("Harbour", "Library guest", "Linden 12", "Studio-5G")


class SettingsApp:
    badge = Badge("com.android.settings", "Settings", "gear", (95, 108, 128), ".Settings")

    def screen(self, hand: Hand, route: Route) -> Screen:
        if route.name == "networks":
            return self._networks(hand, route)
        if route.name == "about":
            return self._about(hand, route)
        return self._main(hand, route)

    def leave(self, hand: Hand, route: Route) -> None:
        """Every change is kept at once."""

    def _main(self, hand: Hand, route: Route) -> Screen:
        settings, size = hand.state.settings, hand.state.look.row_height

        def toggle(key: str) -> Callable[[], None]:
            return lambda: setattr(settings, key, not getattr(settings, key))

        def change(key: str) -> Callable[[int], None]:
            return lambda level: setattr(settings, key, level)

        body: list[Widget] = []
        for title, items in GROUPS:
            body.append(Header(title))
            for item in items:
                value = getattr(settings, item.key)
                if isinstance(item, Switch):
                    body.append(
                        SwitchRow(item.title, value, toggle(item.key), item.icon, size=size)
                    )
                else:
                    body.append(SliderRow(item.title, value, item.top, change(item.key), item.icon))
        body.append(Header("System"))
        body.append(
            LinkRow(
                "Saved networks",
                lambda: hand.open("networks"),
                f"{len(NETWORKS)} networks",
                "wifi",
                size=size,
            )
        )
        body.append(
            LinkRow("About phone", lambda: hand.open("about"), "Virtual Phone", "info", size=size)
        )
        return Screen("Settings", body, route.scroll)

    def _networks(self, hand: Hand, route: Route) -> Screen:
        size = hand.state.look.row_height
        rows: list[Widget] = [ValueRow(name, "Saved", "wifi", size) for name in NETWORKS]
        return Screen("Saved networks", rows, route.scroll, back=hand.back)

    def _about(self, hand: Hand, route: Route) -> Screen:
        size = hand.state.look.row_height
        rows: list[Widget] = [
            ValueRow("Device name", "Virtual Phone", size=size),
            ValueRow("Android version", "14", size=size),
            ValueRow("Build number", f"VP1A.{hand.state.seed:06d}", size=size),
        ]
        return Screen("About phone", rows, route.scroll, back=hand.back)
