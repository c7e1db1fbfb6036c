"""Routes of schedules: goals that are given again and again."""

from __future__ import annotations

from fastapi import APIRouter

from app.tasks.schedules import Change, NewSchedule, Schedule, Schedules


def schedule_routes(schedules: Schedules) -> APIRouter:
    router = APIRouter(prefix="/schedules", tags=["schedules"])

    @router.get("")
    async def list_schedules() -> dict[str, list[Schedule]]:
        """The oldest first, each with its next run and the tasks of its last one."""
        return {"schedules": [*await schedules.list()]}

    @router.post("", status_code=201)
    async def add_schedule(new: NewSchedule) -> Schedule:
        """Give a goal at the times of a cron line, until the schedule is removed or switched off.

        A phone whose last task of this schedule has not ended is left out of a run.
        """
        return await schedules.add(new)

    @router.get("/{schedule_id}")
    async def get_schedule(schedule_id: str) -> Schedule:
        return await schedules.get(schedule_id)

    @router.patch("/{schedule_id}")
    async def change_schedule(schedule_id: str, change: Change) -> Schedule:
        """Change what is given; `{"enabled": false}` switches it off."""
        return await schedules.change(schedule_id, change)

    @router.post("/{schedule_id}/run")
    async def run_schedule(schedule_id: str) -> Schedule:
        """Give its tasks now, besides its times; they are in `last_tasks`."""
        return await schedules.run_now(schedule_id)

    @router.delete("/{schedule_id}", status_code=204)
    async def remove_schedule(schedule_id: str) -> None:
        """Tasks that it has given go on."""
        await schedules.remove(schedule_id)

    return router
