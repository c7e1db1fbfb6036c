"""When a schedule is due, read from its cron line."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger
from tzlocal import get_localzone_name

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NUMBERS = re.compile(r"([0-7])(?:-([0-7]))?(?:/([1-9]))?")


def local_zone() -> str:
    """The IANA name of this computer's time zone."""
    return get_localzone_name() or "UTC"


def trigger(cron: str, zone: str) -> CronTrigger:
    """The times of a line of five fields: minute, hour, day, month, weekday (0 and 7 are Sunday).

    All five must fit, unlike in cron(8), where one of the two kinds of day is enough. Raises
    ValueError for a line or a time zone that cannot be read, and for one that never comes.
    """
    fields = cron.split()
    if len(fields) != 5:
        raise ValueError(f"a cron line has 5 fields, this one has {len(fields)}")
    fields[4] = ",".join(_weekdays(part) for part in fields[4].split(","))
    try:
        timezone = ZoneInfo(zone)
    except (LookupError, ValueError, OSError) as exc:
        raise ValueError(f"{zone[:80]!r} is no time zone; write Europe/Berlin or UTC") from exc
    found = _OnceADay.from_crontab(" ".join(fields), timezone=timezone)
    found.every_hour = fields[1].startswith("*")
    if found.get_next_fire_time(None, datetime.now(timezone)) is None:
        raise ValueError("this time never comes")
    return found


class _OnceADay(CronTrigger):  # type: ignore[misc]
    """A time of the hour that comes twice when clocks are set back is meant once, as by cron(8);
    `every_hour` means each of the two."""

    every_hour = False

    def get_next_fire_time(
        self, previous_fire_time: datetime | None, now: datetime
    ) -> datetime | None:
        found: datetime | None = super().get_next_fire_time(previous_fire_time, now)
        while found is not None and not self.every_hour and _is_repeated(found):
            later = found.astimezone(UTC) + timedelta(minutes=1)
            found = super().get_next_fire_time(None, later)
        return found


def _is_repeated(time: datetime) -> bool:
    return time.utcoffset() != time.replace(fold=0).utcoffset()


def _weekdays(part: str) -> str:
    """Numbers as names: APScheduler counts from Monday, cron from Sunday."""
    match = _NUMBERS.fullmatch(part)
    if match is None:
        return part
    first, step = int(match[1]), int(match[3] or 1)
    last = int(match[2]) if match[2] else (6 if match[3] else first)
    if last < first:
        raise ValueError(f"the weekdays {part!r} go backwards")
    return ",".join(_DAYS[day % 7] for day in range(first, last + 1, step))
