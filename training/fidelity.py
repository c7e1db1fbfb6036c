"""Whether the engine computes what the checkpoint says: the same screens and prompts through
transformers and through llama.cpp, compared token by token.

`python -m training.fidelity --checkpoint training/out/hf --model f16.gguf q4_k_s.gguf --mmproj
mmproj.gguf` prints a row for each model file. The engine answers greedily and tells the logarithm
of the probability of each token of its vocabulary; the checkpoint then reads that very answer, and
at each place both distributions are held against each other. A logarithm of a probability differs
from a logit by the same amount for all tokens, which Pearson's correlation does not see.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import random
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import httpx
import numpy as np
import numpy.typing as npt
from PIL import Image

from app.agent.history import History
from app.llm.engine import Engine
from app.settings import load_settings
from app.virtual_phone.phone import Phone
from training.prompt import prompt_text
from training.screens import IMAGE_TOKENS, Screen, system_prompt, walk

GOAL = 0.999
"""The correlation that an f16 file must reach; below it something is computed differently."""
MAX_TOKENS = 64
REQUEST_S = 300.0
FIRST_SEED = 8000
"""Phones that the model was not trained on: training uses seeds from a million on."""

Logits = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Place:
    """One token of a reply: the one that the engine chose, and what it says of the others."""

    token: int
    log_probabilities: dict[int, float]


@dataclass(frozen=True)
class Agreement:
    """At one place: the correlation over the tokens that the engine tells, and whether both would
    choose the same token."""

    correlation: float
    same_choice: bool


class Reference(Protocol):
    """The checkpoint."""

    def logits(self, screen: Screen, reply: Sequence[int]) -> Logits:
        """Of the token at each place of `reply`, before it is read: (places, vocabulary)."""


class Checkpoint:
    """A folder that transformers reads, in 32 bits on the CPU. Needs torch and transformers."""

    def __init__(self, folder: Path) -> None:
        from transformers import (  # type: ignore[import-not-found]
            AutoImageProcessor,
            Glm4vForConditionalGeneration,
            PreTrainedTokenizerFast,
        )

        self._model = Glm4vForConditionalGeneration.from_pretrained(folder).float().eval()
        self._tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
        self._images = AutoImageProcessor.from_pretrained(folder, use_fast=False)

    def logits(self, screen: Screen, reply: Sequence[int]) -> Logits:
        import torch  # type: ignore[import-not-found]

        question = screen.questions[0]
        text = prompt_text(system_prompt(), [], question.user, IMAGE_TOKENS)
        prompt = self._tokenizer.encode(text, add_special_tokens=False)
        image = self._images(images=[Image.fromarray(screen.pixels)], return_tensors="pt")
        with torch.no_grad():
            told = self._model(
                input_ids=torch.tensor([[*prompt, *reply]]),
                attention_mask=torch.ones((1, len(prompt) + len(reply)), dtype=torch.long),
                pixel_values=image["pixel_values"],
                image_grid_thw=image["image_grid_thw"],
            ).logits[0]
        before = told[len(prompt) - 1 : len(prompt) - 1 + len(reply)]
        return np.asarray(before.numpy(), dtype=np.float32)


def screens(count: int) -> Iterator[Screen]:
    """The first screens of `count` walks, each with the question that begins a task."""
    phone, choose = Phone(0), random.Random("fidelity")
    for seed in range(FIRST_SEED, FIRST_SEED + count):
        yield from islice(walk(phone, choose, seed), 1)


def body(screen: Screen) -> dict[str, Any]:
    """The request for the engine's greedy reply to a screen, with all that it knows of tokens."""
    buffer = io.BytesIO()
    Image.fromarray(screen.pixels).save(buffer, "PNG")
    messages = History(system_prompt(), "").messages(screen.questions[0].user, buffer.getvalue())
    return {
        "messages": messages,
        "max_tokens": MAX_TOKENS,
        "temperature": 0.0,
        "logprobs": True,
        "top_logprobs": 1 << 20,
        "cache_prompt": False,
        "reasoning_format": "none",
    }


def places(answer: dict[str, Any]) -> list[Place]:
    """What llama.cpp's server tells of each token: fields `id` and `logprob` of `top_logprobs`."""
    return [
        Place(entry["id"], {each["id"]: each["logprob"] for each in entry["top_logprobs"]})
        for entry in answer["choices"][0]["logprobs"]["content"]
    ]


def agreement(place: Place, logits: Logits) -> Agreement:
    """Raises ValueError for fewer than three tokens, which correlate by chance."""
    known = {token: value for token, value in place.log_probabilities.items() if value > -1e9}
    if len(known) < 3:
        raise ValueError("the engine tells too little: it needs top_logprobs")
    tokens = np.fromiter(known, dtype=np.int64)
    told = np.fromiter(known.values(), dtype=np.float64)
    correlation = float(np.corrcoef(told, logits[tokens])[0, 1])
    return Agreement(correlation, int(tokens[np.argmax(told)]) == int(np.argmax(logits)))


async def compare(url: str, reference: Reference, count: int) -> list[list[Agreement]]:
    """For each of `count` screens the agreement at each token of the engine's reply."""
    found = []
    async with httpx.AsyncClient(timeout=REQUEST_S, trust_env=False) as http:
        for screen in screens(count):
            answer = await http.post(f"{url}/v1/chat/completions", json=body(screen))
            reply = places(answer.raise_for_status().json())
            logits = await asyncio.to_thread(
                reference.logits, screen, [place.token for place in reply]
            )
            found.append([agreement(p, row) for p, row in zip(reply, logits, strict=True)])
    return found


def row(name: str, found: list[list[Agreement]]) -> str:
    """A line of the table: first tokens, then all of them."""
    first = [replies[0] for replies in found]
    every = [each for replies in found for each in replies]
    cells = [name]
    for group in (first, every):
        correlations = [each.correlation for each in group]
        same = sum(each.same_choice for each in group)
        cells += [f"{min(correlations):.5f}", f"{statistics.median(correlations):.5f}"]
        cells.append(f"{same} of {len(group)}")
    return f"| {' | '.join(cells)} |"


async def measure(
    checkpoint: Path, models: Sequence[Path], mmproj: Path, kind: str, binary: str, count: int
) -> None:
    reference = Checkpoint(checkpoint)
    print(
        "| model | first token: worst | median | same choice | all: worst | median | same choice |"
    )
    print("|---|---|---|---|---|---|---|")
    for model in models:
        settings = load_settings(
            ("demo",),
            {
                "engine.kind": kind,
                "engine.binary": binary or None,
                "engine.model": str(model),
                "engine.mmproj": str(mmproj),
            },
        )
        engine = Engine(settings.engine)
        try:
            found = await compare(await engine.ensure_ready(), reference, count)
        finally:
            await engine.aclose()
        print(row(model.name, found), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=Path("training/out/hf"))
    parser.add_argument("--model", type=Path, nargs="+", required=True, help="GGUF files")
    parser.add_argument("--mmproj", type=Path, required=True)
    parser.add_argument("--engine", choices=("embedded", "llama-server"), default="embedded")
    parser.add_argument("--binary", default="", help="llama-server, if not in PATH")
    parser.add_argument("--count", type=int, default=40, help="screens")
    given = parser.parse_args()
    work = measure(
        given.checkpoint, given.model, given.mmproj, given.engine, given.binary, given.count
    )
    asyncio.run(work)


if __name__ == "__main__":
    main()
