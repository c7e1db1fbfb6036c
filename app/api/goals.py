"""The route that lists the goals which the model knows."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter
from pydantic import BaseModel

from app.api.ports import GoalKind


class KnownGoals(BaseModel):
    """Goals of one kind: what is done, to which things, and one of them as it may be written."""

    title: str
    things: list[str]
    example: str


class Goals(BaseModel):
    """What a task may ask for. With `any_goal` there is no list, and the model will try."""

    any_goal: bool
    known: list[KnownGoals]


def goal_routes(kinds: Sequence[GoalKind]) -> APIRouter:
    router = APIRouter(tags=["tasks"])

    @router.get("/goals")
    async def known_goals() -> Goals:
        """The goals that the configured model knows. A task with any other one ends with the reason
        `out_of_scope` before the phone is touched."""
        known = [
            KnownGoals(title=kind.title, things=list(kind.things), example=kind.example)
            for kind in kinds
        ]
        return Goals(any_goal=not known, known=known)

    return router
