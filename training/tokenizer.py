"""The demo model's tokenizer: byte-level BPE on all sentences it will see, GLM-4 special tokens.

Text is cut as llama.cpp's `glm4` pre-tokenizer cuts it, so that both give the same tokens. Digits
are never merged: a coordinate is then read and written from its coarse digit to its fine one.
"""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from training.prompt import CHAT_TEMPLATE, SPECIAL, VISIBLE

VOCABULARY = 1024

# llama.cpp src/llama-vocab.cpp, LLAMA_VOCAB_PRE_TYPE_CHATGLM4
GLM4_PATTERN = (
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def train_tokenizer(corpus: list[str], seed: int = 0) -> Tokenizer:
    """Learn the merges from `corpus`; the same corpus gives the same tokenizer."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = _pre_tokenizer(digits_apart=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(SPECIAL) - len(VISIBLE),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        min_frequency=2,
        show_progress=False,
    )
    lines = list(corpus)
    random.Random(seed).shuffle(lines)
    tags = re.compile("|".join(map(re.escape, VISIBLE)))
    tokenizer.train_from_iterator([tags.sub("\n", line) for line in lines], trainer)
    tokenizer.pre_tokenizer = _pre_tokenizer(digits_apart=False)
    tokenizer.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in VISIBLE])
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in SPECIAL])
    return tokenizer


def _pre_tokenizer(*, digits_apart: bool) -> pre_tokenizers.PreTokenizer:
    parts: list[pre_tokenizers.PreTokenizer] = [
        pre_tokenizers.Split(Regex(GLM4_PATTERN), behavior="isolated", invert=False)
    ]
    if digits_apart:
        parts.append(pre_tokenizers.Digits(individual_digits=True))
    parts.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False))
    return pre_tokenizers.Sequence(parts)


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write the files that transformers and llama.cpp's converter read."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": 16384,
        "padding_side": "left",
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
        "additional_special_tokens": list(SPECIAL),
        "chat_template": CHAT_TEMPLATE,
    }
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(config, indent=1), encoding="utf-8")
