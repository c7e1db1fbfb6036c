"""`/mcp`: phones and tasks as tools for other agents, using the Model Context Protocol.

Streamable HTTP without sessions. Each tool requires the right of its route.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, MutableMapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any, Literal

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.utilities.types import Image
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import Field, ValidationError
from starlette.routing import BaseRoute

from app import __version__
from app.api.access import caller_of, require
from app.api.live_screen import LiveScreens
from app.errors import AppError
from app.tasks.models import OPEN
from app.tasks.new_task import NewTask, Reply
from app.tasks.ports import Fleet
from app.tasks.runner import Runner
from app.tasks.stored import TaskRecord

MAX_WAIT_S = 600
SCREEN_SIDE = 1200
INSTRUCTIONS = (
    "phonepilot works on Android phones: give it a goal in plain words and it taps, swipes and "
    "types until the goal is reached. A task whose status is needs_confirmation or needs_human "
    "waits for an answer; `question` in it says what for."
)


class McpTools:
    """The tools, and the routes that serve them after `start`."""

    def __init__(self, runner: Runner, fleet: Fleet, screens: LiveScreens) -> None:
        self._screens = screens
        self._runner = runner
        self._fleet = fleet
        self._server = MCPServer(
            "phonepilot", instructions=INSTRUCTIONS, version=__version__, log_level="WARNING"
        )
        for tool in (
            self.list_devices,
            self.screenshot,
            self.run_task,
            self.task_status,
            self.reply_to_task,
            self.cancel_task,
        ):
            self._server.add_tool(tool)
        # Host and Origin are already checked for every route of the service.
        unchecked = TransportSecuritySettings(enable_dns_rebinding_protection=False)
        asgi = self._server.streamable_http_app(stateless_http=True, transport_security=unchecked)
        self.routes: Sequence[BaseRoute] = asgi.routes

    def start(self) -> AbstractAsyncContextManager[None]:
        return self._server.session_manager.run()

    async def list_devices(self, context: Context[Any, Any]) -> dict[str, Any]:
        """The connected phones, with their state and the task that is using each of them."""
        async with _as_tool(context, "read"):
            phones = [
                {
                    "serial": phone.serial,
                    "state": phone.state,
                    "model": phone.model,
                    "task": self._runner.running_on(phone.serial),
                }
                for phone in await self._fleet.phones()
            ]
        return {"devices": phones}

    async def screenshot(
        self,
        context: Context[Any, Any],
        device: Annotated[
            str | None, Field(description="Serial; optional if there is only one phone.")
        ] = None,
    ) -> Image:
        """The current screen of a phone."""
        async with _as_tool(context, "read"):
            serial = (await self._fleet.choose(device)).serial
            frame = await self._screens.frame(serial)
            return Image(data=await self._screens.jpeg(frame, SCREEN_SIDE), format="jpeg")

    async def run_task(
        self,
        context: Context[Any, Any],
        goal: Annotated[str, Field(description="What should be done, in plain words.")],
        device: Annotated[
            str | None, Field(description="Serial, or any; optional if there is only one phone.")
        ] = None,
        wait_s: Annotated[
            float,
            Field(ge=0, le=MAX_WAIT_S, description="Seconds to wait for its end."),
        ] = 120,
        max_steps: Annotated[int | None, Field(ge=1, le=500)] = None,
        allowed_apps: Annotated[
            list[str] | None, Field(description="The only apps that may be touched.")
        ] = None,
        confirm: Annotated[
            Literal["ask", "deny"],
            Field(description="Ask about sensitive actions (reply_to_task), or refuse them all."),
        ] = "ask",
    ) -> dict[str, Any]:
        """Reach a goal on a phone. Returns the task when it has ended, asks something, or the time
        is up; task_status returns its further progress."""
        async with _as_tool(context, "run"):
            new = NewTask(
                goal=goal,
                device=device,
                max_steps=max_steps,
                allowed_apps=allowed_apps,
                confirm=confirm,
            )
            owner = caller_of(_scope(context))
            task = await self._runner.submit(new, owner=owner)
            return _told(await self._followed(task, wait_s, context))

    async def task_status(
        self,
        context: Context[Any, Any],
        task_id: str,
        wait_s: Annotated[float, Field(ge=0, le=MAX_WAIT_S)] = 0,
    ) -> dict[str, Any]:
        """The state of a task, and each of its steps in words."""
        async with _as_tool(context, "read"):
            task = await self._followed(await self._runner.find(task_id), wait_s, context)
            steps = await self._runner.reading.steps(task_id)
            told = [f"{step.number}. {step.summary or 'no action'}" for step in steps]
            return {**_told(task), "steps_taken": told}

    async def reply_to_task(
        self,
        context: Context[Any, Any],
        task_id: str,
        allow: Annotated[bool, Field(description="Yes, done, continue; or no.")],
        text: Annotated[str, Field(description="For the model to read.")] = "",
        question: Annotated[int | None, Field(description="Number of the question.")] = None,
    ) -> dict[str, Any]:
        """Answer a task's question. Answer for the person only what they have decided."""
        async with _as_tool(context, "run"):
            reply = Reply(allow=allow, text=text, question=question)
            return _told(await self._runner.reply(task_id, reply))

    async def cancel_task(self, context: Context[Any, Any], task_id: str) -> dict[str, Any]:
        """Stop a task; returns once nothing acts on the phone any more."""
        async with _as_tool(context, "run"):
            return _told(await self._runner.cancel(task_id))

    async def _followed(
        self, task: TaskRecord, wait_s: float, context: Context[Any, Any]
    ) -> TaskRecord:
        """Wait until the task has ended or asks something, reporting its steps meanwhile."""
        if not wait_s or task.status not in OPEN:
            return task
        try:
            async with asyncio.timeout(wait_s):
                async for event in self._runner.reading.events(task.id):
                    if event.kind == "step":
                        step, said = float(event.data["number"]), str(event.data["summary"])
                        await context.report_progress(step, float(task.max_steps), said)
                    elif event.kind == "task" and event.data["question"] and task.question:
                        break
        except TimeoutError:
            pass  # the task continues, and the result says so
        return await self._runner.find(task.id)


def _told(task: TaskRecord) -> dict[str, Any]:
    return task.event()


def _scope(context: Context[Any, Any]) -> MutableMapping[str, Any]:
    request = context.request_context.request
    return request.scope if request is not None else {}


@asynccontextmanager
async def _as_tool(context: Context[Any, Any], right: str) -> AsyncIterator[None]:
    """Convert errors to tool errors, which the caller reads; check the right first."""
    try:
        require(_scope(context), right)
        yield
    except AppError as exc:
        raise ToolError(f"{exc.code}: {exc.message}. {exc.hint}".rstrip()) from exc
    except ValidationError as exc:
        raise ToolError(f"input_invalid: {exc.errors()[0]['msg']}") from exc
