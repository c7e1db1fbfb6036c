"""The grammar of replies, held by the real engine over a model that is made to babble."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator

import pytest

from app.agent.dialects import DIALECTS
from app.agent.dialects.autoglm import AUTOGLM
from app.agent.dialects.autoglm_reply import holds_action, parse_reply
from app.llm.client import ChatClient, Sampling
from app.llm.engine import Engine
from app.settings import load_settings

GRAMMAR = AUTOGLM.grammar()
BINARY = os.environ.get("PHONEPILOT_TEST_LLAMA_SERVER", "")
KINDS = {"embedded": {"engine.kind": "embedded"}} | (
    {"llama-server": {"engine.kind": "llama-server", "engine.binary": BINARY}} if BINARY else {}
)


@pytest.fixture(params=KINDS)
async def client(request: pytest.FixtureRequest) -> AsyncIterator[ChatClient]:
    overrides = KINDS[request.param] | {"engine.threads": 1, "engine.context": 2048}
    engine = Engine(load_settings(["demo"], overrides, environ={}).engine)
    client = ChatClient(engine.ensure_ready, local=True, api_key=engine.api_key)
    yield client
    await client.aclose()
    await engine.aclose()


async def replies(client: ChatClient, grammar: str, count: int) -> list[tuple[str, str | None]]:
    """What a model says that is hot enough to say nearly anything."""
    sampling = Sampling(temperature=1.8, top_p=1.0, frequency_penalty=0.0, max_tokens=300)
    told = []
    for number in range(count):
        ask = [{"role": "user", "content": f"Turn on Bluetooth {number}"}]
        extra = {"grammar": grammar, "seed": number} if grammar else {"seed": number}
        async with client.stream(ask, sampling=sampling, extra=extra) as reply:
            async for _ in reply:
                pass
        told.append((reply.completion.text, reply.completion.finish_reason))
    return told


async def test_every_whole_reply_is_one_action_of_the_protocol(client: ChatClient) -> None:
    told = await replies(client, GRAMMAR, 40)
    whole = [text for text, reason in told if reason == "stop"]
    assert len(whole) >= 10
    for text in whole:
        parse_reply(text)
        assert holds_action(text.removesuffix("</answer>") + "</answer>")
    kinds = {parse_reply(text).action.kind for text in whole}
    assert len(kinds) >= 3, kinds


GRAMMARS = {each.grammar(): name for name, each in DIALECTS.items() if each.grammar()}


def short(grammar: str) -> str:
    """The same with a short thought and short texts: babble would not come to their ends."""
    grammar = re.sub(
        r"(?m)^(thought|line|field|name) ::= .*$", r"\1 ::= [a-z] [a-z ]{0,12}", grammar
    )
    return re.sub(r"(?m)^(text ::= .*\))[*+] ", r"\1{1,12} ", grammar)


@pytest.mark.parametrize("name", [n for n in GRAMMARS.values() if n != "autoglm"])
async def test_every_whole_reply_is_one_action_of_its_dialect(
    client: ChatClient, name: str
) -> None:
    dialect = DIALECTS[name]
    told = await replies(client, short(dialect.grammar()), 40)
    whole = [text for text, reason in told if reason == "stop"]
    assert len(whole) >= 20
    kinds = {dialect.read(text, sent=(10_000, 10_000)).action.kind for text in whole}
    assert len(kinds) >= 3, kinds


async def test_without_it_the_same_babble_is_not_held(client: ChatClient) -> None:
    told = await replies(client, "", 10)
    assert any(not holds_action(text) for text, _ in told)
