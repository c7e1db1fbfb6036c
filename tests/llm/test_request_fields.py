"""The fields of a request: as configured for a host, and as learned from what it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.errors import EngineRequestFailed, EngineUnpaid
from app.llm.client import ChatClient, Sampling
from app.llm.refusal import Refusal
from app.llm.request_fields import RequestFields
from tests.llm.picky_server import Picky, picky_server

BODY = {"messages": [], "stream": True, "max_tokens": 9, "temperature": 0.0, "top_p": 0.85}
SAMPLING = Sampling(temperature=0.0, top_p=0.85, frequency_penalty=0.2, max_tokens=64)


def test_configured_fields() -> None:
    fields = RequestFields(
        {"max_tokens": "max_completion_tokens"},
        ("temperature",),
        {"thinking": {"type": "disabled"}, "top_p": 0.5, "nothing": None},
    )
    assert fields.applied(BODY) == {
        "messages": [],
        "stream": True,
        "max_completion_tokens": 9,
        "top_p": 0.5,
        "thinking": {"type": "disabled"},
    }


@pytest.mark.parametrize(
    ("message", "param", "gone", "new"),
    [
        ("Unsupported value", "temperature", "temperature", {}),
        ("use max_completion_tokens", "max_tokens", "max_tokens", {"max_completion_tokens": 9}),
        ("'top_p' is not supported with this model", "", "top_p", {}),
        ("`temperature` and `top_p` cannot both be specified", "", "top_p", {}),
        ("bad stream_options", "stream_options.include_usage", "stream_options", {}),
    ],
)
def test_a_refused_field_is_changed(
    message: str, param: str, gone: str, new: dict[str, Any]
) -> None:
    fields = RequestFields()
    body = BODY | {"stream_options": {"include_usage": True}}
    sent = fields.applied(body)
    assert fields.learn(Refusal(400, message=message, param=param), sent)
    assert fields.applied(body) == {k: v for k, v in sent.items() if k != gone} | new


@pytest.mark.parametrize(
    "refused",
    [
        Refusal(400, message="something else is wrong"),
        Refusal(400, message="the messages are wrong", param="messages"),
        Refusal(400, message="temperature is not the fault", param="messages[0].content"),
        Refusal(400, message="temperatures differ"),
        Refusal(500, message="temperature"),
    ],
)
def test_other_refusals_teach_nothing(refused: Refusal) -> None:
    fields = RequestFields()
    assert not fields.learn(refused, fields.applied(BODY))
    assert fields.applied(BODY) == BODY


def test_a_field_refused_under_both_names_is_left_out_and_that_is_the_end() -> None:
    fields = RequestFields()
    for name in ("max_tokens", "max_completion_tokens"):
        assert fields.learn(Refusal(400, param=name), fields.applied(BODY))
    assert not {"max_tokens", "max_completion_tokens"} & set(fields.applied(BODY))
    assert not fields.learn(Refusal(400, param="max_tokens"), fields.applied(BODY))


async def reply(chat: ChatClient) -> str:
    async with chat.stream([{"role": "user", "content": "hi"}], sampling=SAMPLING) as stream:
        async for _ in stream:
            pass
    return stream.completion.text


async def test_a_host_that_refuses_fields_is_asked_in_its_way_from_then_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    picky = Picky(refuses=("max_tokens", "temperature", "frequency_penalty", "top_p"))
    async with picky_server(picky) as base:
        chat = ChatClient(base, local=False, model="gpt")
        assert await reply(chat) == "fine"
        asked = len(picky.bodies)
        assert await reply(chat) == "fine"
        await chat.aclose()
    assert len(picky.bodies) == asked + 1
    assert picky.bodies[-1]["max_completion_tokens"] == 64
    assert "refuses the field max_tokens; sending it as max_completion_tokens" in caplog.text
    assert None not in picky.bodies[-1].values()


async def test_a_host_that_refuses_whatever_comes_is_not_asked_for_ever() -> None:
    picky = Picky(refuses=("messages",))
    async with picky_server(picky) as base:
        chat = ChatClient(base, local=False)
        with pytest.raises(EngineRequestFailed, match="messages"):
            await reply(chat)
        await chat.aclose()
    assert len(picky.bodies) == 1


async def test_no_money_is_no_matter_of_fields() -> None:
    body = json.dumps({"error": {"code": "Arrearage", "message": "temperature"}}).encode()
    picky = Picky(answer=(400, body))
    async with picky_server(picky) as base:
        chat = ChatClient(base, local=False)
        with pytest.raises(EngineUnpaid):
            await reply(chat)
        await chat.aclose()
    assert len(picky.bodies) == 1
