"""What Android prints, by version, and that nothing it prints makes us fail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adb import parse
from app.adb.parse import Component, DeviceRow

OUTPUTS = Path(__file__).parent.parent / "outputs"


def output(name: str) -> str:
    return (OUTPUTS / f"{name}.txt").read_bytes().decode()


def test_devices() -> None:
    assert parse.devices(output("devices_l")) == [
        DeviceRow("emulator-5554", "device", "sdk_gphone64_x86_64", "sdk_gphone64_x86_64"),
        DeviceRow("R58M12ABCDE", "unauthorized"),
        DeviceRow("127.0.0.1:6555", "offline", "Virtual_Phone", "vphone"),
        DeviceRow("0123456789ABCDEF", "no permissions"),
        DeviceRow("(no serial number)", "device"),
        DeviceRow("adb-R58M-abc._adb-tls-connect._tcp", "device", "SM_A525F", "a52q"),
    ]


@pytest.mark.parametrize(
    ("name", "expected"), [("wm_size_override", (1080, 2340)), ("wm_size_crlf", (720, 1280))]
)
def test_size(name: str, expected: tuple[int, int]) -> None:
    assert parse.size(output(name)) == expected


def test_density() -> None:
    assert parse.density(output("wm_density_override")) == 420


@pytest.mark.parametrize(
    ("name", "package", "activity"),
    [
        ("window_9", "com.android.settings", ".Settings$WifiSettingsActivity"),
        ("window_12_shade", "com.tencent.mm", ".ui.LauncherUI"),
        ("activities_11", "com.android.chrome", "com.google.android.apps.chrome.Main"),
        ("activities_16", "org.phonepilot.notes", ".MainActivity"),
    ],
)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_focus(name: str, package: str, activity: str, ending: str) -> None:
    text = output(name).replace("\n", ending)
    assert parse.focus(text) == Component(package, activity)


def test_no_focus_between_two_apps() -> None:
    assert parse.focus("  mCurrentFocus=null\n  mFocusedApp=null\n") is None


def test_packages() -> None:
    assert parse.packages(output("pm_list")) == ["com.android.chrome", "com.tencent.mm"]


def test_input_methods_short_and_long() -> None:
    expected = [
        "com.google.android.inputmethod.latin/com.android.inputmethod.latin.LatinIME",
        "com.android.adbkeyboard/.AdbIME",
    ]
    assert parse.input_methods(output("ime_list_long")) == expected
    assert parse.input_methods("\r\n".join(expected)) == expected
    assert parse.input_methods("null\n") == []


def test_resolved_activity() -> None:
    expected = Component("com.android.settings", ".Settings")
    assert parse.resolved_activity(output("resolve_brief")) == expected
    assert parse.resolved_activity(output("resolve_chooser")) is None
    assert parse.resolved_activity("No activity found\n") is None


def test_awake() -> None:
    assert parse.awake(output("power_10_asleep")) is False
    assert parse.awake("getWakefulnessLocked()=Awake") is True
    assert parse.awake("") is None


def test_keyboard() -> None:
    changing = parse.keyboard(output("input_method_14"))
    assert changing == parse.Keyboard(True, "com.android.adbkeyboard/.AdbIME", False)
    assert parse.keyboard("  mCurMethodId=a.b/.C\n").current == "a.b/.C"
    assert parse.keyboard("") == parse.Keyboard(None, None)


def test_the_cursor_is_told_by_the_phone_and_not_by_an_app() -> None:
    hint = "    hintText=mCursorSelStart=9 mCursorSelEnd=9 label=null\n"
    line = "  mCursorSelStart=2 mCursorSelEnd=5 mCursorCandStart=-1 mCursorCandEnd=-1\n"
    assert parse.keyboard(hint + line).cursor == (2, 5)
    assert parse.keyboard(hint).cursor is None
    assert parse.keyboard(line.replace("2", "-1")).cursor is None


def test_the_app_in_front_is_told_by_the_phone_and_not_by_an_app() -> None:
    label = "  label=topResumedActivity=ActivityRecord{1 u0 org.notes/.Main t1}\n"
    line = "    topResumedActivity=ActivityRecord{170d7fd u0 com.shop/.Checkout t57}\n"
    found = parse.focus(label + line)
    assert found is not None
    assert (found.package, found.activity) == ("com.shop", ".Checkout")
    assert parse.focus(label) is None


def test_locked() -> None:
    assert parse.locked(output("window_policy_locked")) is True
    assert parse.locked("mShowingLockscreen=false mDreamingLockscreen=false") is False
    assert parse.locked("mIsShowing=true mInputRestricted=false") is False
    assert parse.locked("") is None


KEYWORDS = st.sampled_from(
    [
        *"\r\n\0 {}=:/.$0u",
        "mCurrentFocus=Window{1 u0 ",
        "mFocusedApp=",
        "ActivityRecord{",
        "topResumedActivity=",
        "com.a.b/.C",
        "Physical size: ",
        "9999x9999",
        "package:",
        "mInputShown=true",
        "device product:",
        "mWakefulness=",
        "\ufffd",
    ]
)
PARSERS: list[Callable[[str], object]] = [
    parse.devices,
    parse.size,
    parse.density,
    parse.focus,
    parse.packages,
    parse.input_methods,
    parse.resolved_activity,
    parse.awake,
    parse.keyboard,
    parse.locked,
]


@given(st.one_of(st.text(), st.lists(st.one_of(KEYWORDS, st.text(max_size=5))).map("".join)))
def test_no_text_makes_a_parser_fail(text: str) -> None:
    for parser in PARSERS:
        parser(text)
