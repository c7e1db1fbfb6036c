"""Quirks of what the phone says and refuses, through an unmodified `adb`."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator

import pytest

from app.adb import parse
from app.virtual_phone.seeding import ADB_KEYBOARD, LATIN_KEYBOARD
from app.virtual_phone.shell.packages import WORK_ONLY
from tests.phones import PhoneProcess
from tests.virtual_phone.conftest import Adb
from tests.virtual_phone.touch import NOTES, SETTINGS


@pytest.fixture(autouse=True)
def _as_new(virtual_phone: PhoneProcess) -> Iterator[None]:
    virtual_phone.reset(7)
    yield
    assert virtual_phone.change_quirks({}) == {}


def out(adb: Adb, *command: str) -> str:
    result = adb("shell", *command)
    assert (result.returncode, result.stderr) == (0, b"")
    return result.stdout.decode()


def draft(phone: PhoneProcess) -> str:
    return str(phone.state()["ui"]["drafts"].get("notes.title", ""))


# -- versions

FULL, SHORT = f"{NOTES}/{NOTES}.MainActivity", f"{NOTES}/.MainActivity"


@pytest.mark.parametrize(
    ("version", "command", "there", "absent"),
    [
        (9, "window windows", f"mCurrentFocus=Window{{41b3757 u0 {FULL}}}", "topResumed"),
        (9, "window windows", f"u0 {SHORT} t57}}}}}}", "mCurrentRotation"),
        (9, "window displays", "mRotation=0 ", "mCurrentFocus"),
        (9, "activity activities", "mResumedActivity: ActivityRecord{", "topResumedActivity"),
        (10, "window windows", "Window #0", "mCurrentFocus"),
        (10, "window displays", f"mFocusedApp=ActivityRecord{{5f1c6ee u0 {SHORT} t57}}", "AppWin"),
        (10, "activity activities", "mResumedActivity: ", "topResumedActivity"),
        (12, "activity activities", "topResumedActivity=ActivityRecord{", "mResumedActivity"),
        (12, "power", "getWakefulnessLocked()=Awake", "mWakefulness="),
        (14, "window displays", f"mCurrentFocus=Window{{41b3757 u0 {FULL}}}", "mIsShowing"),
        (16, "window displays", f"mCurrentFocus=Window{{41b3757 u0 {FULL}}}", "mIsShowing"),
        (16, "window policy", "mIsShowing=false", "mShowingLockscreen"),
        (16, "activity activities", "  ResumedActivity: ActivityRecord{", "mResumedActivity"),
    ],
)
def test_dumpsys_by_version(
    adb: Adb, virtual_phone: PhoneProcess, version: int, command: str, there: str, absent: str
) -> None:
    out(adb, "monkey", "-p", NOTES, "1")
    with virtual_phone.quirks(f"android={version}"):
        text = out(adb, "dumpsys", *command.split())
    assert there in text
    assert absent not in text


@pytest.mark.parametrize(
    ("version", "sdk"), [(8, 26), (9, 28), (10, 29), (12, 31), (14, 34), (16, 36)]
)
def test_every_version_says_what_is_in_front(
    adb: Adb, virtual_phone: PhoneProcess, version: int, sdk: int
) -> None:
    out(adb, "monkey", "-p", NOTES, "1")
    with virtual_phone.quirks(f"android={version}"):
        assert out(adb, "getprop ro.build.version.release; getprop ro.build.version.sdk") == (
            f"{version}\n{sdk}\n"
        )
        for command in ("activity activities", "window"):
            found = parse.focus(out(adb, "dumpsys", *command.split()))
            assert found == parse.Component(NOTES, ".MainActivity")
        assert parse.locked(out(adb, "dumpsys", "window")) is False
        assert parse.awake(out(adb, "dumpsys", "power")) is True


def test_a_work_profile(adb: Adb, virtual_phone: PhoneProcess) -> None:
    listing = "pm list packages"
    before = out(adb, listing)
    out(adb, "monkey", "-p", NOTES, "1")
    with virtual_phone.quirks("work-profile"):
        assert f"u10 {SHORT} t57}}" in out(adb, "dumpsys activity activities")
        assert f"mCurrentFocus=Window{{41b3757 u10 {FULL}}}" in out(adb, "dumpsys window")
        assert out(adb, f"{listing} --user 0") == before
        assert out(adb, f"{listing} --user 10") == f"package:{NOTES}\npackage:{WORK_ONLY}\n"
        assert set(out(adb, listing).split()) == {*before.split(), f"package:{WORK_ONLY}"}
        assert "UserInfo{10:" in out(adb, "pm list users")
        assert "No activity found" in out(adb, f"cmd package resolve-activity --brief {WORK_ONLY}")
        out(adb, "monkey", "-p", SETTINGS, "1")
        assert "u0 com.android.settings/" in out(adb, "dumpsys activity activities")
    assert out(adb, listing) == before
    assert "UserInfo{10:" not in out(adb, "pm list users")


# -- input


@pytest.mark.parametrize("code", [255, 1, 0])
@pytest.mark.parametrize("command", ["tap 5 5", "keyevent HOME", "swipe 1 1 1 1", "text a"])
def test_input_is_refused(adb: Adb, virtual_phone: PhoneProcess, command: str, code: int) -> None:
    out(adb, "monkey", "-p", NOTES, "1")
    before, last = virtual_phone.state(), virtual_phone.events()[-1]["seq"]
    with virtual_phone.quirks(f"no-inject={code}"):
        result = adb("shell", f"input {command}")
    assert result.returncode == code
    assert b"java.lang.SecurityException: Injecting input events requires" in result.stderr
    assert b"INJECT_EVENTS permission" in result.stderr
    assert virtual_phone.state() == before
    assert [event["kind"] for event in virtual_phone.events(last)] == ["shell"]


# -- the lock screen


def locked(adb: Adb) -> bool:
    return bool(parse.locked(out(adb, "dumpsys", "window")))


@pytest.mark.parametrize("version", [9, 10, 12, 14, 16])
def test_a_lock_screen_is_over_everything(
    adb: Adb, virtual_phone: PhoneProcess, version: int
) -> None:
    out(adb, f"monkey -p {NOTES} 1; input tap 928 2176")
    before = virtual_phone.state()
    open_screen = adb("exec-out", "screencap", "-p").stdout
    with virtual_phone.quirks("locked=4711", f"android={version}"):
        assert locked(adb)
        assert "mInputShown=false" in out(adb, "dumpsys input_method")
        focus = "StatusBar" if version < 12 else "NotificationShade"
        assert f"mCurrentFocus=Window{{8a0f1c2 u0 {focus}}}" in out(adb, "dumpsys window")
        activities = out(adb, "dumpsys activity activities")
        assert "ResumedActivity: null" in activities
        assert parse.focus(activities) is None
        assert adb("exec-out", "screencap", "-p").stdout != open_screen
        out(adb, "input tap 500 500; input text abc; input keyevent HOME 67; input tap 900 900")
        out(adb, "input swipe 100 900 900 900; input swipe 500 500 500 500 900")
        out(adb, "am broadcast -a ADB_CLEAR_TEXT")
        assert virtual_phone.state() == before
        assert locked(adb)
    assert adb("exec-out", "screencap", "-p").stdout == open_screen


@pytest.mark.parametrize(
    "gesture",
    ["wm dismiss-keyguard", "input keyevent MENU", "input swipe 540 1900 540 700"],
)
def test_without_a_pin_it_goes_away_and_comes_back_with_sleep(
    adb: Adb, virtual_phone: PhoneProcess, gesture: str
) -> None:
    with virtual_phone.quirks("locked"):
        assert locked(adb)
        out(adb, gesture)
        assert not locked(adb)
        out(adb, "input keyevent SLEEP")
        out(adb, "input keyevent WAKEUP")
        assert locked(adb)
        assert parse.awake(out(adb, "dumpsys power")) is True
    assert not locked(adb)


def test_with_a_pin_only_the_pin_opens(adb: Adb, virtual_phone: PhoneProcess) -> None:
    last = virtual_phone.events()[-1]["seq"]
    with virtual_phone.quirks("locked=4711"):
        plain = adb("exec-out", "screencap", "-p").stdout
        out(adb, "wm dismiss-keyguard")
        assert locked(adb)
        assert adb("exec-out", "screencap", "-p").stdout != plain
        out(adb, "input keyevent BACK")
        assert adb("exec-out", "screencap", "-p").stdout == plain
        out(adb, "input text 4711; input keyevent ENTER")
        assert locked(adb)
        out(adb, "wm dismiss-keyguard; input text 0000; input keyevent ENTER")
        assert locked(adb)
        out(adb, "input text 47; input keyevent 8 8 ENTER")
        assert not locked(adb)
        out(adb, "input keyevent SLEEP WAKEUP; input keyevent MENU")
        assert locked(adb)
    states = [event["state"] for event in virtual_phone.events(last) if event["kind"] == "keyguard"]
    assert states == [
        "showing",
        "bouncer",
        "showing",
        "bouncer",
        "gone",
        "showing",
        "bouncer",
        "gone",
    ]


# -- ADBKeyboard


def broadcast(adb: Adb, text: str) -> None:
    message = base64.b64encode(text.encode()).decode()
    answer = out(adb, "am", "broadcast", "-a", "ADB_INPUT_B64", "--es", "msg", message)
    assert answer.endswith("Broadcast completed: result=0\n")


def test_adb_keyboard_is_missing(adb: Adb, virtual_phone: PhoneProcess) -> None:
    out(adb, f"monkey -p {NOTES} 1; input tap 928 2176; ime set {ADB_KEYBOARD}")
    with virtual_phone.quirks("adbkeyboard=missing"):
        assert out(adb, "settings get secure default_input_method") == f"{LATIN_KEYBOARD}\n"
        assert out(adb, "ime list -a -s") == f"{LATIN_KEYBOARD}\n"
        assert "adbkeyboard" not in out(adb, "pm list packages")
        for verb in ("enable", "set"):
            result = adb("shell", "ime", verb, ADB_KEYBOARD)
            assert (result.returncode, b"Unknown input method" in result.stderr) == (255, True)
        virtual_phone.reset(7)
        out(adb, f"monkey -p {NOTES} 1; input tap 928 2176")
        broadcast(adb, "lost")
        assert draft(virtual_phone) == ""
    assert ADB_KEYBOARD in out(adb, "ime list -s")


def test_adb_keyboard_is_deaf(adb: Adb, virtual_phone: PhoneProcess) -> None:
    out(adb, f"monkey -p {NOTES} 1; input tap 928 2176; ime set {ADB_KEYBOARD}")
    with virtual_phone.quirks("adbkeyboard=inactive"):
        broadcast(adb, "lost")
        out(adb, "am broadcast -a ADB_INPUT_TEXT --es msg lost")
        assert parse.keyboard(out(adb, "dumpsys input_method")) == parse.Keyboard(
            True, ADB_KEYBOARD, True, (0, 0)
        )
        assert draft(virtual_phone) == ""
    broadcast(adb, "heard")
    assert draft(virtual_phone) == "heard"


def test_adb_keyboard_of_before_android_13(adb: Adb, virtual_phone: PhoneProcess) -> None:
    def bound() -> bool | None:
        return parse.keyboard(out(adb, "dumpsys input_method")).bound

    out(adb, f"monkey -p {NOTES} 1; input tap 928 2176")
    with virtual_phone.quirks("adbkeyboard=api33"):
        broadcast(adb, "not the current one")
        assert bound() is True
        out(adb, "ime", "set", ADB_KEYBOARD)
        assert bound() is False
        broadcast(adb, "no view yet")
        assert draft(virtual_phone) == ""
        out(adb, "input tap 540 400")  # the title of the note again
        assert bound() is True
        broadcast(adb, "heard")
        assert draft(virtual_phone) == "heard"
        out(adb, f"ime set {LATIN_KEYBOARD}; ime set {ADB_KEYBOARD}")
        broadcast(adb, "again a new service")
        assert draft(virtual_phone) == "heard"


# -- text fields


def test_the_cursor_counts_utf_16_code_units(adb: Adb, virtual_phone: PhoneProcess) -> None:
    def cursor() -> tuple[int, int] | None:
        return parse.keyboard(out(adb, "dumpsys input_method")).cursor

    assert cursor() is None  # no field has the keyboard
    out(adb, f"monkey -p {NOTES} 1; input tap 928 2176; ime set {ADB_KEYBOARD}")
    assert cursor() == (0, 0)
    broadcast(adb, "aé微\U0001f600")
    assert cursor() == (5, 5)
    out(adb, "input keyevent DEL")  # a whole emoji
    assert cursor() == (3, 3)
    with virtual_phone.quirks("no-cursor"):
        assert cursor() is None
        assert "mServedConnecting" in out(adb, "dumpsys input_method")


def test_a_field_that_is_full(adb: Adb, virtual_phone: PhoneProcess) -> None:
    out(adb, f"monkey -p {NOTES} 1; input tap 928 2176; ime set {ADB_KEYBOARD}")
    with virtual_phone.quirks("max-length=4"):
        broadcast(adb, "abc\U0001f600")
        assert draft(virtual_phone) == "abc"
        out(adb, "input text de")
        assert draft(virtual_phone) == "abcd"
    out(adb, "input text e")
    assert draft(virtual_phone) == "abcde"


# -- slowness


@pytest.mark.parametrize(
    ("option", "command", "slow"),
    [
        ("slow-shell=0.4", "true", True),
        ("slow-shell=0.4", "screencap", True),
        ("slow-screencap=0.4", "screencap", True),
        ("slow-screencap=30", "true", False),
    ],
)
def test_slow(adb: Adb, virtual_phone: PhoneProcess, option: str, command: str, slow: bool) -> None:
    with virtual_phone.quirks(option):
        begun = time.monotonic()
        assert adb("shell", command).returncode == 0
        took = time.monotonic() - begun
    assert took >= 0.4 if slow else took < 30
