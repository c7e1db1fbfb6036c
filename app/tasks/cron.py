"""Computes when a schedule is due, reading cron lines the way cron(8) does."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger
from tzlocal import get_localzone_name

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_DAY = r"[0-7]|" + "|".join(_DAYS)
_WEEKDAYS = re.compile(rf"(\*|{_DAY})(?:-({_DAY}))?(?:/([1-9]))?", re.IGNORECASE)
NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
"""The short names of crontab(5). `@reboot` is not a time."""


def local_zone() -> str:
    """Return the IANA name of this computer's time zone."""
    return get_localzone_name() or "UTC"


def trigger(cron: str, zone: str) -> BaseTrigger:
    """Parse a line of five fields: minute, hour, day, month, weekday (0 and 7 are Sunday).

    If both kinds of day are given, either is enough; a field that begins with `*` counts as not
    given (crontab(5)). Raises ValueError for an unreadable line or time zone, and for a time that
    never occurs.
    """
    line = cron.strip()
    if line.startswith("@"):
        if line.casefold() not in NICKNAMES:
            raise ValueError(f"unknown short name; use one of {', '.join(NICKNAMES)}")
        line = NICKNAMES[line.casefold()]
    fields = line.split()
    if len(fields) != 5:
        raise ValueError(f"a cron line has 5 fields, this one has {len(fields)}")
    try:
        timezone = ZoneInfo(zone)
    except (LookupError, ValueError, OSError) as exc:
        raise ValueError(f"unknown time zone {zone[:80]!r}; use Europe/Berlin or UTC") from exc
    minute, hour, day, month, weekday = fields
    weekdays = ",".join(_weekdays(part) for part in weekday.split(","))
    found: BaseTrigger
    if day.startswith("*") or weekday.startswith("*"):
        found = _once_a_day(f"{minute} {hour} {day} {month} {weekdays}", timezone)
    else:
        by_date = _once_a_day(f"{minute} {hour} {day} {month} *", timezone)
        found = OrTrigger([by_date, _once_a_day(f"{minute} {hour} * {month} {weekdays}", timezone)])
    if found.get_next_fire_time(None, datetime.now(timezone)) is None:
        raise ValueError("this time never comes")
    return found


class _OnceADay(CronTrigger):  # type: ignore[misc]
    """Fires once for a time that occurs twice when clocks are set back, like cron(8); with
    `every_hour` it fires both times."""

    every_hour = False

    def get_next_fire_time(
        self, previous_fire_time: datetime | None, now: datetime
    ) -> datetime | None:
        found: datetime | None = super().get_next_fire_time(previous_fire_time, now)
        while found is not None and not self.every_hour and _is_repeated(found):
            later = found.astimezone(UTC) + timedelta(minutes=1)
            found = super().get_next_fire_time(None, later)
        return found


def _once_a_day(line: str, timezone: ZoneInfo) -> _OnceADay:
    found: _OnceADay = _OnceADay.from_crontab(line, timezone=timezone)
    found.every_hour = line.split()[1].startswith("*")
    return found


def _is_repeated(time: datetime) -> bool:
    return time.utcoffset() != time.replace(fold=0).utcoffset()


def _weekdays(part: str) -> str:
    """Return days as single names: APScheduler counts from Monday, cron from Sunday."""
    match = _WEEKDAYS.fullmatch(part)
    if match is None:
        raise ValueError(f"weekday: cannot read {part[:20]!r}")
    if match[1] == "*":
        if match[2]:
            raise ValueError(f"weekday: cannot read {part[:20]!r}")
        first, last = 0, 6
        if not match[3]:
            return "*"
    else:
        first = _number(match[1])
        last = _number(match[2]) if match[2] else (6 if match[3] else first)
        if match[2] and last == 0:  # "fri-sun": Sunday is also the seventh day
            last = 7
    if last < first:
        raise ValueError(f"weekday: {part!r} goes backwards")
    return ",".join(_DAYS[day % 7] for day in range(first, last + 1, int(match[3] or 1)))


def _number(day: str) -> int:
    return int(day) if day.isdigit() else _DAYS.index(day.casefold())
