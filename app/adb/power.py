"""Wakes a phone, and detects whether a person must unlock it."""

from __future__ import annotations

from app.adb import parse
from app.adb.connection import Deadline
from app.adb.shell import Shell
from app.errors import DeviceLocked

_KEY_WAKEUP = "224"  # android.view.KeyEvent; unlike POWER it never switches the screen off
_POLL_S = 0.1
_POLLS = 10


def is_awake(shell: Shell, deadline: Deadline) -> bool | None:
    """Whether the screen is on; None if the phone does not report it."""
    return parse.awake(shell.run(["dumpsys", "power"], deadline=deadline).check("looking").text)


def is_locked(shell: Shell, deadline: Deadline) -> bool | None:
    """Whether a lock screen is up; None if the phone does not report it."""
    return parse.locked(shell.run(["dumpsys", "window"], deadline=deadline).check("looking").text)


def wake(shell: Shell, deadline: Deadline) -> None:
    """Switch the screen on and dismiss a lock screen without PIN; blocking.

    A phone that is on and unlocked is only checked. Raises DeviceLocked if the phone asks for a
    PIN, which is never typed, and DeviceError.
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
