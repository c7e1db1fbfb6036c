"""The streaming client against captured streams, cut at every place, and against bad engines."""

from __future__ import annotations

import asyncio
import json
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_server import Script, serve

from app.errors import (
    ContextOverflow,
    EngineError,
    EngineHung,
    EngineNotReady,
    EngineRequestFailed,
    EngineUnreachable,
)
from app.llm.client import ChatClient, ReplyStream, Sampling, refusal
from app.llm.reply import Completion, Piece
from app.llm.sse import LONGEST_EVENT, SseParser

SAMPLING = Sampling(temperature=0.0, top_p=0.85, frequency_penalty=0.2, max_tokens=64)
MESSAGES = [{"role": "user", "content": "hi"}]

# As llama-server b11434 streams it: a first chunk without text, a ping, and the usage at the end.
STREAM = (
    'data: {"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}'
    '],"id":"x","model":"tiny","object":"chat.completion.chunk"}\n\n'
    ":\n\n"
    'data: {"choices":[{"finish_reason":null,"index":0,"delta":{"reasoning_content":"Hm. "}}]}\n\n'
    'data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":"do(打开"}}]}\n\n'
    'data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":" \U0001f4f1)"}}]}\n\n'
    'data: {"choices":[{"finish_reason":"stop","index":0,"delta":{}}]}\n\n'
    'data: {"choices":[],"usage":{"completion_tokens":4,"prompt_tokens":8,"total_tokens":12,'
    '"prompt_tokens_details":{"cached_tokens":6}},"timings":{"cache_n":6,"prompt_ms":0.324}}\n\n'
    "data: [DONE]\n\n"
).encode()
TEXT = "do(打开 \U0001f4f1)"


def client(script: Script, *, local: bool = True, **changes: Any) -> ChatClient:
    return ChatClient(script.base_url, local=local, **changes)


def ask(chat: ChatClient, **changes: Any) -> AbstractAsyncContextManager[ReplyStream]:
    return chat.stream(MESSAGES, sampling=SAMPLING, **changes)


async def read(chat: ChatClient, **changes: Any) -> tuple[list[Piece], Completion]:
    async with ask(chat, **changes) as reply:
        pieces = [piece async for piece in reply]
    return pieces, reply.completion


@given(st.lists(st.integers(min_value=0, max_value=len(STREAM)), max_size=20))
def test_a_stream_may_be_cut_anywhere(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    parser = SseParser()
    events = []
    for start, end in zip(edges, edges[1:], strict=False):
        events += parser.feed(STREAM[start:end])
    assert events == SseParser().feed(STREAM)
    assert events[-1] == "[DONE]"
    assert len(events) == 7


def test_crlf_and_several_data_lines() -> None:
    assert SseParser().feed(b"event: x\r\ndata: a\r\ndata:b\r\n\r\nid: 1\r\n\r\n") == ["a\nb"]


def test_a_line_without_end_is_refused() -> None:
    with pytest.raises(ValueError, match="line without end"):
        SseParser().feed(b"data: " + b"x" * LONGEST_EVENT)


async def test_pieces_and_completion() -> None:
    async with serve(Script([STREAM[:100], STREAM[100:301], STREAM[301:]])) as script:
        chat = client(script)
        pieces, completion = await read(chat)
        await chat.aclose()
    assert [piece.text for piece in pieces if not piece.reasoning] == ["do(打开", " \U0001f4f1)"]
    assert [piece.text for piece in pieces if piece.reasoning] == ["Hm. "]
    assert (completion.text, completion.reasoning) == (TEXT, "Hm. ")
    assert completion == Completion(
        finish_reason="stop",
        prompt_tokens=8,
        completion_tokens=4,
        cached_tokens=6,
        timings={"cache_n": 6, "prompt_ms": 0.324},
        model="tiny",
        _pieces=pieces,
    )


async def test_a_kept_connection_that_ended_meanwhile_is_replaced() -> None:
    async with serve(Script([STREAM], vanish=[2])) as script:
        chat = client(script)
        for _ in range(2):
            assert (await read(chat))[1].finish_reason == "stop"
        await chat.aclose()
    assert (len(script.heads), script.connections) == (3, 2)


async def test_an_engine_that_never_answers_a_request_is_not_asked_for_ever() -> None:
    async with serve(Script([STREAM], vanish=range(1, 9))) as script:
        chat = client(script)
        with pytest.raises(EngineUnreachable):
            await read(chat)
        await chat.aclose()
    assert len(script.heads) == 2


async def test_one_connection_serves_all_requests() -> None:
    async with serve(Script([STREAM])) as script:
        chat = client(script)
        for _ in range(3):
            await read(chat)
        assert script.connections == 1
        await chat.close_streams()
        await read(chat)
        assert script.connections == 2
        await chat.aclose()


async def test_what_a_local_engine_is_asked() -> None:
    async with serve(Script([STREAM])) as script:
        chat = client(script)
        await read(chat, slot=1, extra={"grammar": "root ::= x"})
        await chat.aclose()
    assert script.requests[0] == {
        "messages": MESSAGES,
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.0,
        "top_p": 0.85,
        "frequency_penalty": 0.2,
        "max_tokens": 64,
        "top_k": 0,
        "min_p": 0.0,
        "cache_prompt": True,
        "timings_per_token": True,
        "return_progress": True,
        "reasoning_format": "none",
        "id_slot": 1,
        "grammar": "root ::= x",
    }
    assert script.heads[0].startswith("POST /v1/chat/completions ")


async def test_a_remote_engine_gets_only_what_openai_defines() -> None:
    async with serve(Script([STREAM])) as script:
        chat = client(script, local=False, model="glm", api_key="sk-1")
        await read(chat, slot=1)
        await chat.aclose()
    asked = script.requests[0]
    assert asked["model"] == "glm"
    assert not {"top_k", "min_p", "cache_prompt", "reasoning_format", "id_slot"} & set(asked)
    assert "authorization: bearer sk-1" in script.heads[0].lower()


async def test_leaving_the_block_closes_the_stream() -> None:
    async with serve(Script([STREAM[: STREAM.index(b"\n\ndata: [")]], hang=True)) as script:
        chat = client(script)
        async with ask(chat) as reply:
            async for _ in reply:
                break
        async with asyncio.timeout(5):
            await script.left.wait()
        assert reply.completion.reasoning == "Hm. "
        assert reply.completion.finish_reason is None
        await chat.aclose()


async def test_close_streams_breaks_a_reader_off() -> None:
    async with serve(Script([STREAM[:300]], hang=True)) as script:
        chat = client(script)

        async def reader() -> None:
            async with ask(chat) as reply:
                reading.set()
                async for _ in reply:
                    pass

        reading = asyncio.Event()
        task = asyncio.create_task(reader())
        await reading.wait()
        await chat.close_streams()
        async with asyncio.timeout(5):
            with pytest.raises(EngineUnreachable):
                await task


@pytest.mark.parametrize(
    ("script", "error", "message"),
    [
        (
            Script(
                [
                    b'{"error":{"code":400,"message":"the request exceeds the available context'
                    b' size","type":"exceed_context_size_error","n_prompt_tokens":9,"n_ctx":8}}'
                ],
                status="400 Bad Request",
            ),
            ContextOverflow,
            "exceeds the available context size",
        ),
        (
            Script(
                [b'{"error":{"message":"too long","code":"context_length_exceeded"}}'],
                status="400 Bad Request",
            ),
            ContextOverflow,
            "too long",
        ),
        (
            Script(
                [b'{"error":{"message":"Loading model","type":"unavailable_error","code":503}}'],
                status="503 Service Unavailable",
            ),
            EngineNotReady,
            "Loading model",
        ),
        (
            Script(
                [b'{"error":{"message":"image input is not supported","code":500}}'],
                status="500 Internal Server Error",
            ),
            EngineRequestFailed,
            "image input is not supported",
        ),
        (Script([b"<html>"], status="502 Bad Gateway"), EngineRequestFailed, "answers 502"),
        (Script([b'{"error":"no"}'], status="400 Bad Request"), EngineRequestFailed, "no"),
        (Script([STREAM[:300]]), EngineUnreachable, "broke off in the middle"),
        (Script([STREAM[:300]], broken=True), EngineUnreachable, "connection .* broke"),
        (Script([b"data: {nonsense\n\n"]), EngineRequestFailed, "not JSON"),
        (Script([b"data: [1]\n\n"]), EngineRequestFailed, "not a chat completion"),
        (
            Script([b'data: {"error":{"code":500,"message":"decode failed"}}\n\n']),
            EngineRequestFailed,
            "decode failed",
        ),
    ],
)
async def test_bad_answers_become_typed_errors(
    script: Script, error: type[EngineError], message: str
) -> None:
    async with serve(script):
        chat = client(script)
        with pytest.raises(error, match=message):
            await read(chat)
        await chat.aclose()


@pytest.mark.parametrize("said", [STREAM[:300], b": ping\n\n"])
async def test_an_engine_that_gets_nowhere_has_hung(said: bytes) -> None:
    hung: list[bool] = []
    async with serve(Script([said], hang=True)) as script:
        chat = client(script, idle_timeout_s=0.2, on_hang=lambda: hung.append(True))
        with pytest.raises(EngineHung, match=r"(no progress|sent nothing) for 0\.2 s"):
            await read(chat)
        await chat.aclose()
    assert hung == [True]


async def test_an_engine_that_gets_nowhere_with_a_prompt_read_ahead_has_hung() -> None:
    hung: list[bool] = []
    ping = b": ping\n\n"
    async with serve(Script([ping] * 40, hang=True, pause_s=0.05)) as script:
        chat = client(script, idle_timeout_s=0.2, on_hang=lambda: hung.append(True))
        async with asyncio.timeout(5):
            with pytest.raises(EngineHung):
                await chat.warm([{"role": "user", "content": "Hi"}])
        await chat.aclose()
    assert hung == [True]


async def test_progress_with_the_prompt_is_progress() -> None:
    event = b'data: {"choices":[],"prompt_progress":{"total":9,"processed":%d}}\n\n'
    chunks = [event % number for number in range(8)]
    async with serve(Script([*chunks, STREAM], pause_s=0.1)) as script:
        chat = client(script, idle_timeout_s=0.4)
        assert (await read(chat))[1].finish_reason == "stop"
        await chat.aclose()


async def test_nobody_there() -> None:
    async with serve(Script()) as script:
        pass
    chat = client(script)
    with pytest.raises(EngineUnreachable):
        await read(chat)
    await chat.aclose()


async def test_the_engines_own_start_failure_comes_through() -> None:
    async def base_url() -> str:
        raise EngineNotReady("stopped")

    with pytest.raises(EngineNotReady, match="stopped"):
        await read(ChatClient(base_url, local=True))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.integers(min_value=400, max_value=599), json_values)
def test_any_refusal_is_an_engine_error(status: int, value: object) -> None:
    assert isinstance(refusal(status, json.dumps(value).encode()), EngineError)
    assert isinstance(refusal(status, json.dumps({"error": value}).encode()), EngineError)
