"""Prepares a phone: awake, accepting taps, and able to receive any text.

Each check returns a finding that says what is wrong and which switch of this phone's maker fixes
it. An APK is installed only if the person names its file; an installed ADBKeyboard is enabled,
which does not yet make it the current keyboard.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from app.adb import parse, power
from app.adb.connection import Deadline
from app.adb.hands import START_S, Hands
from app.adb.scrcpy.jar import ADDRESS, SIZE
from app.adb.scrcpy.sessions import MISSING
from app.adb.shell import MAX_TEXT, Shell
from app.adb.typing.adb_keyboard import ADB_KEYBOARD
from app.errors import CommandFailed, DeviceError, DeviceLocked, InputError, InputRefused

Status = Literal["ok", "warning", "problem"]

MAX_APK = 200 * 1024 * 1024
_APK_MAGIC = b"PK\x03\x04"
_CHUNK = 256 * 1024
_INSTALL_HINT = (
    "Download ADBKeyboard.apk from https://github.com/senzhk/ADBKeyBoard (on Android 13 and "
    "later a build of 2026 or later), then: phonepilot devices setup SERIAL --apk ADBKeyboard.apk"
)

# The switches that makers add to Android's own "USB debugging"; all in the developer options.
_SWITCHES: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("xiaomi", "redmi", "poco"),
        "Turn on 'USB debugging (Security settings)' and 'Install via USB' (both need a Mi account "
        "and a SIM card), then restart the phone.",
    ),
    (
        ("oppo", "realme", "oneplus"),
        "Turn on 'Disable permission monitoring', then restart the phone.",
    ),
    (
        ("vivo", "iqoo"),
        "Turn on 'USB debugging (Security settings)' or 'USB simulated tap', and 'Install via "
        "USB'.",
    ),
    (
        ("huawei", "honor"),
        "Turn on 'Allow ADB debugging in charge only mode', and off 'Monitor ADB install apps'.",
    ),
    (
        ("samsung",),
        "Turn off 'Auto Blocker' (Settings, Security and privacy): it blocks commands and "
        "installs.",
    ),
    (("meizu",), "Turn on 'USB debugging (Security settings)', then restart the phone."),
)
_ANY_MAKER = (
    "Look in the developer options for 'USB debugging (Security settings)' or 'Disable permission "
    "monitoring', turn it on and restart the phone."
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was checked, its state, and what to do if it is not `ok`."""

    name: str
    status: Status
    message: str
    hint: str = ""


def switches(manufacturer: str) -> str:
    """Return what to turn on in this maker's phones so that they accept taps and installs."""
    maker = manufacturer.strip().casefold()
    return next((text for makers, text in _SWITCHES if maker in makers), _ANY_MAKER)


def set_up(shell: Shell, apk: Path | None, hands: Hands, deadline: Deadline) -> list[Finding]:
    """Check everything that typing and tapping need, installing `apk` first; blocking.

    Raises InputError for a file that is not an APK, and DeviceError if the phone is gone.
    """
    package = read_apk(apk) if apk is not None else None
    maker = shell.run(["getprop", "ro.product.manufacturer"], deadline=deadline).text.strip()
    findings = [_screen(shell, deadline), _input(shell, maker, deadline)]
    if package is not None:
        findings.append(_install(shell, package, maker, deadline))
    scrcpy = _scrcpy(shell, hands, deadline)
    findings += [scrcpy, _keyboard(shell, deadline, needed=scrcpy.status != "ok")]
    return findings


def read_apk(path: Path) -> bytes:
    """Read the bytes of an APK; raises InputError."""
    try:
        if path.stat().st_size > MAX_APK:
            raise InputError(f"{path} is larger than {MAX_APK} bytes")
        data = path.read_bytes()
    except OSError as exc:
        raise InputError(f"{path} cannot be read: {exc.strerror}") from exc
    if not data.startswith(_APK_MAGIC):
        raise InputError(f"{path} is not an APK file")
    return data


def install(shell: Shell, apk: bytes, deadline: Deadline) -> None:
    """Install an app, streamed over the connection (Android 7 and later).

    Raises CommandFailed with the phone's reason.
    """
    service = f"exec:cmd package install -S {len(apk)}"
    with shell.open(service, deadline) as connection:
        for start in range(0, len(apk), _CHUNK):
            connection.write(apk[start : start + _CHUNK])
        said = connection.read_all(MAX_TEXT).decode("utf-8", "replace").strip()
    if not said.endswith("Success"):
        raise CommandFailed(f"the phone did not install it: {said[:300] or 'no answer'}", 1, said)


def _screen(shell: Shell, deadline: Deadline) -> Finding:
    if power.is_awake(shell, deadline) is False:
        try:
            power.wake(shell, deadline)
        except DeviceLocked as exc:
            return Finding("screen", "problem", exc.message, exc.hint)
        except InputRefused:
            return Finding("screen", "warning", "the screen is off", "Switch it on by hand.")
    if power.is_locked(shell, deadline):
        return Finding("screen", "problem", "the phone is locked", DeviceLocked.default_hint)
    return Finding("screen", "ok", "awake and unlocked")


def _input(shell: Shell, maker: str, deadline: Deadline) -> Finding:
    try:
        shell.run(["input", "keyevent", "0"], deadline=deadline).check("input")  # key "unknown"
    except InputRefused:
        return Finding("input", "problem", "the phone refuses taps and keys", switches(maker))
    except CommandFailed as exc:
        return Finding("input", "problem", exc.message, switches(maker))
    return Finding("input", "ok", "takes taps and keys")


def _install(shell: Shell, apk: bytes, maker: str, deadline: Deadline) -> Finding:
    try:
        install(shell, apk, deadline)
    except DeviceError as exc:
        return Finding("install", "problem", exc.message, switches(maker))
    return Finding("install", "ok", f"installed, {len(apk)} bytes")


def _scrcpy(shell: Shell, hands: Hands, deadline: Deadline) -> Finding:
    if hands.by_scrcpy(shell, deadline, START_S) is not None:
        return Finding("scrcpy", "ok", "used for touches, and for texts in any language")
    reason = hands.reason or "it has not started in time"
    hint = ""
    if reason == MISSING:
        hint = (
            f"phonepilot devices setup {shell.serial} --scrcpy downloads it ({SIZE // 1000} kB, "
            f"Apache-2.0) from {ADDRESS}"
        )
    return Finding("scrcpy", "warning", f"not used: {reason}", hint)


def _keyboard(shell: Shell, deadline: Deadline, *, needed: bool) -> Finding:
    def ids(*options: str) -> list[str]:
        said = shell.run(["ime", "list", *options], deadline=deadline).check("listing keyboards")
        return parse.input_methods(said.text)

    if ADB_KEYBOARD not in ids("-a", "-s"):
        if not needed:
            return Finding("keyboard", "ok", "ADBKeyboard is not installed, and not needed")
        return Finding(
            "keyboard",
            "warning",
            "ADBKeyboard is not installed: only plain ASCII can be typed",
            _INSTALL_HINT,
        )
    if ADB_KEYBOARD not in ids("-s"):
        shell.run(["ime", "enable", ADB_KEYBOARD], deadline=deadline)
        if ADB_KEYBOARD not in ids("-s"):
            return Finding(
                "keyboard",
                "problem",
                "ADBKeyboard is installed and cannot be enabled from here",
                "Enable it by hand: Settings, System, Languages and input, On-screen keyboard.",
            )
        return Finding("keyboard", "ok", "ADBKeyboard was enabled; it is used only while typing")
    return Finding("keyboard", "ok", "ADBKeyboard is enabled; it is used only while typing")
