"""Screens to tensors: tokens, loss weights, padding; and the processes that prepare them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch.utils.data import IterableDataset, get_worker_info

from training.network import Batch
from training.prompt import prompt_text
from training.screens import IMAGE_TOKENS, Question, Screen, screens, system_prompt

END_OF_REPLY = "<|user|>"
ACTION_WEIGHT = 3.0
"""Tokens of the action count more than those of the thought; most of both are soon easy."""


class Encoder:
    """Questions to token ids, with the weight of each in the loss."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.end = tokenizer.token_to_id(END_OF_REPLY)
        self.pad = tokenizer.token_to_id("<|endoftext|>")
        self.image = tokenizer.token_to_id("<|image|>")
        self._answer = tokenizer.token_to_id("<answer>")

    def encode(self, question: Question) -> tuple[list[int], list[float], int]:
        """(tokens, weights, index of the first image token)."""
        prompt = prompt_text(system_prompt(), list(question.turns), question.user, IMAGE_TOKENS)
        before = self._tokenizer.encode(prompt, add_special_tokens=False).ids
        reply = self._tokenizer.encode(question.reply, add_special_tokens=False).ids
        reply = [*reply, self.end]
        cut = reply.index(self._answer)
        weights = [0.0] * len(before) + [1.0] * cut + [ACTION_WEIGHT] * (len(reply) - cut)
        return before + reply, weights, before.index(self.image)

    def batch(self, group: list[Screen]) -> Batch:
        encoded = [self.encode(q) for screen in group for q in screen.questions]
        owner = [i for i, screen in enumerate(group) for _ in screen.questions]
        length = -(-max(len(ids) for ids, _, _ in encoded) // 32) * 32
        tokens = torch.full((len(encoded), length), self.pad, dtype=torch.long)
        weight = torch.zeros((len(encoded), length))
        for row, (ids, weights, _) in enumerate(encoded):
            tokens[row, : len(ids)] = torch.tensor(ids)
            weight[row, : len(ids)] = torch.tensor(weights)
        return Batch(
            pixels=torch.from_numpy(np.stack([screen.pixels for screen in group])),
            cells=torch.from_numpy(np.stack([screen.cells for screen in group])),
            screen=torch.tensor(owner),
            tokens=tokens,
            image_at=torch.tensor([at for _, _, at in encoded]),
            weight=weight,
        )


class Stream(IterableDataset):  # type: ignore[type-arg]
    """Endless batches of `size` screens; each worker process draws its own phones."""

    def __init__(self, folder: Path, size: int, seed: int) -> None:
        self._folder = folder
        self._size = size
        self._seed = seed

    def __iter__(self) -> Iterator[Batch]:
        torch.set_num_threads(1)
        worker = get_worker_info()
        number = worker.id if worker else 0
        encoder = Encoder(Tokenizer.from_file(str(self._folder / "tokenizer.json")))
        source = screens(self._seed * 1000 + number)
        while True:
            yield encoder.batch(list(islice(source, self._size)))
