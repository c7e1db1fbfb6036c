"""Routes of schedules: goals that are repeated."""

from __future__ import annotations

from fastapi import APIRouter, Request

from app.api.access import caller_of, may_know
from app.tasks.schedule import Change, NewSchedule, Schedule, ScheduleRecord
from app.tasks.schedules import Schedules


def schedule_routes(schedules: Schedules) -> APIRouter:
    router = APIRouter(prefix="/schedules", tags=["schedules"])

    @router.get("")
    async def list_schedules(request: Request) -> dict[str, list[Schedule]]:
        """Oldest first, each with its next run and the tasks of its last run."""
        return {"schedules": [_told(each, request) for each in await schedules.list()]}

    @router.post("", status_code=201)
    async def add_schedule(new: NewSchedule, request: Request) -> Schedule:
        """Give a goal at the times of a cron line, until the schedule is removed or switched off.

        A phone whose last task of this schedule has not ended is left out of a run.
        """
        return _told(await schedules.add(new, caller_of(request.scope)), request)

    @router.get("/{schedule_id}")
    async def get_schedule(schedule_id: str, request: Request) -> Schedule:
        return _told(await schedules.get(schedule_id), request)

    @router.patch("/{schedule_id}")
    async def change_schedule(schedule_id: str, change: Change, request: Request) -> Schedule:
        """Change the given fields; `{"enabled": false}` switches it off."""
        return _told(await schedules.change(schedule_id, change), request)

    @router.post("/{schedule_id}/run")
    async def run_schedule(schedule_id: str, request: Request) -> Schedule:
        """Create its tasks now, in addition to its times; they are in `last_tasks`."""
        return _told(await schedules.run_now(schedule_id), request)

    @router.delete("/{schedule_id}", status_code=204)
    async def remove_schedule(schedule_id: str) -> None:
        """Tasks that it has created continue."""
        await schedules.remove(schedule_id)

    return router


def _told(record: ScheduleRecord, request: Request) -> Schedule:
    return record.told(private=may_know(request.scope, record.owner))
