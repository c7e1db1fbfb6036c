"""Webhooks: signed so that the standard's own library takes them, and told until they are taken."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import insert, literal_column, select
from standardwebhooks import Webhook, WebhookVerificationError

from app.access_tokens import webhook_secret
from app.errors import InputError
from app.tasks import webhooks as webhooks_module
from app.tasks.database import Database, deliveries
from app.tasks.new_task import NewTask
from app.tasks.stored import TaskRecord
from app.tasks.webhooks import Webhooks


@dataclass
class Receiver:
    """A program that is told; answers with the next of `statuses`, and then with 204."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], str]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        fields = (line.partition(": ") for line in head.splitlines()[1:] if ": " in line)
        headers = {name.lower(): value for name, _, value in fields}
        body = await reader.readexactly(int(headers["content-length"]))
        self.got.append((headers, body.decode()))
        status = self.statuses.pop(0) if self.statuses else 204
        extra = "Location: http://127.0.0.1:1/\r\n" if status == 302 else ""
        writer.write(f"HTTP/1.1 {status} x\r\n{extra}Content-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()
        self.news.set()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.got) < count:
                self.news.clear()
                await self.news.wait()


@asynccontextmanager
async def receiver(*statuses: int) -> AsyncIterator[Receiver]:
    found = Receiver(statuses=list(statuses))
    server = await asyncio.start_server(found.take, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook?key=1"
    async with server:
        yield found


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path)
    yield database
    await database.close()


@pytest.fixture
def secret(tmp_path: Path) -> str:
    return webhook_secret(tmp_path / "webhook-secret")


@asynccontextmanager
async def running(database: Database, secret: str) -> AsyncIterator[Webhooks]:
    webhooks = Webhooks(database, secret, ())
    webhooks.start()
    yield webhooks
    await webhooks.close()


def task(url: str | None) -> TaskRecord:
    return TaskRecord(
        id="07", goal="Open “Notes”", device="a", status="succeeded", max_steps=5, timeout_s=60,
        lang="en", created_at=datetime.now(UTC), callback_url=url,
    )  # fmt: skip


async def left(database: Database) -> list[Any]:
    return list(await database.call(lambda c: c.execute(deliveries.select()).all()))


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        for _ in itertools.count():
            if await condition():
                return
            await asyncio.sleep(0.01)


async def test_the_standards_own_library_verifies_what_is_sent(
    database: Database, secret: str
) -> None:
    async with receiver() as hook, running(database, secret) as webhooks:
        await webhooks.tell("task.ended", task(hook.url))
        await hook.until(1)
    headers, body = hook.got[0]
    event = Webhook(secret).verify(body, headers)
    assert event == json.loads(body)
    assert (event["type"], event["data"]["goal"]) == ("task.ended", "Open “Notes”")
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body.replace("succeeded", "failed"), headers)


async def test_a_refused_one_comes_again_under_the_same_id(
    database: Database, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks_module, "RETRIES_S", (0, 0, 0))
    async with receiver(500, 302) as hook, running(database, secret) as webhooks:
        await webhooks.tell("task.ended", task(hook.url))
        await hook.until(3)
        await until(lambda: _is_empty(database))
    assert len({headers["webhook-id"] for headers, _ in hook.got}) == 1


async def _is_empty(database: Database) -> bool:
    return not await left(database)


async def test_what_was_not_taken_is_told_after_a_restart(database: Database, secret: str) -> None:
    async with receiver() as hook:
        stopped = Webhooks(database, secret, ())  # killed before it began to send
        await stopped.tell("task.question", task(hook.url), "1")
        await stopped.tell("task.ended", task(hook.url))
        await stopped.tell("task.ended", task(hook.url))  # ended once more, after a kill
        await stopped.close()
        async with running(database, secret):
            await hook.until(2)
            await until(lambda: _is_empty(database))
    assert sorted(json.loads(body)["type"] for _, body in hook.got) == [
        "task.ended",
        "task.question",
    ]


@pytest.mark.parametrize("statuses", [(410,), (500,) * 9])
async def test_one_that_nobody_takes_is_given_up(
    database: Database, secret: str, monkeypatch: pytest.MonkeyPatch, statuses: tuple[int, ...]
) -> None:
    monkeypatch.setattr(webhooks_module, "RETRIES_S", (0, 0))
    async with receiver(*statuses) as hook, running(database, secret) as webhooks:
        await webhooks.tell("task.ended", task(hook.url))
        await hook.until(1 if statuses == (410,) else 3)
        await until(lambda: _is_empty(database))
    assert len(hook.got) == (1 if statuses == (410,) else 3)


async def test_an_unreachable_one_waits_and_is_no_fault(database: Database, secret: str) -> None:
    async with running(database, secret) as webhooks:
        await webhooks.tell("task.ended", task("http://127.0.0.1:1/"))

        async def tried() -> bool:
            return bool((await left(database))[0].body["attempts"] == 1)

        await until(tried)


async def test_only_allowed_hosts_are_told(database: Database, secret: str) -> None:
    webhooks = Webhooks(database, secret, ("Hooks.example",))
    webhooks.check("https://hooks.example/x")
    for url in ("https://other.example/", "https://hooks.example.evil.example/"):
        with pytest.raises(InputError):
            webhooks.check(url)
    await webhooks.tell("task.ended", task(None))
    assert await left(database) == []
    await webhooks.close()


@pytest.mark.parametrize(
    "url",
    ["", "ftp://a/", "file:///etc/passwd", "http://", "http://me:pw@a/", "http://a/ b", "//a", "a"],
)
def test_what_is_no_address_of_a_web_server_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        NewTask(goal="Open Notes", callback_url=url)


def test_the_secret_stays_and_is_nobody_elses_to_read(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "webhook-secret"
    assert webhook_secret(path) == webhook_secret(path)
    assert path.stat().st_mode & 0o077 == 0


async def test_one_that_fails_oddly_does_not_end_the_others(
    database: Database, secret: str
) -> None:
    odd = task(f"http://{'a' * 70}.example/").model_copy(update={"id": "odd"})
    async with receiver() as hook, running(database, secret) as webhooks:
        await webhooks.tell("task.ended", odd)

        async def tried() -> bool:
            return bool((await left(database))[0].body["attempts"] == 1)

        await until(tried)
        await webhooks.tell("task.ended", task(hook.url))
        await hook.until(1)


async def test_a_database_that_fails_once_does_not_end_them(
    database: Database, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks_module, "RETRIES_S", (0,))
    call, faults, failed = database.call, [OSError("disk full")], asyncio.Event()

    async def failing(work: Any) -> Any:
        if faults:
            failed.set()
            raise faults.pop()
        return await call(work)

    monkeypatch.setattr(database, "call", failing)
    async with receiver() as hook, running(database, secret) as webhooks:
        async with asyncio.timeout(10):
            await failed.wait()
        await webhooks.tell("task.ended", task(hook.url))
        await hook.until(1)


async def test_what_a_receiver_says_besides_its_status_is_not_waited_for(
    database: Database, secret: str
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n.")  # and no more
        await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, running(database, secret) as webhooks:
        await webhooks.tell("task.ended", task(url))
        async with asyncio.timeout(5):
            await until(lambda: _is_empty(database))


@pytest.mark.parametrize("status", [204, 500])
async def test_what_is_told_anew_while_the_old_is_sent_is_not_lost(
    database: Database, secret: str, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(webhooks_module, "RETRIES_S", (0, 0, 0))
    async with receiver(status) as hook, running(database, secret) as webhooks:
        post = webhooks._post

        async def told_meanwhile(delivery: Any) -> int:
            answer = await post(delivery)
            if len(hook.got) == 1:
                anew = task(hook.url).model_copy(update={"message": "ended once more"})
                await webhooks.tell("task.ended", anew)
            return answer

        monkeypatch.setattr(webhooks, "_post", told_meanwhile)
        await webhooks.tell("task.ended", task(hook.url))
        await hook.until(2)
        await until(lambda: _is_empty(database))
    assert [json.loads(body)["data"]["message"] for _, body in hook.got] == ["", "ended once more"]


async def test_a_receiver_that_is_slow_delays_nobody_else(database: Database, secret: str) -> None:
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        waiting.append(writer)
        await reader.read()

    waiting: list[asyncio.StreamWriter] = []
    slow = await asyncio.start_server(never, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{slow.sockets[0].getsockname()[1]}/"
    async with slow, receiver() as hook, running(database, secret) as webhooks:
        for number in range(600):
            late = task(url).model_copy(update={"id": f"slow{number}"})
            await webhooks.tell("task.ended", late)
        async with asyncio.timeout(5):  # less than one of them may take
            await webhooks.tell("task.ended", task(hook.url))
            await hook.until(1)
    assert 0 < len(waiting) <= 2
    for writer in waiting:
        writer.close()


@pytest.mark.parametrize("body", ["{", "[]", '{"url": 7}'])
async def test_one_that_cannot_be_read_keeps_nothing_else_from_being_told(
    database: Database, secret: str, body: str
) -> None:
    for name, due_at in (("due", "2026-01-01"), ("later", "2999-01-01")):
        row = {"id": name, "due_at": due_at, "body": literal_column(repr(body))}
        await database.call(lambda c, row=row: c.execute(insert(deliveries).values(row)))  # type: ignore[misc]
    async with receiver() as hook, running(database, secret) as webhooks:
        await webhooks.tell("task.ended", task(hook.url))
        await hook.until(1)
        await until(lambda: _only_later(database))


async def _only_later(database: Database) -> bool:
    ids = select(deliveries.c.id)  # without the bodies, which are damaged
    return await database.call(lambda c: [*c.execute(ids).scalars()]) == ["later"]
