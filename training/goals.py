"""The sentences a person may say to the demo model, and what they mean."""

from __future__ import annotations

import random
from dataclasses import dataclass

from app.virtual_phone.apps.catalogue import APPS
from app.virtual_phone.apps.settings import SWITCHES


@dataclass(frozen=True)
class SwitchGoal:
    """A switch of the Settings app must be on, or off."""

    text: str
    key: str
    title: str
    want: bool


@dataclass(frozen=True)
class OpenGoal:
    """An app must be in front."""

    text: str
    package: str
    label: str


@dataclass(frozen=True)
class OtherGoal:
    """Something that the demo model was not taught; it must hand over instead of guessing."""

    text: str


Goal = SwitchGoal | OpenGoal | OtherGoal

ON = (
    "Turn on {x}",
    "Turn {x} on",
    "Switch on {x}",
    "Switch {x} on",
    "Enable {x}",
    "Activate {x}",
    "Please turn on {x}",
    "Make sure {x} is on",
    "I want {x} on",
    "Set {x} to on",
    "Can you turn {x} on?",
    "{x} on",
)
OFF = (
    "Turn off {x}",
    "Turn {x} off",
    "Switch off {x}",
    "Switch {x} off",
    "Disable {x}",
    "Deactivate {x}",
    "Please turn off {x}",
    "Make sure {x} is off",
    "I want {x} off",
    "Set {x} to off",
    "Can you turn {x} off?",
    "{x} off",
)
OPEN = (
    "Open {x}",
    "Open the {x} app",
    "Open {x} app",
    "Launch {x}",
    "Start {x}",
    "Go to {x}",
    "Show me {x}",
    "Please open {x}",
    "Bring up {x}",
    "Take me to the {x} app",
    "Can you open {x}?",
)
SYNONYMS: dict[str, tuple[str, ...]] = {
    "wifi": ("wifi", "Wifi", "wi-fi", "WiFi", "WLAN", "the Wi-Fi"),
    "bluetooth": ("bluetooth", "the Bluetooth"),
    "airplane_mode": ("airplane mode", "flight mode", "aeroplane mode", "Airplane Mode"),
    "mobile_data": ("mobile data", "cellular data", "Mobile Data"),
    "hotspot": ("hotspot", "the hotspot", "the Wi-Fi hotspot"),
    "nfc": ("nfc", "the NFC"),
    "dark_theme": ("dark theme", "dark mode", "the dark theme", "Dark mode"),
    "night_light": ("night light", "the night light"),
    "auto_rotate": ("auto-rotate", "auto rotate", "auto rotation"),
    "do_not_disturb": ("do not disturb", "DND", "Do Not Disturb", "do not disturb mode"),
    "location": ("location", "GPS", "the location"),
    "battery_saver": ("battery saver", "power saving", "the battery saver", "Battery Saver"),
}
OTHER = (
    "Order a pizza",
    "Send a message to {name}",
    "Call {name}",
    "Write a note about the garden",
    "Delete all notes",
    "Play {track}",
    "Set an alarm for 7:30",
    "What is the weather like?",
    "Buy a train ticket",
    "Set the brightness to maximum",
    "Set the volume to 5",
    "Take a photo",
    "Open WhatsApp",
    "Open Chrome",
    "Open Maps",
    "Launch YouTube",
    "Search the web for cats",
    "Turn on the flashlight",
    "Turn off the VPN",
    "Enable developer options",
    "Read my emails",
    "Add {name} to my contacts",
    "Translate this page",
    "Book a table for two",
    "How much is 12 times 7?",
    "Install a game",
    "Uninstall {name}",
    "Post a picture",
    "Change the wallpaper",
    "Pay the bill",
    "Find the cheapest shampoo",
    "Tell me a joke",
    "Update the phone",
    "Scroll down",
    "Hello",
    "Restart the phone",
    "Connect to the network Harbour",
    "Pause the music",
    "Turn on the heating",
    "Open the door",
)
NAMES = ("Ada", "Ben", "Farid", "Grace", "Mum", "Lena", "Noor", "my boss")
TRACKS = ("Paper Boats", "Copper Sky", "some music", "the next song")


def sample_switch_goal(choose: random.Random, *, want: bool | None = None) -> SwitchGoal:
    switch = choose.choice(SWITCHES)
    wanted = choose.random() < 0.5 if want is None else want
    return switch_goal(choose, switch.key, wanted)


def switch_goal(choose: random.Random, key: str, want: bool) -> SwitchGoal:
    title = next(switch.title for switch in SWITCHES if switch.key == key)
    name = title if choose.random() < 0.5 else choose.choice(SYNONYMS[key])
    template = choose.choice(ON if want else OFF)
    return SwitchGoal(_vary(choose, template.format(x=name)), key, title, want)


def open_goal(choose: random.Random, package: str) -> OpenGoal:
    label = APPS[package].badge.label
    name = label if choose.random() < 0.7 else label.lower()
    return OpenGoal(_vary(choose, choose.choice(OPEN).format(x=name)), package, label)


def sample_open_goal(choose: random.Random) -> OpenGoal:
    return open_goal(choose, choose.choice(list(APPS)))


def sample_goal(choose: random.Random) -> Goal:
    kind = choose.random()
    if kind < 0.06:
        text = choose.choice(OTHER).format(name=choose.choice(NAMES), track=choose.choice(TRACKS))
        return OtherGoal(_vary(choose, text))
    return sample_open_goal(choose) if kind < 0.5 else sample_switch_goal(choose)


def _vary(choose: random.Random, text: str) -> str:
    """What people do to a sentence: no capital, a full stop, an exclamation mark."""
    if choose.random() < 0.25:
        text = text[0].lower() + text[1:]
    if text[-1] not in "?." and choose.random() < 0.25:
        text += choose.choice((".", ".", "!", " please"))
    return text
