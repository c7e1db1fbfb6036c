"""The streaming client against captured streams, cut at every place, and against bad engines."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import tracemalloc
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import (
    ContextOverflow,
    EngineBrokeOff,
    EngineError,
    EngineHung,
    EngineNotReady,
    EngineOverloaded,
    EngineRequestFailed,
    EngineUnreachable,
)
from app.llm.client import (
    CHARACTERS_A_TOKEN,
    MIN_CHARACTERS,
    ChatClient,
    ReplyStream,
    Sampling,
)
from app.llm.refusal import refusal
from app.llm.reply import Completion, Piece, from_engine
from app.llm.sse import LONGEST_EVENT, SseParser
from tests.llm.scripted_server import Script, serve

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
    with pytest.raises(ValueError, match="endless line"):
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
        chat = client(script, local=False, model="glm", api_key=lambda: "sk-1")
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
            EngineOverloaded,
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
        (Script([b"\n<!DOCTYPE html>"]), EngineRequestFailed, "a web page"),
        (Script([STREAM[:300]]), EngineBrokeOff, "closed the connection in the middle"),
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


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b'{"error":{"message":"the key KEY is wrong"}}', "401 Unauthorized"),
        (b'{"error":{"message":"too many with KEY"}}', "429 Too Many Requests"),
        (b'data: {"error":{"message":"KEY","code":502}}\n\n', "200 OK"),
        (b"data: KEY\n\n", "200 OK"),
    ],
)
async def test_a_host_that_repeats_the_key_does_not_get_it_into_an_error(
    said: bytes, status: str
) -> None:
    key = "sk-0123456789"
    async with serve(Script([said.replace(b"KEY", key.encode())], status=status)) as script:
        chat = client(script, local=False, api_key=lambda: key)
        with pytest.raises(EngineError, match=r"\[the key\]") as caught:
            await read(chat)
        assert key not in repr(caught.value) + caught.value.message
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


# -- answers without end, and texts that are none


def said(**delta: str) -> bytes:
    return f"data: {json.dumps({'choices': [{'index': 0, 'delta': delta}]})}\n\n".encode()


@pytest.mark.parametrize("field", ["content", "reasoning_content"])
@pytest.mark.parametrize(("text", "pieces"), [("a ", 64), ("x" * 500, 9), ("x" * 900_000, 1)])
async def test_a_reply_without_end_is_cut_as_if_it_had_reached_its_limit(
    field: str, text: str, pieces: int
) -> None:
    async with serve(Script(itertools.repeat(said(**{field: text})))) as script:
        chat = client(script)
        came, completion = await read(chat)
        await chat.aclose()
    assert completion.finish_reason == "length"
    assert len(came) == pieces
    assert len(completion.text + completion.reasoning) == min(
        64 * len(text), max(64 * CHARACTERS_A_TOKEN, MIN_CHARACTERS)
    )


async def test_a_reply_of_as_many_pieces_as_were_asked_for_is_not_cut() -> None:
    async with serve(Script([said(content="a")] * 64 + [STREAM[-300:]])) as script:
        chat = client(script)
        came, completion = await read(chat)
        await chat.aclose()
    assert (len(came), completion.finish_reason) == (64, "stop")


@pytest.mark.parametrize(
    ("chunk", "complaint"),
    [
        (b"data: " + b"x" * 60_000, "endless line"),
        (b"data: x\n" * 10_000, "endless line"),
        (said() * 2_000, "without any text"),
    ],
    ids=["line", "event", "events without text"],
)
async def test_a_stream_without_end_that_says_nothing_is_left(chunk: bytes, complaint: str) -> None:
    async with serve(Script(itertools.repeat(chunk))) as script:
        chat = client(script)
        with pytest.raises(EngineRequestFailed, match=complaint):
            await read(chat)
        await chat.aclose()


async def test_pings_without_end_are_no_progress() -> None:
    async with serve(Script(itertools.repeat(b":\n\n"), pause_s=0.01)) as script:
        chat = client(script, idle_timeout_s=0.3)
        with pytest.raises(EngineHung):
            await read(chat)
        await chat.aclose()


@pytest.mark.parametrize("status", ["500 Oh", "200 OK"])
@pytest.mark.parametrize("encoding", ["", "Content-Encoding: gzip\r\n"])
async def test_an_answer_that_is_no_reply_is_read_up_to_a_limit(status: str, encoding: str) -> None:
    bomb = gzip.compress(bytes(2**26)) if encoding else b"x" * 65_536
    answer = Script(itertools.repeat(bomb), status, "text/html", headers=encoding)
    async with serve(answer) as script:
        chat = client(script)
        tracemalloc.start()
        try:
            with pytest.raises(EngineRequestFailed):
                await read(chat)
            assert await chat.count(MESSAGES) == 0
            assert tracemalloc.get_traced_memory()[1] < 2**24
        finally:
            tracemalloc.stop()
        await chat.aclose()
    assert all("accept-encoding: identity" in head.lower() for head in script.heads)


async def test_half_a_character_of_an_engine_is_replaced_wherever_it_stands() -> None:
    half = {
        "choices": [{"index": 0, "delta": {"content": "a\ud800b", "reasoning_content": "\udfff"}}]
    }
    lines = [f"data: {json.dumps(half)}\n\n".encode(), STREAM[-300:]]
    async with serve(Script(lines)) as script:
        chat = client(script)
        came, completion = await read(chat)
        await chat.aclose()
    assert [piece.text for piece in came] == ["\ufffd", "a\ufffdb"]
    assert completion.text == "a\ufffdb"
    error = refusal(400, json.dumps({"error": {"message": "no \ud800"}}).encode())
    assert error.message == "no \ufffd"


def test_a_whole_pair_stays_what_it_is() -> None:
    assert from_engine(json.dumps({"a": "\U0001f4f1\ud800"})) == {"a": "\U0001f4f1\ufffd"}
    with pytest.raises(ValueError, match="deeply"):
        from_engine('["\\ud800",' + "[" * 100_000)


def test_an_engines_own_words_in_an_error_are_short() -> None:
    assert (
        len(refusal(400, json.dumps({"error": {"message": "x" * 60_000}}).encode()).message) < 2_100
    )


@pytest.mark.parametrize(
    "chunk",
    [
        {"choices": "x"},
        {"choices": ["x"]},
        {"choices": [{"delta": "x"}]},
        {"choices": [{"delta": {"content": 5}}]},
        {"choices": [{"delta": {}, "finish_reason": ["stop"]}]},
        {"choices": [{"delta": {"content": {"text": "x"}}}]},
        {"choices": [{"delta": {"content": [5]}}]},
        {"choices": [{"delta": {"content": [{"type": "text", "text": 5}]}}]},
        {"choices": [{"message": "x"}]},
    ],
)
async def test_an_odd_chunk_is_an_error_of_the_engine(chunk: dict[str, Any]) -> None:
    async with serve(Script([f"data: {json.dumps(chunk)}\n\n".encode()])) as script:
        chat = client(script)
        with pytest.raises(EngineRequestFailed, match="not a chat completion"):
            await read(chat)
        await chat.aclose()


@pytest.mark.parametrize(
    "chunk",
    [
        {"usage": "x"},
        {"timings": ["x"]},
        {"model": {}},
        {"choices": None},
        {"choices": [None]},
        {"choices": [{"delta": None}]},
        {"choices": [{"delta": {"content": None, "reasoning_content": None}}]},
        {"choices": [{"delta": {"content": [None, {"type": "image_url", "image_url": {}}]}}]},
        {"usage": {"prompt_tokens": "many", "prompt_tokens_details": 5}},
    ],
)
async def test_what_a_reply_does_not_need_may_be_odd(chunk: dict[str, Any]) -> None:
    lines = [f"data: {json.dumps(chunk)}\n\n".encode(), STREAM]
    async with serve(Script(lines)) as script:
        chat = client(script)
        odd = (await read(chat))[1]
        await chat.aclose()
    async with serve(Script([STREAM])) as script:
        chat = client(script)
        assert odd == (await read(chat))[1]
        await chat.aclose()


async def test_content_may_come_in_parts() -> None:
    parts = ["a", {"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "b"}]
    whole = {"choices": [{"delta": {"content": parts}, "finish_reason": "stop"}]}
    async with serve(Script([f"data: {json.dumps(whole)}\n\n".encode()])) as script:
        chat = client(script)
        completion = (await read(chat))[1]
        await chat.aclose()
    assert (completion.text, completion.reasoning) == ("ab", "Hm.")


WHOLE = {
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 2},
}


@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream"])
@pytest.mark.parametrize("reason", [None, "stop", "length"])
async def test_a_whole_answer_instead_of_a_stream_is_read(
    content_type: str, reason: str | None
) -> None:
    document = json.loads(json.dumps(WHOLE))
    document["choices"][0]["finish_reason"] = reason
    text = json.dumps(document, indent=1).encode()
    script = Script([b"\n", text[:40], text[40:]], content_type=content_type)
    async with serve(script):
        chat = client(script)
        pieces, completion = await read(chat)
        await chat.aclose()
    assert [piece.text for piece in pieces] == ["hello"]
    assert (completion.finish_reason, completion.prompt_tokens) == (reason, 7)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b'{"choices": [{"mess', "not JSON"),
        (b'{"error": {"message": "no model", "code": 500}}', "no model"),
        (b'{"object": "list", "choices": 5}', "not a chat completion"),
        (b'{"choices": "' + b"x" * 2_000_000, "longer than"),
    ],
)
async def test_a_whole_answer_that_is_none_is_an_error_with_a_cause(
    body: bytes, complaint: str
) -> None:
    async with serve(Script([body])) as script:
        chat = client(script)
        with pytest.raises(EngineRequestFailed, match=complaint):
            await read(chat)
        await chat.aclose()


async def test_a_message_at_the_end_of_a_stream_is_not_said_twice() -> None:
    again = {"choices": [{"message": {"content": "hello"}, "finish_reason": "stop"}]}
    first = {"choices": [{"delta": {"content": "hello"}}]}
    lines = [f"data: {json.dumps(each)}\n\n".encode() for each in (first, again)]
    async with serve(Script(lines)) as script:
        chat = client(script)
        assert (await read(chat))[1].text == "hello"
        await chat.aclose()
