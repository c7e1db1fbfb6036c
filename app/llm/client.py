"""Streams chat completions from an OpenAI-compatible engine over one kept connection.

httpx's errors and the engine's error bodies become `EngineError`s here and nowhere else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx

from app.errors import (
    EngineBrokeOff,
    EngineHung,
    EngineRequestFailed,
    EngineServerError,
    EngineTimeout,
    EngineUnreachable,
)
from app.http_client import IDENTITY, bearer, is_compressed, read_start, read_whole, send
from app.llm.refusal import (
    ERROR_S,
    MAX_ERROR_BYTES,
    Refusal,
    discreet,
    error_of,
    finish_error,
    retry_after,
    stream_error,
    web_page,
)
from app.llm.reply import Completion, Piece, from_engine, whole_characters
from app.llm.request_fields import RequestFields
from app.llm.sse import SseParser
from app.proxies import Proxies, ProxyTransport

CONNECT_TIMEOUT_S = 5.0
DRAIN_S = 0.5
MAX_DOCUMENT = 2**20
"""Bytes of a reply that does not come as a stream."""
CHARACTERS_A_TOKEN = 16
MIN_CHARACTERS = 4_096
"""A reply may have so many characters for each of its tokens, and these in any case."""
MAX_SILENT_EVENTS = 100_000
"""Events in a row that bring no text. llama.cpp tells its progress in the prompt by a few."""


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen; `max_tokens` ends the reply."""

    temperature: float
    top_p: float
    frequency_penalty: float
    max_tokens: int


class ReplyStream:
    """One reply while it comes. Iterate once; `completion` is what is known so far.

    A reply is cut after `max_tokens` pieces, since no piece is less than a token, or too many
    characters, whatever the engine was asked for: it is then whole with the finish reason "length".
    """

    def __init__(self, response: httpx.Response, idle_timeout_s: float, max_tokens: int) -> None:
        self._response = response
        self._idle_timeout_s = idle_timeout_s
        self._pieces_left = max_tokens
        self._characters_left = max(max_tokens * CHARACTERS_A_TOKEN, MIN_CHARACTERS)
        self._silent_events = 0
        self._parser = SseParser()
        self._begun = False
        self.completion = Completion()

    async def __aiter__(self) -> AsyncIterator[Piece]:
        """The text as it comes. Raises an `EngineError` when the engine breaks off, EngineHung when
        it says nothing of any worth for too long, httpx.ReadTimeout when it sends nothing at all.
        """
        chunks = self._response.aiter_raw()
        loop = asyncio.get_running_loop()
        last, progress = loop.time(), True
        # Once for every token: what is done here comes out of the engine's pace.
        while True:
            if progress:  # from here on httpx's own timeout of a read is as long
                chunk = await anext(chunks, None)
            else:
                chunk = await self._after_a_ping(chunks, last)
            if chunk is None:
                break
            events = await self._events(chunk, chunks)
            if progress := bool(events):
                last = loop.time()
            for data in events:
                if data.strip() == "[DONE]":
                    for piece in self._allowed(self.completion.rest()):
                        self.completion.keep(piece)
                        yield piece
                    await _drain(chunks)
                    return
                for piece in self._allowed(self._pieces(data)):
                    self.completion.keep(piece)
                    yield piece
                if self._characters_left < 0 or self._pieces_left < 0:
                    self.completion.finish_reason = "length"
                    return
        if self.completion.finish_reason is None:
            raise EngineBrokeOff("the engine closed the connection in the middle of its reply")

    async def _events(self, chunk: bytes, chunks: AsyncIterator[bytes]) -> list[str]:
        if not self._begun and (first := chunk.lstrip()):
            self._begun = True
            # No event stream begins like that.
            if first.startswith(b"{"):
                return [await _whole(first, chunks), "[DONE]"]
            if first.startswith(b"<"):
                raise web_page()
        return _events(self._parser, chunk)

    def _pieces(self, data: str) -> list[Piece]:
        try:
            pieces = self.completion.take(_event(data))
        except ValueError as exc:
            raise EngineRequestFailed(
                f"the engine's stream is not a chat completion: {exc}: {_shown(data)}"
            ) from exc
        if error := finish_error(self.completion.finish_reason):
            raise error
        self._silent_events = 0 if pieces else self._silent_events + 1
        if self._silent_events > MAX_SILENT_EVENTS:
            raise EngineRequestFailed("the engine streams events without any text")
        return pieces

    def _allowed(self, pieces: Sequence[Piece]) -> Iterator[Piece]:
        """The pieces as far as the reply may still grow; below 0 is left when it may not."""
        for piece in pieces:
            self._pieces_left -= 1
            room = self._characters_left
            self._characters_left -= len(piece.text)
            if self._pieces_left >= 0 and room > 0:
                yield Piece(piece.text[:room], piece.reasoning)

    async def _after_a_ping(self, chunks: AsyncIterator[bytes], last: float) -> bytes | None:
        """The next bytes, as long after the event at `last` as the engine may take for one.

        The pings that keep the connection up come also from an engine that hangs.
        """
        try:
            async with asyncio.timeout_at(last + self._idle_timeout_s):
                return await anext(chunks, None)
        except TimeoutError as exc:
            raise EngineHung(f"the engine made no progress for {self._idle_timeout_s:g} s") from exc


async def _nothing() -> None:
    pass


class ChatClient:
    """Talks to one engine.

    `base_url` is awaited for each request (`Engine.ensure_ready`), so a stopped engine starts; it
    returns the base of the API, such as `http://host:8000/v1`. `local` says that the engine is a
    llama.cpp, which takes fields beyond OpenAI's. `model` is the name to ask for, `fields` the form
    of its requests; `api_key` is called for the key that a request carries. `idle_timeout_s` is how
    long the engine may send no token and no progress before `on_hang` is called. `on_break` is
    awaited after a connection broke and before the error is raised (`Engine.verdict`), so that a
    request that follows finds the engine's true state. `proxies` are those on the way to it.
    """

    def __init__(
        self,
        base_url: Callable[[], Awaitable[str]],
        *,
        local: bool,
        model: str = "",
        fields: RequestFields | None = None,
        api_key: Callable[[], str] = lambda: "",
        idle_timeout_s: float = 120.0,
        on_hang: Callable[[], None] = lambda: None,
        on_break: Callable[[], Awaitable[None]] = _nothing,
        proxies: Proxies | None = None,
    ) -> None:
        self._base_url = base_url
        self._local = local
        self._model = model
        self._fields = fields or RequestFields()
        self._api_key = api_key
        self._idle_timeout_s = idle_timeout_s
        self._on_hang = on_hang
        self._on_break = on_break
        self._proxies = proxies or Proxies()
        self._timeout = httpx.Timeout(idle_timeout_s, connect=CONNECT_TIMEOUT_S)
        self._http: httpx.AsyncClient | None = None

    @asynccontextmanager
    async def stream(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        sampling: Sampling,
        slot: int | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> AsyncIterator[ReplyStream]:
        """Ask for a reply:

            async with client.stream(messages, sampling=sampling) as reply:
                async for piece in reply: ...
            reply.completion

        Leaving the block early closes the HTTP stream, and the engine stops generating. `slot` pins
        the request to a slot of a local engine, whose prompt cache then fits; `extra` is merged
        into the request body. Raises an `EngineError`.
        """
        url = f"{await self._base_url()}/chat/completions"
        body = self._body(messages, sampling, slot) | dict(extra or {})
        try:
            with discreet(self._api_key):
                async with aclosing(await self._answer(url, body)) as response:
                    if is_compressed(response):
                        raise EngineRequestFailed(
                            "the engine compressed its reply without being asked to"
                        )
                    yield ReplyStream(response, self._idle_timeout_s, sampling.max_tokens)
        except EngineHung:
            self._on_hang()
            raise
        except EngineBrokeOff:
            await self._on_break()
            raise
        except httpx.ReadTimeout as exc:
            self._on_hang()
            raise EngineHung(f"the engine sent nothing for {self._timeout.read:g} s") from exc
        except httpx.TimeoutException as exc:
            raise EngineTimeout("no connection to the engine in time") from exc
        except httpx.HTTPError as exc:
            await self._on_break()
            raise EngineUnreachable(f"the connection to the engine broke: {exc!r}") from exc

    async def _answer(self, url: str, body: Mapping[str, Any]) -> httpx.Response:
        """Return the answer to a request, of which nothing is read. A field that a remote engine
        refuses is changed, and the request repeated. Raises EngineError, and httpx's errors."""
        while True:
            client = self._client()
            sent = self._fields.applied(body)
            request = client.build_request("POST", url, json=sent, headers=self._access())
            response = await send(client, request)
            if response.is_success:
                return response
            async with aclosing(response):
                said = await read_start(response, MAX_ERROR_BYTES, ERROR_S)
            refused = Refusal.parse(response.status_code, said)
            error = error_of(refused, retry_after(response.headers))
            # A refusal with a meaning of its own is not about the field that it may mention.
            plain = type(error) is EngineRequestFailed and not self._local
            if not (plain and self._fields.learn(refused, sent)):
                raise error

    async def warm(self, messages: Sequence[Mapping[str, Any]], *, slot: int | None = None) -> None:
        """Have a local engine read a prompt ahead of the request that begins with it.

        llama.cpp then keeps it in the slot's cache; `max_tokens` 0 has it answer nothing. For other
        engines this does nothing. Raises an `EngineError`.
        """
        if not self._local:
            return
        # As a stream: an engine that reads tells its progress, one that hangs only pings.
        reading = Sampling(0.0, 1.0, 0.0, max_tokens=0)
        async with self.stream(messages, sampling=reading, slot=slot) as reply:
            async for _ in reply:
                pass

    async def count(self, messages: Sequence[Mapping[str, Any]]) -> int:
        """Tokens of a prompt, its image included, without reading it; 0 where it is not told.

        llama.cpp's `chat/completions/input_tokens`. Raises EngineUnreachable, EngineTimeout.
        """
        if not self._local:
            return 0
        url = f"{await self._base_url()}/chat/completions/input_tokens"
        try:
            client = self._client()
            body = {"messages": list(messages)}
            request = client.build_request("POST", url, json=body, headers=self._access())
            async with aclosing(await send(client, request)) as answer:
                if not answer.is_success:
                    return 0
                async with asyncio.timeout(self._idle_timeout_s):
                    said = await read_whole(answer, MAX_ERROR_BYTES)
            found = from_engine(said)["input_tokens"]
        except (httpx.TimeoutException, TimeoutError) as exc:
            raise EngineTimeout("the engine took too long to count tokens") from exc
        except httpx.HTTPError as exc:
            await self._on_break()
            raise EngineUnreachable(f"the connection to the engine broke: {exc!r}") from exc
        except (ValueError, KeyError, TypeError):
            return 0
        return found if isinstance(found, int) and found > 0 else 0

    async def close_streams(self) -> None:
        """Break off all requests at once; they raise `EngineUnreachable`. The next request opens a
        new connection."""
        client, self._http = self._http, None
        if client is not None:
            await client.aclose()

    aclose = close_streams

    def _access(self) -> dict[str, str]:
        return bearer(self._api_key())

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            self._http = httpx.AsyncClient(
                headers=IDENTITY,
                timeout=self._timeout,
                transport=ProxyTransport(self._proxies),
                trust_env=False,
            )
        return self._http

    def _body(
        self, messages: Sequence[Mapping[str, Any]], sampling: Sampling, slot: int | None
    ) -> dict[str, Any]:
        body: dict[str, Any] = {
            "messages": list(messages),
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "frequency_penalty": sampling.frequency_penalty,
            "max_tokens": sampling.max_tokens,
        }
        if self._model:
            body["model"] = self._model
        if self._local:
            # llama-server's own top_k 40 and min_p 0.05 are not what the model was published with.
            body |= {"top_k": 0, "min_p": 0.0, "cache_prompt": True, "reasoning_format": "none"}
            # The counts come with every token, so they are known when a reply is left early.
            body |= {"timings_per_token": True, "return_progress": True}
            if slot is not None:
                body["id_slot"] = slot
        return body


async def _whole(start: bytes, chunks: AsyncIterator[bytes]) -> str:
    """An answer in one JSON document instead of a stream."""
    body = bytearray(start)
    async for chunk in chunks:
        body += chunk
        if len(body) > MAX_DOCUMENT:
            raise EngineRequestFailed(f"the engine's answer is longer than {MAX_DOCUMENT} bytes")
    return body.decode("utf-8", "replace")


async def _drain(chunks: AsyncIterator[bytes]) -> None:
    """Read the end of the HTTP body, so that the connection can be used again."""
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            async for _ in chunks:
                pass


def _events(parser: SseParser, chunk: bytes) -> list[str]:
    try:
        return parser.feed(chunk)
    except ValueError as exc:
        raise EngineRequestFailed(str(exc)) from exc


def _shown(data: str) -> str:
    return whole_characters(data[:80])


def _event(data: str) -> Mapping[str, Any]:
    """One chunk of the stream; an error that comes in the middle of it is raised."""
    try:
        chunk = from_engine(data)
    except ValueError as exc:
        # As a proxy leaves it that cuts a chunk in two.
        raise EngineServerError(f"the engine's stream is not JSON: {_shown(data)}") from exc
    if not isinstance(chunk, dict):
        raise EngineRequestFailed(f"the engine's stream is not a chat completion: {_shown(data)}")
    if error := stream_error(chunk):
        raise error
    return chunk
