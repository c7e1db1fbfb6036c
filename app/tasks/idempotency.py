"""The Idempotency-Key header: a request repeated with the same key creates only one task."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from app.errors import KeyReused
from app.tasks.new_task import NewTask, new_id
from app.tasks.store import Store

_SCRYPT = {"n": 2**12, "r": 8, "p": 1}
"""Costs milliseconds per guess. A secret may be a short PIN, and a plain digest of it next to the
request would reveal it to anyone who reads the database (RFC 7914)."""


class Keys:
    """Claims the keys of one service's requests."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def claim(self, key: str | None, new: NewTask) -> AsyncIterator[tuple[str, bool]]:
        """Yield (task id, whether the task still has to be created) for a request with a key.

        A repetition waits here for the first request, which may still be looking for its phone. If
        the task could not be created, its key is free again. Raises KeyReused.
        """
        task_id = new_id()
        if key is None:
            yield task_id, True
            return
        async with self._locks.setdefault(key, asyncio.Lock()):
            digest = await asyncio.to_thread(digest_of, new)
            claimed, other = await self._store.claim_key(key, digest, task_id)
            if not await asyncio.to_thread(stands_for, other, new):
                raise KeyReused("this Idempotency-Key was used for another request")
            try:
                yield claimed, claimed == task_id
            except BaseException:
                if claimed == task_id:
                    await asyncio.shield(self._store.free_key(key))
                raise


def digest_of(new: NewTask, salt: str = "") -> str:
    """Return a digest that identifies a request. With secrets, the digest is salted and slow to
    guess: "salt:hex"; otherwise it is the request's SHA-256."""
    body = new.model_dump_json()  # in which secrets are asterisks
    if not new.secrets:
        return hashlib.sha256(body.encode()).hexdigest()
    salt = salt or secrets.token_hex(8)
    given = {name: value.get_secret_value() for name, value in sorted(new.secrets.items())}
    text = f"{body}\n{json.dumps(given)}".encode("utf-8", "surrogatepass")
    return f"{salt}:{hashlib.scrypt(text, salt=salt.encode(), **_SCRYPT).hex()}"


def stands_for(digest: str, new: NewTask) -> bool:
    """Whether a stored digest belongs to this request."""
    salt, colon, _ = digest.partition(":")
    return hmac.compare_digest(digest, digest_of(new, salt if colon else ""))
