"""The displays that SurfaceFlinger knows: one, or the two panels of a foldable.

Formats: AOSP `SurfaceFlinger::dumpDisplayIdentificationData` and `DisplayDeviceInfo.toString()`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.virtual_phone.quirks import DISPLAYS
from app.virtual_phone.shell.call import Call

if TYPE_CHECKING:
    from app.virtual_phone.phone import Phone

DISPLAY_ID = "4619827677550801152"
COVER_ID = "4619827677550801153"
INNER_SIZE = (1812, 2176)


@dataclass(frozen=True, slots=True)
class Display:
    """One panel; on a folded phone the inner one is listed first, off, and black."""

    id: str
    on: bool
    size: tuple[int, int]


def displays(phone: Phone) -> list[Display]:
    """List the displays in the order of the hardware composer."""
    if phone.quirks.get(DISPLAYS) is None:
        return [Display(DISPLAY_ID, True, phone.panel.size)]
    return [
        Display(DISPLAY_ID, False, INNER_SIZE),
        Display(COVER_ID, True, phone.panel.size),
    ]


def surface_flinger(call: Call) -> list[str]:
    """`dumpsys SurfaceFlinger --display-id`; the output is similar without the option here."""
    return [
        f'Display {display.id} (HWC display {number}): port={number} pnpId=VPH displayName=""'
        for number, display in enumerate(displays(call.phone))
    ]


def display(call: Call) -> list[str]:
    """`dumpsys display`: the only place that reports which panel is on."""
    lines = ["DISPLAY MANAGER (dumpsys display)"]
    awake = call.phone.state.power.awake
    for number, panel in enumerate(displays(call.phone)):
        width, height = panel.size if not panel.on else call.phone.panel.natural_size
        lines.append(
            f'  DisplayDeviceInfo{{"Built-in Screen": uniqueId="local:{panel.id}",'
            f" {width} x {height}, modeId {number + 1}, density {call.phone.panel.density},"
            f" touch INTERNAL, rotation 0, type INTERNAL,"
            f" state {'ON' if panel.on and awake else 'OFF'}}}"
        )
    return lines
