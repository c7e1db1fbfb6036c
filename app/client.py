"""A client of the service's own HTTP API, for the command line and the demo."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from app.errors import AppError, InputError, ServiceRefused, ServiceUnreachable

TIMEOUT_S = 30.0
TOKEN_VARIABLE = "PHONEPILOT_TOKEN"
"""Environment variable with the access token of a service that requires one."""


RESUME_S = 60.0
"""Seconds during which a broken event stream is retried."""
PAUSES_S = (0.2, 0.5, 1.0, 2.0)
SILENCE_S = 45.0
"""Seconds without data after which the connection counts as dead: three missed keep-alives."""
_GATEWAY = (502, 503, 504)
"""Status codes of a proxy while the service behind it is away."""


@dataclass
class _Place:
    """How far a stream has been read: the number of the last event, and the last step."""

    number: str = ""
    step: int = 0

    def is_new(self, kind: str, data: dict[str, Any]) -> bool:
        """Return False for a step already received: old events have new numbers after a restart."""
        if kind != "step":
            return True
        is_new = int(data["number"]) > self.step
        self.step = max(self.step, int(data["number"]))
        return is_new


class ServiceClient:
    """`async with ServiceClient(url) as service`; every call raises AppError."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        token = os.environ.get(TOKEN_VARIABLE, "")
        self._http = httpx.AsyncClient(
            base_url=self.url,
            timeout=TIMEOUT_S,
            trust_env=False,
            headers={"Authorization": f"Bearer {token}"} if token else {},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def get(self, path: str) -> dict[str, Any]:
        return await self.call("GET", path)

    async def post(
        self, path: str, body: dict[str, Any] | None = None, *, patient: bool = False
    ) -> dict[str, Any]:
        """With `patient`, wait for the answer however long it takes."""
        return await self.call("POST", path, body, patient=patient)

    async def delete(self, path: str) -> None:
        await self.call("DELETE", path)

    async def download(self, path: str, target: Path) -> int:
        """Save a response body as a file, named once it is complete; return its size."""
        partial, size = target.with_name(f".{target.name}.part"), 0
        try:
            async with self._translated(), self._http.stream("GET", path) as response:
                if not response.is_success:
                    raise _refused(await response.aread())
                with partial.open("wb") as file:
                    async for chunk in response.aiter_bytes():
                        size += file.write(chunk)
            partial.replace(target)
        except OSError as exc:
            raise InputError(f"{target} cannot be written: {exc.strerror}") from exc
        finally:
            partial.unlink(missing_ok=True)
        return size

    async def events(self, task_id: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Yield (kind, data) of everything that happens to a task, until its end.

        A broken stream is resumed where it ended, even after a restart of the service; after a
        minute without success, raises ServiceUnreachable.
        """
        clock = asyncio.get_running_loop().time
        place, heard, tries = _Place(), clock(), 0
        while True:
            try:
                async for kind, data in self._stream(task_id, place):
                    heard, tries = clock(), 0
                    yield kind, data
                    if kind == "end":
                        return
                why = "the stream of events ended early"
            except ServiceUnreachable as exc:
                why = exc.message
            if clock() - heard > RESUME_S:
                raise ServiceUnreachable(why)
            await asyncio.sleep(PAUSES_S[min(tries, len(PAUSES_S) - 1)])
            tries += 1

    async def _stream(
        self, task_id: str, place: _Place
    ) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Yield what one connection sends after `place`, and update `place`."""
        path, headers = f"/tasks/{task_id}/events", {"Last-Event-ID": place.number}
        limits = httpx.Timeout(TIMEOUT_S, read=SILENCE_S)
        async with (
            self._translated(),
            self._http.stream(
                "GET", path, timeout=limits, headers=headers if place.number else None
            ) as response,
        ):
            if response.status_code in _GATEWAY:
                raise ServiceUnreachable(f"{self.url} answers with {response.status_code}")
            if not response.is_success:
                raise _refused(await response.aread())
            kind = number = ""
            async for line in response.aiter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                elif name == "id":
                    number = value
                elif name == "data":
                    data = json.loads(value)
                    place.number = number
                    if place.is_new(kind, data):
                        yield kind, data

    async def call(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, patient: bool = False
    ) -> dict[str, Any]:
        timeout = httpx.Timeout(TIMEOUT_S, read=None if patient else TIMEOUT_S)
        async with self._translated():
            response = await self._http.request(method, path, json=body, timeout=timeout)
        if not response.is_success:
            raise _refused(response.content)
        return dict(response.json()) if response.content else {}

    @asynccontextmanager
    async def _translated(self) -> AsyncIterator[None]:
        try:
            yield
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise ServiceUnreachable(f"no phonepilot answers at {self.url} ({exc})") from exc


def _refused(content: bytes) -> AppError:
    try:
        body = json.loads(content)["error"]
    except (ValueError, KeyError, TypeError):
        body = {"code": "service_refused", "message": content[:200].decode(errors="replace")}
    return ServiceRefused(body)
