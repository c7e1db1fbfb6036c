"""Parses the output of Android's commands; pure, tolerant of any text.

Each function takes the whole text and returns None (or an empty list) if the text does not contain
the value. Formats by Android version: `WindowManagerShellCommand`, `ActivityTaskManagerService`,
`InputMethodManagerService` and `PowerManagerService` of AOSP 9 to 16.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

RESOLVER = "android/com.android.internal.app.ResolverActivity"
"""The response of resolve-activity if a person would be asked to choose."""

_STATES = (
    "device|offline|unauthorized|authorizing|connecting|recovery|rescue|sideload|bootloader"
    "|host|detached|no permissions|unknown"
)
_DEVICE = re.compile(rf"^(\S+|\(no serial number\))\s+({_STATES})(?=[\s;(]|$)(.*)$")
_PROPERTY = re.compile(r"(?:^|\s)(product|model|device|transport_id):(\S+)")
_SIZE = re.compile(r"^\s*(Physical|Override) size:\s*(\d{1,5})x(\d{1,5})\s*$", re.M)
_DENSITY = re.compile(r"^\s*(Physical|Override) density:\s*(\d{1,5})\s*$", re.M)
_COMPONENT = r"([A-Za-z_][\w.]*)/([\w.$]+)"
_RESUMED = re.compile(
    rf"^\s*(?:topResumedActivity|mResumedActivity|ResumedActivity)\s*[=:]\s*ActivityRecord\{{"
    rf"[^}}\n]*?\su\d+\s{_COMPONENT}",
    re.M,
)
"""At the start of a line, like the next two: later in a line there may be an app's own text, such
as the label of its task."""
_CURRENT_FOCUS = re.compile(rf"^\s*mCurrentFocus=Window\{{[^}}\n]*?\su\d+\s{_COMPONENT}\}}", re.M)
_FOCUSED_APP = re.compile(
    rf"^\s*mFocusedApp=[^\n]*?ActivityRecord\{{[^}}\n]*?\su\d+\s{_COMPONENT}", re.M
)
_INPUT_METHOD = re.compile(rf"^(?:\s*mId=)?{_COMPONENT}:?(?=\s|$)", re.M)
_COMPONENT_LINE = re.compile(rf"^\s*{_COMPONENT}\s*$", re.M)
_WAKEFULNESS = re.compile(r"\b(?:mWakefulness|getWakefulnessLocked\(\))=(\w+)")
# At the start of a line: an app may write such words into the hint of its field.
_CURSOR = re.compile(r"^\s*mCursorSelStart=(\d+) mCursorSelEnd=(\d+)", re.M)
_INPUT_TYPE = re.compile(r"^\s*inputType=0x([0-9a-f]{1,8})\b", re.M)
_SHOWN = re.compile(r"\bmInputShown=(true|false)")
_BOUND = re.compile(r"\bmBoundToMethod=(true|false)")
# mCurId is the active keyboard, mCurMethodId the chosen one: they differ during a change.
_CURRENT_IME = (re.compile(r"\bmCurId=(\S+/\S+)"), re.compile(r"\bmCurMethodId=(\S+/\S+)"))
_LOCKSCREEN = re.compile(r"\bm(?:Showing|Dreaming)Lockscreen=(true|false)")
_KEYGUARD = re.compile(r"\b(mIsShowing|mInputRestricted)=(true|false)")
_DISPLAY_ID = re.compile(r"^Display (\d{1,20}) \(HWC display \d+\)", re.M)
_DISPLAY_DEVICE = re.compile(r"\bDisplayDeviceInfo\{([^\n]*)")
_UNIQUE_ID = re.compile(r'\buniqueId="local:(\d{1,20})"')
_FOCUSED_WINDOW = re.compile(r"\bmCurrentFocus=Window\{([0-9a-f]+) ")
_WINDOW_FLAGS = re.compile(r"\bfl=(#[0-9a-f]+|[A-Z][A-Z0-9_ ]*)")
_FLAG_SECURE = 0x2000  # android.view.WindowManager.LayoutParams
_ROTATION = re.compile(r"\bm(?:Current|Display)?Rotation=(?:ROTATION_)?(\d{1,3})\b")


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """A line of `adb devices -l`; state `device` means ready."""

    serial: str
    state: str
    model: str = ""
    product: str = ""


@dataclass(frozen=True, slots=True)
class Component:
    """An activity; its name begins with a dot if it is inside the package."""

    package: str
    activity: str

    def __str__(self) -> str:
        return f"{self.package}/{self.activity}"


@dataclass(frozen=True, slots=True)
class Keyboard:
    """Whether an on-screen keyboard is up, which one, and whether it serves the focused field.

    `cursor` is the start and end of the field's selection, in UTF-16 code units (AOSP
    `InputMethodManager.doDump`). None if the phone does not report it.
    """

    shown: bool | None
    current: str | None
    bound: bool | None = None
    cursor: tuple[int, int] | None = None
    password: bool = False
    """Whether the field says that it is for a password (AOSP `EditorInfo.dump`)."""


def devices(text: str) -> list[DeviceRow]:
    """Parse the response to `host:devices-l` (or `host:devices`)."""
    rows = []
    for line in text.splitlines():
        if match := _DEVICE.match(line.strip()):
            properties = dict(_PROPERTY.findall(match[3]))
            model, product = properties.get("model", ""), properties.get("product", "")
            rows.append(DeviceRow(match[1], match[2], model, product))
    return rows


def size(text: str) -> tuple[int, int] | None:
    """Parse `wm size`: (width, height) in pixels in portrait orientation; an override wins."""
    found = {kind: (int(width), int(height)) for kind, width, height in _SIZE.findall(_clean(text))}
    return found.get("Override") or found.get("Physical")


def density(text: str) -> int | None:
    """Parse `wm density`: dpi; an override wins."""
    found = {kind: int(value) for kind, value in _DENSITY.findall(_clean(text))}
    return found.get("Override") or found.get("Physical")


def focus(text: str) -> Component | None:
    """Parse the foreground activity from `dumpsys activity activities` or `dumpsys window`."""
    for pattern in (_RESUMED, _CURRENT_FOCUS, _FOCUSED_APP):
        if match := pattern.search(text):
            package, activity = match[1], match[2]
            inside = activity.startswith(package + ".")
            return Component(package, activity[len(package) :] if inside else activity)
    return None


def packages(text: str) -> list[str]:
    """Parse `pm list packages`, with or without `-f`."""
    lines = (line.strip() for line in text.splitlines())
    found = (line[len("package:") :].rpartition("=")[2] for line in lines if line[:8] == "package:")
    return [name for name in found if name]


def input_methods(text: str) -> list[str]:
    """Parse the ids in `ime list [-a] [-s]`, in order, each once."""
    ids = (f"{package}/{name}" for package, name in _INPUT_METHOD.findall(_clean(text)))
    return list(dict.fromkeys(ids))


def resolved_activity(text: str) -> Component | None:
    """Parse `cmd package resolve-activity --brief`; None also if it is the chooser."""
    found = _COMPONENT_LINE.findall(_clean(text))
    if not found or "/".join(found[-1]) == RESOLVER:
        return None
    return Component(*found[-1])


def awake(text: str) -> bool | None:
    """Parse from `dumpsys power` whether the screen is on."""
    match = _WAKEFULNESS.search(text)
    return match[1] == "Awake" if match else None


def keyboard(text: str) -> Keyboard:
    """Parse `dumpsys input_method`."""
    current = next((found[1] for key in _CURRENT_IME if (found := key.search(text))), None)
    cursor = _CURSOR.search(text)
    at = (int(cursor[1]), int(cursor[2])) if cursor else None
    kind = _INPUT_TYPE.search(text)
    password = kind is not None and _is_password(int(kind[1], 16))
    return Keyboard(_flag(_SHOWN, text), current, _flag(_BOUND, text), at, password)


def _is_password(input_type: int) -> bool:
    """Whether an android.text.InputType is one of the four for passwords."""
    return input_type & 0xFFF in (0x81, 0x91, 0xE1, 0x12)


def locked(text: str) -> bool | None:
    """Parse from `dumpsys window` whether a lock screen is up."""
    lockscreens = _LOCKSCREEN.findall(text)
    keyguard = dict(_KEYGUARD.findall(text))
    if not lockscreens and "mIsShowing" not in keyguard:
        return None
    restricted = keyguard.get("mInputRestricted") == "true"
    return "true" in lockscreens or (keyguard.get("mIsShowing") == "true" and restricted)


def display_ids(text: str) -> list[str]:
    """Parse the physical displays in `dumpsys SurfaceFlinger --display-id`, in its order."""
    return _DISPLAY_ID.findall(_clean(text))


def displays_on(text: str) -> list[str]:
    """Parse the ids of the displays that are on from `dumpsys display`, built-in ones first."""
    found: dict[str, bool] = {}
    for line in _DISPLAY_DEVICE.findall(text):
        unique = _UNIQUE_ID.search(line)
        if unique and re.search(r"\bstate ON\b", line):
            found.setdefault(unique[1], "type EXTERNAL" in line or "type HDMI" in line)
    return sorted(found, key=found.__getitem__)


def secure(text: str) -> bool | None:
    """Parse from `dumpsys window` whether the focused window has FLAG_SECURE.

    Android 9 and later print the names of the flags, earlier versions the number.
    """
    focused = _FOCUSED_WINDOW.search(text)
    if focused is None:
        return None
    _, head, block = _clean(text).partition(f" Window{{{focused[1]} ")
    flags = _WINDOW_FLAGS.search(block.partition("\n  Window #")[0]) if head else None
    if flags is None:
        return None
    if flags[1].startswith("#"):
        return bool(int(flags[1][1:], 16) & _FLAG_SECURE)
    return "SECURE" in flags[1].split()


def rotation(text: str) -> int | None:
    """Parse the rotation from `dumpsys window displays`: 0, 90, 180 or 270 degrees.

    Up to Android 9 the output has the number of quarter turns, later the degrees.
    """
    match = _ROTATION.search(text)
    if match is None:
        return None
    value = int(match[1])
    degrees = value * 90 if value < 4 else value
    return degrees if degrees in (0, 90, 180, 270) else None


def _flag(pattern: re.Pattern[str], text: str) -> bool | None:
    match = pattern.search(text)
    return match[1] == "true" if match else None


def _clean(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
