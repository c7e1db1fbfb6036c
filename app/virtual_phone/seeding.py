"""Derives a phone's state from a number: the same seed always gives the same phone."""

from __future__ import annotations

import hashlib
import random

from app.virtual_phone.apps import launcher
from app.virtual_phone.apps.catalogue import APPS
from app.virtual_phone.apps.settings import SWITCHES
from app.virtual_phone.state import (
    Alarm,
    Contact,
    Event,
    InputMethod,
    Look,
    Music,
    Note,
    PhoneState,
    Power,
    Settings,
    Ui,
)

ADB_KEYBOARD = "com.android.adbkeyboard/.AdbIME"
LATIN_KEYBOARD = "org.phonepilot.keyboard/.LatinIME"

NOTES = (
    ("Groceries", "Oats\nApples\nCoffee"),
    ("Ideas", "A lamp that follows the sun"),
    ("Books", "The Left Hand of Darkness"),
    ("Trip", "Train at 8:10, platform 4"),
    ("Garden", "Water the tomatoes on Friday"),
    ("Gift list", "Scarf for Ada"),
    ("Recipe", "Flour, salt, water, patience"),
    ("Workout", "Three rounds, rest a minute"),
    ("Meeting", "Ask about the March figures"),
)
NAMES = (
    "Ada Brandt",
    "Ben Okafor",
    "Chloé Martin",
    "Dmitri Orlov",
    "Elif Kaya",
    "Farid Haddad",
    "Grace Lin",
    "Hugo Silva",
    "Ines Weber",
    "Jonas Berg",
    "Kiran Rao",
    "Lena Novak",
    "Mateo Cruz",
    "Noor Aziz",
)
TRACKS = (
    "Paper Boats",
    "Slow Lightning",
    "Northern Platform",
    "Copper Sky",
    "Half a Morning",
    "Quiet Engines",
    "Seven Bridges",
    "Lemon Tree Road",
)
EVENTS = ("Dentist", "Team lunch", "Piano lesson", "Car service", "Concert", "Call with Ines")


def hardware_serial(seed: int, port: int = 0) -> str:
    """Return the serial (`ro.serialno`) of the phone on that port: no two phones share one."""
    return "VP" + hashlib.sha256(f"{seed} {port}".encode()).hexdigest()[:10].upper()


def seeded_state(seed: int) -> PhoneState:
    """Return the state of a phone that was just unlocked and shows its first home page."""
    choose = random.Random(f"virtual phone {seed}")
    return PhoneState(
        seed=seed,
        look=_look(choose),
        settings=_settings(choose),
        notes=[
            Note(id=number + 1, title=title, body=body)
            for number, (title, body) in enumerate(choose.sample(NOTES, choose.randint(2, 7)))
        ],
        contacts=[
            Contact(name=name, phone=f"+49 30 {choose.randint(1_000_000, 9_999_999)}")
            for name in sorted(choose.sample(NAMES, choose.randint(5, 12)))
        ],
        alarms=[
            Alarm(
                time=f"{choose.randint(5, 9):02d}:{choose.choice((0, 15, 30, 45)):02d}",
                on=choose.random() < 0.5,
            )
            for _ in range(choose.randint(1, 3))
        ],
        calendar=sorted(
            (
                Event(day=choose.randint(1, 30), title=title)
                for title in choose.sample(EVENTS, choose.randint(2, 5))
            ),
            key=lambda event: event.day,
        ),
        music=Music(tracks=choose.sample(TRACKS, choose.randint(4, 8))),
        home=_home(choose),
        power=Power(),
        ime=InputMethod(
            current=LATIN_KEYBOARD,
            enabled=[LATIN_KEYBOARD, ADB_KEYBOARD],
            available=[LATIN_KEYBOARD, ADB_KEYBOARD],
        ),
        ui=Ui(foreground=launcher.BADGE.package),
    )


def _look(choose: random.Random) -> Look:
    return Look(
        wallpaper=choose.randrange(6),
        accent=choose.randrange(6),
        font_scale=choose.choice((0.9, 1.0, 1.0, 1.1, 1.15)),
        row_height=choose.choice((164, 176, 188, 200)),
        clock=f"{choose.randint(0, 23):02d}:{choose.randint(0, 59):02d}",
        battery=choose.randint(15, 100),
    )


def _settings(choose: random.Random) -> Settings:
    return Settings(
        brightness=choose.randint(20, 250),
        media_volume=choose.randint(0, 15),
        ring_volume=choose.randint(0, 15),
        **{switch.key: choose.random() < 0.5 for switch in SWITCHES},
    )


def _home(choose: random.Random) -> list[list[str]]:
    """Return one or two pages; the apps are in random slots, in random order."""
    packages = list(APPS)
    choose.shuffle(packages)
    pages = choose.choice((1, 2, 2))
    cut = len(packages) if pages == 1 else choose.randint(3, len(packages) - 2)
    home = []
    for group in (packages[:cut], packages[cut:]):
        if group:
            slots = [""] * (launcher.COLUMNS * launcher.ROWS)
            for slot, package in zip(
                sorted(choose.sample(range(len(slots)), len(group))), group, strict=True
            ):
                slots[slot] = package
            home.append(slots)
    return home


def shifted(clock: str, seconds: int) -> str:
    """Return `HH:MM` shifted by this many seconds, wrapping at midnight."""
    hours, minutes = (int(part) for part in clock.split(":"))
    total = (hours * 3600 + minutes * 60 + seconds) // 60 % 1440
    return f"{total // 60:02d}:{total % 60:02d}"
