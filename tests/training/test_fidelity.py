"""The comparison of engine and checkpoint: what the engine tells is read whole, and a reference
that computes something else is found out."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from itertools import islice
from pathlib import Path

import httpx
import numpy as np
import pytest

from app.llm.engine import Engine
from app.settings import load_settings
from training.fidelity import (
    GOAL,
    MAX_TOKENS,
    Agreement,
    Checkpoint,
    Logits,
    Place,
    agreement,
    body,
    compare,
    places,
    row,
    screens,
)
from training.screens import Screen
from training.screens import screens as training_screens

CHECKPOINT = os.environ.get("PHONEPILOT_TEST_CHECKPOINT", "")
VOCABULARY = 894
"""Of the shipped demo model."""


@pytest.fixture
async def engine_url() -> AsyncIterator[str]:
    settings = load_settings(("demo",), {"engine.kind": "embedded", "engine.threads": 1})
    engine = Engine(settings.engine)
    yield await engine.ensure_ready()
    await engine.aclose()


class Recorded:
    """A reference that says what the engine said, up to a constant, but for `noise`."""

    def __init__(self, url: str, noise: float) -> None:
        self._url, self._noise = url, noise
        self._random = np.random.default_rng(1)

    def logits(self, screen: Screen, reply: Sequence[int]) -> Logits:
        answer = httpx.post(
            f"{self._url}/v1/chat/completions", json=body(screen), timeout=60, trust_env=False
        )
        told = np.zeros((len(reply), VOCABULARY), dtype=np.float32)
        for number, place in enumerate(places(answer.json())):
            assert place.token == reply[number]
            for token, value in place.log_probabilities.items():
                told[number, token] = value
        spread = self._random.normal(0, self._noise, told.shape) if self._noise else 0
        return np.asarray(told + spread + 7.5, dtype=np.float32)


async def test_the_engine_tells_all_of_its_vocabulary(engine_url: str) -> None:
    (screen,) = screens(1)
    async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
        answer = await http.post(f"{engine_url}/v1/chat/completions", json=body(screen))
    reply = places(answer.raise_for_status().json())
    assert 10 < len(reply) <= MAX_TOKENS
    for place in reply:
        assert set(place.log_probabilities) == set(range(VOCABULARY))
        assert max(place.log_probabilities, key=place.log_probabilities.__getitem__) == place.token
        assert sum(np.exp(list(place.log_probabilities.values()))) == pytest.approx(1, abs=1e-3)


async def test_a_reference_that_agrees_is_told_from_one_that_does_not(engine_url: str) -> None:
    (alike,) = await compare(engine_url, Recorded(engine_url, 0.0), 1)
    assert min(each.correlation for each in alike) > GOAL
    assert all(each.same_choice for each in alike)
    (other,) = await compare(engine_url, Recorded(engine_url, 5.0), 1)
    assert max(each.correlation for each in other) < GOAL


def test_a_correlation_is_one_over_the_tokens_that_are_told() -> None:
    logits = np.array([4.0, 1.0, 9.0, -2.0, 99.0], dtype=np.float32)
    told = {0: -3.0, 1: -6.0, 3: -9.0}
    found = agreement(Place(0, told), logits)
    assert found.correlation == pytest.approx(1.0)
    assert found.same_choice is False  # the checkpoint would take the one that is not told
    with pytest.raises(ValueError, match="too little"):
        agreement(Place(0, {0: -1.0, 1: -2.0}), logits)


def test_a_token_that_cannot_come_is_left_out() -> None:
    logits = np.array([3.0, 2.0, 1.0, 0.0], dtype=np.float32)
    told = {0: -1.0, 1: -2.0, 2: -3.0, 3: float("-inf")}
    found = agreement(Place(0, told), logits)
    assert (found.correlation, found.same_choice) == (pytest.approx(1.0), True)


def test_a_row_tells_the_worst() -> None:
    found = [[Agreement(0.9, False), Agreement(0.5, True)], [Agreement(1.0, True)]]
    assert row("x", found) == ("| x | 0.90000 | 0.95000 | 1 of 2 | 0.50000 | 0.90000 | 2 of 3 |")


def test_the_screens_are_those_of_phones_that_were_not_trained_on() -> None:
    first = [screen.questions[0] for screen in screens(3)]
    assert first == [screen.questions[0] for screen in screens(3)]
    assert all(not question.turns for question in first)


def test_the_checkpoint_is_read_as_it_was_trained(tmp_path: Path) -> None:
    """transformers' own way through a picture gives what the trainer's shorter way gives."""
    torch = pytest.importorskip("torch", reason="torch is not installed: training needs it")
    pytest.importorskip("transformers", reason="transformers is not installed: training needs it")
    from tokenizers import Tokenizer

    from training.batches import Encoder
    from training.network import Trainee, build
    from training.tokenizer import save_tokenizer, train_tokenizer
    from training.train import save

    torch.manual_seed(0)
    walks = list(islice(training_screens(0), 2))
    lines = [text for screen in walks for q in screen.questions for text in (q.user, q.reply)]
    save_tokenizer(train_tokenizer(lines * 3), tmp_path)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    trainee = Trainee(build(tokenizer.get_vocab_size(), tokenizer.get_vocab())).eval()
    save(trainee, tmp_path)
    (screen,) = screens(1)
    encoder = Encoder(tokenizer)
    question = screen.questions[0]
    ids, weights, _ = encoder.encode(question)
    reply = ids[weights.index(1.0) :]
    single = Screen(screen.pixels, screen.cells, (question,))
    batch = encoder.batch([single])
    with torch.no_grad():
        loss, _, _ = trainee(batch)
    logits = torch.from_numpy(Checkpoint(tmp_path).logits(single, reply))
    losses = torch.nn.functional.cross_entropy(logits, torch.tensor(reply), reduction="none")
    share = torch.tensor(weights[-len(reply) :])
    assert float((losses * share).sum() / share.sum()) == pytest.approx(float(loss), rel=1e-3)


@pytest.mark.skipif(not CHECKPOINT, reason="PHONEPILOT_TEST_CHECKPOINT names no checkpoint")
async def test_the_shipped_model_is_the_checkpoint(engine_url: str) -> None:
    found = await compare(engine_url, Checkpoint(Path(CHECKPOINT)), 5)
    assert min(replies[0].correlation for replies in found) > 0.99
    assert all(replies[0].same_choice for replies in found)
