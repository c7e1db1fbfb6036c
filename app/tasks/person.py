"""The person behind a task: asked through the task's status, answered over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from app.agent.step import Answer, Question
from app.errors import NoOpenQuestion
from app.tasks.models import OpenQuestion, Status
from app.tasks.new_task import Reply

STATUS_OF: dict[str, Status] = {"confirmation": "needs_confirmation", "step": "needs_confirmation"}
"""The status by kind of question; every other kind is needs_human."""

Announce = Callable[[OpenQuestion | None, Status], Awaitable[None]]


class Person:
    """Asks one question at a time and waits `timeout_s` seconds for the reply.

    `announce` gets the question with the status that it gives the task, and None with "running"
    once it is answered. It must store the question's number before it returns, so that no later run
    of the service uses it again.
    """

    def __init__(self, announce: Announce, timeout_s: float, asked: int = 0) -> None:
        """`asked` is the number of the last question asked before."""
        self._announce = announce
        self._timeout_s = timeout_s
        self._asked = asked
        self._open: asyncio.Future[Answer] | None = None

    async def ask(self, question: Question) -> Answer:
        self._asked += 1
        replied: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._open = replied
        try:
            asked = self._written(question)
            await self._announce(asked, STATUS_OF.get(question.kind, "needs_human"))
            await asyncio.wait({replied}, timeout=self._timeout_s)
        finally:
            # From here on no reply is accepted, so that an accepted reply always counts.
            self._open = None
            await self._announce(None, "running")
        if replied.done():
            return replied.result()
        return Answer(False, reason=f"nobody answered within {self._timeout_s:g} s")

    def _written(self, question: Question) -> OpenQuestion:
        action, about = question.action, question.about
        return OpenQuestion(
            number=self._asked,
            kind=question.kind,
            text=question.text,
            hint=question.hint,
            action=action.model_dump(mode="json") if action else None,
            category=question.category,
            app=(about.app or about.package) if about else "",
            page=about.activity if about else "",
            label=about.target if about else "",
            said=question.said,
            thought=question.thought,
            asked_at=datetime.now(UTC),
            timeout_s=self._timeout_s,
        )

    def reply(self, reply: Reply) -> None:
        """Answer the open question; raises NoOpenQuestion if there is none, or a different one."""
        if self._open is None or self._open.done():
            raise NoOpenQuestion("the task has no open question")
        if reply.question not in (None, self._asked):
            raise NoOpenQuestion(
                f"question {reply.question} is not open; {self._asked} is",
                "Read the task again: it has asked something else meanwhile.",
            )
        self._open.set_result(Answer(reply.allow, reply.text))
