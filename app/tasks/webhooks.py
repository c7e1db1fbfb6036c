"""Notifies other programs about a task: signed requests to its `callback_url`.

The format is Standard Webhooks (https://www.standardwebhooks.com), so that its libraries can verify
them: `webhook-id`, `webhook-timestamp`, and `webhook-signature` over both and the body. An event is
stored in the database before it is sent, and stays there until it is accepted.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import logging
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx
from pydantic import AwareDatetime, BaseModel
from sqlalchemy import (
    ColumnElement,
    Connection,
    Text,
    and_,
    case,
    delete,
    func,
    select,
    type_coerce,
    update,
)

from app import __version__
from app.background import Background
from app.errors import InputError
from app.proxies import Proxies, ProxyTransport
from app.tasks.database import Database, deliveries, upsert
from app.tasks.stored import TaskRecord, body_of

log = logging.getLogger(__name__)

RETRIES_S = (5, 30, 120, 900, 3600, 6 * 3600, 24 * 3600)
"""Seconds from each failed attempt to the next; after the last one the delivery is given up."""
TIMEOUT_S = 10.0
_TOGETHER, _TO_ONE_HOST = 16, 2
"""Deliveries under way at once, in total and to one receiver."""
_IDLE_S = 3600.0
SECRET_PREFIX = "whsec_"


class Delivery(BaseModel):
    """One event for one URL; a repetition has the same id, by which receivers recognise it."""

    id: str
    url: str
    payload: str
    due_at: AwareDatetime
    attempts: int = 0


class Webhooks:
    """Stores deliveries and makes them, from `start` to `close`."""

    def __init__(self, database: Database, secret: str, allowed_hosts: tuple[str, ...]) -> None:
        """`secret` is "whsec_" and base64; without `allowed_hosts` every host is allowed.

        Raises ConfigError for a bad proxy in the environment.
        """
        self._database = database
        self._key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
        self._allowed = {host.casefold() for host in allowed_hosts}
        self._delivering = Background("delivering webhooks", self._deliver_due)
        self._under_way: dict[str, asyncio.Task[None]] = {}
        # Redirects are not followed: they could lead to a host that the operator did not allow.
        self._http = httpx.AsyncClient(
            timeout=TIMEOUT_S,
            follow_redirects=False,
            transport=ProxyTransport(Proxies.from_environment()),
            trust_env=False,
        )

    def check(self, url: str) -> None:
        """Raise InputError for a URL that is not allowed."""
        host = (urlsplit(url).hostname or "").casefold()
        if self._allowed and host not in self._allowed:
            raise InputError(
                f"callback_url: the host {host[:100]!r} is not allowed",
                "service.callback_hosts in the configuration names those that are.",
            )

    async def tell(self, kind: str, task: TaskRecord, name: str = "") -> None:
        """Store an event of a task for delivery; `name` distinguishes it from others of its kind.

        The same event sent again, as after a restart, replaces the first.
        """
        if task.callback_url is None:
            return
        event = {
            "type": kind,
            "timestamp": datetime.now(UTC).isoformat(),
            "data": task.event(),
        }
        await self._keep(
            Delivery(
                id=f"msg_{task.id}_{kind}{name}".replace(".", "_"),
                url=task.callback_url,
                payload=json.dumps(event, ensure_ascii=False),
                due_at=datetime.now(UTC),
            )
        )
        self._delivering.wake()

    def start(self) -> None:
        self._delivering.start()

    async def close(self) -> None:
        """Stop. Deliveries that were not accepted yet are retried after the next start."""
        await self._delivering.close()
        for attempt in [*self._under_way.values()]:
            attempt.cancel()
        if self._under_way:
            await asyncio.wait({*self._under_way.values()})
        await self._http.aclose()

    async def _deliver_due(self) -> float:
        """Start the deliveries that are due; return the seconds until the next one may be due.

        Each runs on its own, so that a slow receiver delays only its own deliveries.
        """
        due, next_at = await self._due()
        for delivery in due:
            attempt = asyncio.create_task(self._attempt(delivery), name=_host(delivery.url))
            self._under_way[delivery.id] = attempt
            attempt.add_done_callback(partial(self._done, delivery.id))
        if next_at is None:
            return _IDLE_S
        return min(_IDLE_S, max(0.05, (next_at - datetime.now(UTC)).total_seconds()))

    def _done(self, name: str, attempt: asyncio.Task[None]) -> None:
        del self._under_way[name]
        if not attempt.cancelled() and (error := attempt.exception()) is not None:
            # Its row could not be changed; wait, or it would be retried at once.
            log.error("webhook %s: %r", name, error)
            asyncio.get_running_loop().call_later(RETRIES_S[0], self._delivering.wake)
            return
        self._delivering.wake()

    async def _attempt(self, delivery: Delivery) -> None:
        try:
            status = await self._post(delivery)
            taken, gone, said = 200 <= status < 300, status == 410, f"answered {status}"
        except Exception as exc:  # a fault of one receiver must not affect the others
            taken, gone, said = False, False, type(exc).__name__
        if taken:
            await self._drop(delivery)
            return
        host = urlsplit(delivery.url).hostname  # the rest of a URL may contain a secret
        if gone or delivery.attempts >= len(RETRIES_S):
            log.warning("webhook %s given up: %s %s", delivery.id, host, said)
            await self._drop(delivery)
            return
        delay = timedelta(seconds=RETRIES_S[delivery.attempts])
        log.info("webhook %s is tried again in %s: %s %s", delivery.id, delay, host, said)
        later = delivery.model_copy(
            update={"attempts": delivery.attempts + 1, "due_at": datetime.now(UTC) + delay}
        )
        put_off = update(deliveries).where(_is_still(delivery)).values(_row(later))
        await self._database.call(lambda c: c.execute(put_off))

    async def _post(self, delivery: Delivery) -> int:
        """Return the status code of the receiver's response; the rest of it is not read."""
        content, headers = delivery.payload.encode(), self._headers(delivery)
        async with (
            asyncio.timeout(TIMEOUT_S),
            self._http.stream("POST", delivery.url, content=content, headers=headers) as answer,
        ):
            return answer.status_code

    def _headers(self, delivery: Delivery) -> dict[str, str]:
        sent_at = str(int(datetime.now(UTC).timestamp()))
        signed = f"{delivery.id}.{sent_at}.{delivery.payload}".encode()
        mark = base64.b64encode(hmac.digest(self._key, signed, hashlib.sha256)).decode()
        return {
            "content-type": "application/json",
            "user-agent": f"phonepilot/{__version__}",
            "webhook-id": delivery.id,
            "webhook-timestamp": sent_at,
            "webhook-signature": f"v1,{mark}",
        }

    async def _due(self) -> tuple[list[Delivery], datetime | None]:
        """Return (what may start now, when the next one is due).

        An unreadable row is deleted, so that it does not block other deliveries.
        """
        now = datetime.now(UTC)
        text = type_coerce(deliveries.c.body, Text)
        readable = func.json_valid(text) == 1
        url = case((readable, deliveries.c.body["url"].as_string()))
        ready = (
            select(deliveries.c.id, url)
            .where(deliveries.c.due_at <= now.isoformat())
            .order_by(deliveries.c.due_at)
        )
        later = select(func.min(deliveries.c.due_at)).where(deliveries.c.due_at > now.isoformat())

        def read(connection: Connection) -> tuple[list[Delivery], datetime | None]:
            # All due deliveries are passed over by address, so that any number waiting for one
            # receiver does not hide those of the others. Only the few that may start are loaded.
            found, dropped = list[Delivery](), False
            for name in self._chosen(connection.execute(ready)):
                body = select(text).where(deliveries.c.id == name)
                delivery = _delivery(name, connection.execute(body).scalar())
                if delivery is None:
                    connection.execute(delete(deliveries).where(deliveries.c.id == name))
                    dropped = True
                else:
                    found.append(delivery)
            # If one was dropped, look for the next one at once.
            return found, now if dropped else _time(connection.execute(later).scalar())

        return await self._database.call(read)

    def _chosen(self, due: Iterable[Any]) -> list[str]:
        """Choose the ids that may start: a few per receiver, and not too many at once."""
        free = _TOGETHER - len(self._under_way)
        busy = Counter(attempt.get_name() for attempt in [*self._under_way.values()])
        chosen: list[str] = []
        for name, url in due:
            if len(chosen) >= free:
                break
            host = _host(url)
            if name not in self._under_way and busy[host] < _TO_ONE_HOST:
                busy[host] += 1
                chosen.append(name)
        return chosen

    async def _keep(self, delivery: Delivery) -> None:
        kept = upsert(deliveries, _row(delivery), "id")
        await self._database.call(lambda c: c.execute(kept))

    async def _drop(self, delivery: Delivery) -> None:
        gone = delete(deliveries).where(_is_still(delivery))
        await self._database.call(lambda c: c.execute(gone))


def _host(url: Any) -> str:
    """Return the receiver of an address; "" if it is unreadable."""
    try:
        return urlsplit(url).netloc if isinstance(url, str) else ""
    except ValueError:
        return ""


def _time(text: Any) -> datetime | None:
    """Parse when the next one is due; an unreadable time is now."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return datetime.now(UTC)
    return found if found.tzinfo else datetime.now(UTC)


def _row(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "due_at": delivery.due_at.isoformat(),
        "body": delivery.model_dump(mode="json"),
    }


def _delivery(name: str, body: Any) -> Delivery | None:
    try:
        found = Delivery.model_validate(body_of(body))
        urlsplit(found.url)
    except ValueError as exc:
        log.error("webhook %s cannot be read and is dropped: %s", name, type(exc).__name__)
        return None
    return found


def _is_still(delivery: Delivery) -> ColumnElement[bool]:
    """Match the delivery unless it was replaced by a newer event while it was being sent."""
    payload = deliveries.c.body["payload"].as_string()
    return and_(deliveries.c.id == delivery.id, payload == delivery.payload)
