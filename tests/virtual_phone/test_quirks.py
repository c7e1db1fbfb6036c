"""Quirks as values: reading them, changing them, saying what is wrong with one."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from app.cli.main import QUIRK_HELP
from app.errors import ConfigError
from app.virtual_phone import quirks
from app.virtual_phone.phone import KEY_WAKEUP, Phone
from app.virtual_phone.quirk_set import Quirks
from app.virtual_phone.quirk_values import Drops, Quirk
from app.virtual_phone.quirks import QUIRKS
from app.virtual_phone.seeding import shifted
from tests.phones import ROOT, PhoneProcess
from tests.virtual_phone.touch import with_quirks


@pytest.mark.parametrize(
    ("quirk", "text", "value"),
    [
        (quirks.ANDROID, "9", 9),
        (quirks.DISPLAYS, "", 2),
        (quirks.SECURE, "", "all"),
        (quirks.SECURE, "com.android.settings", "com.android.settings"),
        (quirks.NO_INJECT, "", 255),
        (quirks.NO_INJECT, "0", 0),
        (quirks.ASLEEP, "", "on"),
        (quirks.LOCKED, "", ""),
        (quirks.LOCKED, "0042", "0042"),
        (quirks.ADB_KEYBOARD_QUIRK, "api33", "api33"),
        (quirks.NO_CURSOR, "", "on"),
        (quirks.CURSOR_FIRST, "", "on"),
        (quirks.NO_INSTALL, "", "on"),
        (quirks.MAX_LENGTH, "", 10),
        (quirks.SLOW_SHELL, "0.25", 0.25),
        (quirks.DROP_SCREENCAP, "", Drops("middle", 1)),
        (quirks.DROP_SCREENCAP, "3", Drops("middle", 3)),
        (quirks.DROP_INPUT, "", Drops("after", 1)),
        (quirks.DROP_INPUT, "before:2", Drops("before", 2)),
        (quirks.CLOCK_JUMP, "-90", -90),
        (quirks.SIZE, "720x1600", (720, 1600)),
        (quirks.WORK_PROFILE, "", "org.phonepilot.notes"),
    ],
)
def test_a_text_becomes_a_value(quirk: Quirk[object], text: str, value: object) -> None:
    found = Quirks()
    assert found.get(quirk) is None
    found.change({quirk.name: text})
    assert found.get(quirk) == value
    found.change({quirk.name: None})
    assert found.get(quirk) is None
    assert found.texts() == {}


@pytest.mark.parametrize(
    "option",
    [
        "android",
        "android=7",
        "displays=3",
        "secure=x",
        "locked=12",
        "locked=12a4",
        "adbkeyboard=gone",
        "no-cursor=off",
        "max-length=-1",
        "slow-shell=-1",
        "slow-shell=nan",
        "drop-screencap=0",
        "drop-screencap=after",
        "drop-input=middle",
        "drop-input=after:x",
        "rotation=45",
        "size=720",
        "size=720x",
        "size=1x1",
        "density=0",
        "clock-jump=1.5",
        "rotation=",
    ],
)
def test_a_value_that_cannot_be_names_those_that_can(option: str) -> None:
    found = Quirks()
    with pytest.raises(ConfigError) as caught:
        found.add(option)
    assert option.partition("=")[0] in caught.value.message
    assert caught.value.hint
    assert found.texts() == {}


def test_a_drop_is_used_up() -> None:
    found = with_quirks("drop-input=before:2")
    assert found.take(quirks.DROP_INPUT) == "before"
    assert found.texts() == {"drop-input": "before:1"}
    assert found.take(quirks.DROP_INPUT) == "before"
    assert found.take(quirks.DROP_INPUT) is None


def test_every_bare_text_is_allowed_and_every_quirk_is_in_the_help() -> None:
    for name, quirk in QUIRKS.items():
        if quirk.bare is not None:
            quirk.read(quirk.bare)
        assert name in QUIRK_HELP


def test_without_quirks_nothing_is_changed() -> None:
    every = {name: "" if quirk.bare is not None else None for name, quirk in QUIRKS.items()}
    phone = Phone(7, with_quirks("adbkeyboard=missing", "locked"))
    phone.quirks.change(every)
    assert phone.state != Phone(7).state
    phone.quirks.change(dict.fromkeys(QUIRKS))
    assert phone.state == Phone(7).state
    assert phone.frame().tobytes() == Phone(7).frame().tobytes()


def test_an_owner_left_the_phone_asleep() -> None:
    phone = Phone(7, with_quirks("asleep", "locked"))
    assert not phone.state.power.awake
    assert phone.frame().getbbox() is None
    phone.press_key(KEY_WAKEUP)
    assert phone.state.power.awake and phone.keyguard.showing
    phone.reset(8)
    assert not phone.state.power.awake
    phone.quirks.change({"asleep": None})
    assert phone.state.power.awake


@pytest.mark.parametrize(
    ("seconds", "clock"), [(0, "23:59"), (60, "00:00"), (-86400, "23:59"), (59, "23:59")]
)
def test_the_shown_clock(seconds: int, clock: str) -> None:
    assert shifted("23:59", seconds) == clock


def test_the_control_port(virtual_phone: PhoneProcess) -> None:
    assert virtual_phone.change_quirks({}) == {}
    given: dict[str, str | float | None] = {
        "rotation": 90,
        "slow-shell": 0.5,
        "displays": True,
        "size": "720x1600",
    }
    wanted = {"rotation": "90", "slow-shell": "0.5", "displays": "2", "size": "720x1600"}
    assert virtual_phone.change_quirks(given) == wanted
    wrong: tuple[Any, ...] = (
        {"rotation": None, "size": "x"},
        {"nope": None},
        {"android": 13},
        ["size"],
        {"a": {}},
    )
    for bad in wrong:
        assert virtual_phone.http.post("/quirks", json=bad).status_code == 422
    answer = virtual_phone.http.post("/quirks", json={"nope": 1}).json()
    assert answer["error"] == "unknown quirk 'nope'"
    assert "half-open" in answer["hint"]
    assert virtual_phone.http.get("/quirks").json() == wanted
    virtual_phone.reset(7)
    assert virtual_phone.http.get("/quirks").json() == wanted
    assert virtual_phone.change_quirks(dict.fromkeys(given)) == {}


def test_the_command_line_names_the_known_quirks() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "app.virtual_phone", "--port", "0", "--quirk", "nope"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=20,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr.splitlines()[0] == "unknown quirk 'nope'"
    assert all(name in result.stderr for name in QUIRKS)


@pytest.mark.parametrize("seed", range(8))
def test_a_locked_phone_is_scattered_behind_its_lock(seed: int) -> None:
    phone, other = Phone(0, with_quirks("locked=4711")), Phone(0)
    for each in (phone, other):
        each.reset(seed, scatter=True)
    assert phone.state == other.state
    assert phone.keyguard.showing
