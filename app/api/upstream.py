"""The engine behind `/v1`: its connections, and what a request to it needs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import httpx

from app.api.media_urls import complaint_about
from app.api.ports import Calls, Engine
from app.errors import EngineNotReady
from app.proxies import Proxies, ProxyTransport

SMALL_BYTES = 2**16
"""A body of this size is checked in less time than it takes to start another thread."""
CONNECT_TIMEOUT_S = 5.0


class Upstream:
    """Owns the connections to the engine.

    `count` is called with a caller and its tokens by kind. `api_key` returns the key that replaces
    the client's own in each request. `start_wait_s` is how long a request waits for the engine to
    start, and for its slot, before it is asked to retry; `idle_timeout_s` is how long a remote
    engine may send no byte. An engine of ours that is silent for so long has its pulse checked.
    `proxies` are those on the way to it.
    """

    def __init__(
        self,
        engine: Engine,
        calls: Calls,
        *,
        count: Callable[[str, Mapping[str, int]], None] = lambda caller, tokens: None,
        api_key: Callable[[], str] = lambda: "",
        start_wait_s: float = 60.0,
        idle_timeout_s: float = 120.0,
        proxies: Proxies | None = None,
    ) -> None:
        self.proxies = proxies or Proxies()
        self.engine = engine
        self.calls = calls
        self.count = count
        self.api_key = api_key
        self.start_wait_s = start_wait_s
        self.idle_timeout_s = idle_timeout_s
        self._http: httpx.AsyncClient | None = None
        self._checking = asyncio.Lock()

    async def complaint_about(self, body: bytearray) -> str:
        """Return why a local engine must not get a body; "" if it may. Large bodies are checked one
        at a time and outside the event loop."""
        if len(body) <= SMALL_BYTES:
            return complaint_about(body)
        async with self._checking:
            return await asyncio.to_thread(complaint_about, body)

    async def ready(self) -> str:
        """Return the base of the engine's API once it is ready; raises an `AppError`."""
        try:
            async with asyncio.timeout(self.start_wait_s):
                return await self.engine.ensure_ready()
        except TimeoutError as exc:  # the start continues; only this request has waited enough
            limit = self.start_wait_s
            raise EngineNotReady(f"the engine is not ready after {limit:g} s") from exc

    def client(self) -> httpx.AsyncClient:
        """The connection pool; `close_streams` drops it."""
        if self._http is None:
            limits = httpx.Limits(max_connections=None)
            transport = ProxyTransport(self.proxies, limits)
            self._http = httpx.AsyncClient(transport=transport, trust_env=False)
        return self._http

    def timeout(self, *, local: bool) -> dict[str, float | None]:
        """Return the limits of a request, in seconds, as httpx's extension takes them."""
        timeout = httpx.Timeout(self.idle_timeout_s, connect=CONNECT_TIMEOUT_S).as_dict()
        return timeout | {"read": None} if local else timeout

    async def close_streams(self) -> None:
        """Abort all requests to the engine, before it is stopped."""
        client, self._http = self._http, None
        if client is not None:
            await client.aclose()

    aclose = close_streams
