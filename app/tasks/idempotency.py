"""The header Idempotency-Key: a request that is repeated with its key makes one task."""

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
"""Milliseconds for one guess. A secret may be a short PIN, and a plain digest of it beside the
request would give it away to whoever reads the database (RFC 7914)."""


class Keys:
    """Claims keys for the requests of one service."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def claim(self, key: str | None, new: NewTask) -> AsyncIterator[tuple[str, bool]]:
        """(id of the task, whether it is still to be made) for a request that came with a key.

        Repetitions wait here for the first one, which may still be looking for its phone. A key
        whose task could not be made is free again. Raises KeyReused.
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
    """What a request is known by. With secrets in it, the digest has a salt and is slow to guess:
    "salt:hex"; otherwise the SHA-256 of the request."""
    body = new.model_dump_json()  # where secrets are stars
    if not new.secrets:
        return hashlib.sha256(body.encode()).hexdigest()
    salt = salt or secrets.token_hex(8)
    given = {name: value.get_secret_value() for name, value in sorted(new.secrets.items())}
    text = f"{body}\n{json.dumps(given)}".encode("utf-8", "surrogatepass")
    return f"{salt}:{hashlib.scrypt(text, salt=salt.encode(), **_SCRYPT).hex()}"


def stands_for(digest: str, new: NewTask) -> bool:
    """Whether a digest that was kept is that of this request."""
    salt, colon, _ = digest.partition(":")
    return hmac.compare_digest(digest, digest_of(new, salt if colon else ""))
