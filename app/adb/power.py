"""Waking a phone, and knowing whether a person must unlock it."""

from __future__ import annotations

from app.adb import parse
from app.adb.connection import Deadline
from app.adb.shell import Shell
from app.errors import DeviceLocked

_KEY_WAKEUP = "224"  # android.view.KeyEvent; unlike POWER it never switches off
_POLL_S = 0.1
_POLLS = 10


def is_awake(shell: Shell, deadline: Deadline) -> bool | None:
    """Whether the screen is on; None when the phone does not say."""
    return parse.awake(shell.run(["dumpsys", "power"], deadline=deadline).check("looking").text)


def is_locked(shell: Shell, deadline: Deadline) -> bool | None:
    """Whether a lock screen is up; None when the phone does not say."""
    return parse.locked(shell.run(["dumpsys", "window"], deadline=deadline).check("looking").text)


def wake(shell: Shell, deadline: Deadline) -> None:
    """Switch the screen on and leave a lock screen without PIN; blocking.

    A phone that is on and unlocked is only looked at.

    Raises DeviceLocked when the phone asks for a PIN, which is never typed, and DeviceError.
    """
    if not is_awake(shell, deadline):
        shell.run(["input", "keyevent", _KEY_WAKEUP], deadline=deadline).check("waking")
    for attempt in range(_POLLS):
        if not is_locked(shell, deadline):
            return
        if attempt == 0:
            shell.run(["wm", "dismiss-keyguard"], deadline=deadline)
        deadline.pause(_POLL_S)
    raise DeviceLocked(f"device {shell.serial} is locked")
