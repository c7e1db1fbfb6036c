"""Routes of a task's records: its steps, screenshots and events, and all of them in one file."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import IO, Annotated

from fastapi import APIRouter, Header
from fastapi import Path as PathParameter
from fastapi.responses import Response, StreamingResponse

from app.api.event_stream import event_stream
from app.api.tasks import TaskId
from app.errors import DiskFull, InputError
from app.events import Event
from app.tasks.models import Step
from app.tasks.reading import Reading

StepNumber = Annotated[int, PathParameter(ge=1, le=1_000_000)]
_CHUNK_BYTES = 2**18


def record_routes(reading: Reading) -> APIRouter:
    router = APIRouter(prefix="/tasks", tags=["tasks"])

    @router.get("/{task_id}/steps")
    async def list_steps(task_id: TaskId) -> dict[str, list[Step]]:
        return {"steps": await reading.steps(task_id)}

    @router.get(
        "/{task_id}/steps/{number}/screenshot",
        response_class=Response,
        responses={200: {"content": {"image/jpeg": {}}}},
    )
    async def get_screenshot(task_id: TaskId, number: StepNumber) -> Response:
        """The screen as the model saw it in that step, as JPEG."""
        jpeg = await reading.screenshot(task_id, number)
        return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": "max-age=3600"})

    @router.get(
        "/{task_id}/export",
        response_class=StreamingResponse,
        responses={200: {"content": {"application/zip": {}}}},
    )
    async def export_task(task_id: TaskId) -> StreamingResponse:
        """The whole task as one zip: records, screenshots, a page that replays it, chat turns."""
        # The file has no name, so that nothing is left of it however the response ends.
        try:
            file: IO[bytes] = await asyncio.to_thread(tempfile.TemporaryFile)
            task = await reading.export(task_id, file)
        except OSError as exc:
            raise DiskFull(
                f"the export could not be written: {exc.strerror}",
                f"There must be room in {tempfile.gettempdir()}, or set TMPDIR to another folder.",
            ) from exc
        headers = {
            "Content-Disposition": f'attachment; filename="phonepilot-{task.id}.zip"',
            "Content-Length": str(file.tell()),
        }
        file.seek(0)
        return StreamingResponse(_chunks(file), media_type="application/zip", headers=headers)

    @router.get(
        "/{task_id}/events",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {}}}},
    )
    async def follow_task(
        task_id: TaskId, last_event_id: Annotated[str | None, Header()] = None
    ) -> StreamingResponse:
        """Server-sent events until the task ends; resumes after `Last-Event-ID`."""
        after = _event_number(last_event_id)
        await reading.get(task_id)
        return event_stream(_sse(reading.events(task_id, after)))

    return router


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def _event_number(text: str | None) -> int:
    if not text:
        return 0
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise InputError("Last-Event-ID must be an id that this stream has sent")
    return int(text)


async def _sse(events: AsyncIterator[Event]) -> AsyncGenerator[str]:
    async for event in events:
        data = json.dumps(event.data, ensure_ascii=False)
        yield f"id: {event.seq}\nevent: {event.kind}\ndata: {data}\n\n"
