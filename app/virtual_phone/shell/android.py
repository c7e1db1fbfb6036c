"""The commands of this phone, by name."""

from __future__ import annotations

from app.virtual_phone.shell import (
    activity,
    dumpsys,
    files,
    input,
    packages,
    screencap,
    settings,
    text,
    uiautomator,
)
from app.virtual_phone.shell.call import CommandTable

COMMANDS: CommandTable = {
    **activity.COMMANDS,
    **dumpsys.COMMANDS,
    **files.COMMANDS,
    **input.COMMANDS,
    **packages.COMMANDS,
    **screencap.COMMANDS,
    **settings.COMMANDS,
    **text.COMMANDS,
    **uiautomator.COMMANDS,
}
