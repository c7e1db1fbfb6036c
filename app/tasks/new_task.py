"""From a request to a task: its phone, its limits, what it follows, and the key it came with."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Literal, Protocol
from weakref import WeakValueDictionary

from app.agent.dialects.base import Dialect, Exchange
from app.errors import InputError, KeyReused, TaskNotFound
from app.tasks.assignment import exchanges_of
from app.tasks.models import OPEN, Confirm, NewTask, Task
from app.tasks.ports import Fleet
from app.tasks.queue import ANY
from app.tasks.store import Store


class Defaults(Protocol):
    """The part of the configuration that tasks depend on."""

    @property
    def lang(self) -> Literal["en", "zh"]: ...

    @property
    def max_steps(self) -> int: ...

    @property
    def timeout_s(self) -> float: ...

    @property
    def profile(self) -> str: ...

    @property
    def confirm(self) -> Confirm: ...

    @property
    def reply_timeout_s(self) -> float: ...

    @property
    def resume_within_s(self) -> float: ...


class Intake:
    """`get` finds a task, running or stored; raises TaskNotFound."""

    def __init__(
        self,
        fleet: Fleet,
        store: Store,
        defaults: Defaults,
        get: Callable[[str], Awaitable[Task]],
        dialect: Dialect,
    ) -> None:
        self._dialect = dialect
        self._fleet = fleet
        self._store = store
        self._defaults = defaults
        self._get = get
        self._keys: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def claim(self, key: str | None, new: NewTask) -> AsyncIterator[tuple[str, bool]]:
        """(id of the task, whether it is still to be made) for a request that came with a key.

        Repetitions wait here for the first one, which may still be looking for its phone. A key
        whose task could not be made is free again. Raises KeyReused.
        """
        task_id = secrets.token_hex(8)
        if key is None:
            yield task_id, True
            return
        async with self._keys.setdefault(key, asyncio.Lock()):
            digest = hashlib.sha256(new.model_dump_json().encode()).hexdigest()
            claimed, other = await self._store.claim_key(key, digest, task_id)
            if other != digest:
                raise KeyReused("this Idempotency-Key came with another request before")
            try:
                yield claimed, claimed == task_id
            except BaseException:
                if claimed == task_id:
                    await self._store.free_key(key)
                raise

    async def make(self, new: NewTask, task_id: str) -> Task:
        """The task for a request. Raises DeviceError when no phone fits, InputError for one that
        cannot be followed."""
        followed = await self._followed(new)
        device = await self._device(followed.device if followed else new.device)
        defaults = self._defaults
        return Task(
            id=task_id,
            goal=new.goal,
            device=device,
            priority=new.priority,
            status="queued",
            max_steps=new.max_steps or defaults.max_steps,
            timeout_s=new.timeout_s or defaults.timeout_s,
            lang=new.lang or (followed.lang if followed else defaults.lang),
            profile=defaults.profile,
            confirm=new.confirm or defaults.confirm,
            allowed_apps=new.allowed_apps or [],
            mode=new.mode,
            follows=new.follows,
            callback_url=new.callback_url,
            secret_fields=new.secret_fields,
            created_at=datetime.now(UTC),
        )

    async def _device(self, wanted: str | None) -> str:
        """The serial that is meant. For any phone, one must be there to begin with."""
        if wanted == ANY:
            if any(phone.state == "device" for phone in await self._fleet.phones()):
                return ANY
            wanted = None
        return (await self._fleet.choose(wanted)).serial

    async def _followed(self, new: NewTask) -> Task | None:
        if new.follows is None:
            return None
        followed = await self._get(new.follows)
        if followed.status in OPEN:
            raise InputError(
                f"task {followed.id} has not ended yet",
                "Wait for it, or answer its question with POST /tasks/{id}/reply.",
            )
        if new.device not in (None, followed.device):
            raise InputError(f"task {followed.id} ran on {followed.device}", "Leave `device` out.")
        return followed

    async def conversation(self, task: Task) -> list[Exchange]:
        """The exchanges so far, oldest first: of the tasks that this one follows, and its own when
        it goes on after a restart."""
        earlier: list[Exchange] = []
        if task.follows is not None:
            with suppress(TaskNotFound):  # too old to be kept; the rest is told without it
                earlier = await self.conversation(await self._store.get_task(task.follows))
        if task.steps:
            earlier += exchanges_of(self._dialect, task, await self._store.list_steps(task.id))
        return earlier
