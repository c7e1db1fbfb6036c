"""The limit on a thought, as the real engine holds it."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator

import pytest

from app.agent.dialects import DIALECTS
from app.agent.dialects.thought_limit import BLOCK, MOST, with_limit
from app.llm.client import ChatClient, Sampling
from app.llm.engine import Engine
from app.settings import load_settings

BINARY = os.environ.get("PHONEPILOT_TEST_LLAMA_SERVER", "")
KINDS = {"embedded": {"engine.kind": "embedded"}} | (
    {"llama-server": {"engine.kind": "llama-server", "engine.binary": BINARY}} if BINARY else {}
)
GRAMMARS = {each.grammar(): name for name, each in DIALECTS.items() if each.grammar()}
ENDLESS = 'root ::= "<think>" thought "</think>" "x"\nthought ::= ( [^<] | "<" [^/] )*\n'
BABBLE = Sampling(temperature=1.8, top_p=1.0, frequency_penalty=0.0, max_tokens=900)


@pytest.fixture(params=KINDS)
async def client(request: pytest.FixtureRequest) -> AsyncIterator[ChatClient]:
    overrides = KINDS[request.param] | {"engine.threads": 1, "engine.context": 2048}
    engine = Engine(load_settings(["demo"], overrides, environ={}).engine)
    client = ChatClient(engine.ensure_ready, local=True, api_key=engine.api_key)
    yield client
    await client.aclose()
    await engine.aclose()


async def said(client: ChatClient, grammar: str, seed: int, sampling: Sampling = BABBLE) -> str:
    ask = [{"role": "user", "content": "Turn on Bluetooth"}]
    extra = {"grammar": grammar, "seed": seed}
    async with client.stream(ask, sampling=sampling, extra=extra) as reply:
        async for _ in reply:
            pass
    return reply.completion.text


@pytest.mark.parametrize("most", [1, 7, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 50])
async def test_a_thought_ends_at_the_limit(client: ChatClient, most: int) -> None:
    lengths = []
    for seed in range(6):
        text = await said(client, with_limit(ENDLESS, most), seed)
        thought = re.fullmatch(r"<think>(.*)</think>x", text, re.DOTALL)
        assert thought is not None, text
        lengths.append(len(re.sub(r"<.", "<", thought[1], flags=re.DOTALL)))
    assert max(lengths) == most


async def test_without_a_limit_the_same_thought_goes_on(client: ChatClient) -> None:
    texts = [await said(client, ENDLESS, seed) for seed in range(4)]
    assert max(map(len, texts)) > 3 * BLOCK


@pytest.mark.parametrize("most", [1, 250, 20_000, MOST])
@pytest.mark.parametrize("name", GRAMMARS.values())
async def test_every_dialect_takes_every_limit(client: ChatClient, name: str, most: int) -> None:
    short = Sampling(temperature=1.0, top_p=1.0, frequency_penalty=0.0, max_tokens=4)
    assert await said(client, DIALECTS[name].grammar(most), 1, short)


@pytest.mark.parametrize("name", GRAMMARS.values())
def test_no_limit_changes_nothing(name: str) -> None:
    dialect = DIALECTS[name]
    grammar = dialect.grammar()
    assert dialect.grammar(0) == grammar
    limited = dialect.grammar(100)
    assert limited.count("\nthought ::= ") == 1
    kept = [line for line in grammar.splitlines() if not line.startswith("thought ::=")]
    assert set(kept) <= set(limited.splitlines())


def test_a_thought_that_must_not_be_empty_stays_so() -> None:
    rule = "root ::= thought\nthought ::= ( [a-z] | [0-9] )+\n"
    assert "thought ::= thought-char{1,5}" in with_limit(rule, 5)
    assert "thought ::= thought-block thought-0 | thought-char{1,99}" in with_limit(rule, 100)


def test_a_grammar_without_a_thought_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="no rule"):
        with_limit('root ::= "x"\n', 5)
