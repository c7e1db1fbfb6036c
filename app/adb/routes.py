"""Phones with the routes to each: USB, Wi-Fi by address, Wi-Fi by mDNS name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from app.adb.directory import READY
from app.adb.identity import Kind, kind_of
from app.adb.parse import DeviceRow

_PREFERRED: tuple[Kind, ...] = ("usb", "emulator", "network", "mdns")
"""USB is the fastest and does not fall asleep; an address was chosen by a person."""


@dataclass(frozen=True, slots=True)
class Route:
    """One serial of the adb server; `stale` if another route of the phone is ready and this one is
    not: left over from before the phone came back under another name."""

    serial: str
    state: str
    kind: Kind
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Phone:
    """A phone by its best route, which gives `serial` and `state` and is first in `routes`."""

    serial: str
    state: str
    model: str
    product: str
    routes: tuple[Route, ...]

    @property
    def row(self) -> DeviceRow:
        """The row of its best route."""
        return DeviceRow(self.serial, self.state, self.model, self.product)


def phones(rows: Iterable[DeviceRow], identity: Callable[[str], str]) -> list[Phone]:
    """List each phone once, in the order of its first row.

    `identity` returns the same value for all serials of one phone.
    """
    found: dict[str, list[DeviceRow]] = {}
    for row in rows:
        found.setdefault(identity(row.serial), []).append(row)
    return [_phone(sorted(group, key=_rank)) for group in found.values()]


def _rank(row: DeviceRow) -> tuple[bool, int, str]:
    return row.state != READY, _PREFERRED.index(kind_of(row.serial)), row.serial


def _phone(rows: list[DeviceRow]) -> Phone:
    best = rows[0]
    return Phone(
        best.serial,
        best.state,
        best.model or next((row.model for row in rows if row.model), ""),
        best.product or next((row.product for row in rows if row.product), ""),
        tuple(
            Route(
                row.serial,
                row.state,
                kind_of(row.serial),
                stale=best.state == READY != row.state,
            )
            for row in rows
        ),
    )
