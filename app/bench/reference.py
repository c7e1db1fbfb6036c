"""The checkpoint's side of `phonepilot models check`: transformers against the engine's report.

It is run as a script by a Python with torch and transformers, which phonepilot itself does not
need, and imports nothing from phonepilot. Its only argument is the job file (`app.bench.fidelity`);
for each reply in it, it prints one line of JSON on stdout.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

LINE = "phonepilot-agreement "
"""Prefix of each line of JSON, among whatever the libraries print."""
_UNLIKELY = -1e9
"""Log-probabilities below this belong to tokens that the engine rules out."""


class Checkpoint:
    """A checkpoint folder, loaded with transformers on the CPU."""

    def __init__(self, folder: str, half: bool) -> None:
        # Everything that is needed is in the checkpoint.
        os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
        import torch
        import transformers

        config = transformers.AutoConfig.from_pretrained(folder)
        self._sees = hasattr(config, "vision_config")
        kind = (
            transformers.AutoModelForImageTextToText
            if self._sees
            else transformers.AutoModelForCausalLM
        )
        self._model = kind.from_pretrained(
            folder, torch_dtype=torch.bfloat16 if half else torch.float32
        ).eval()
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self._images = (
            transformers.AutoImageProcessor.from_pretrained(folder, use_fast=False)
            if self._sees
            else None
        )

    def read(self, reply: dict[str, Any]) -> tuple[int, Any]:
        """Return (tokens of the prompt, logits before each token of the reply)."""
        import torch

        more: dict[str, Any] = {}
        before, marker, behind = str(reply["prompt"]).partition(reply["marker"] or "\0")
        prompt = self._encode(before)
        if marker:
            assert self._images is not None, "the checkpoint takes no pictures"
            with Image.open(reply["image"]) as picture:
                more = self._images(images=[picture.convert("RGB")], return_tensors="pt")
            config = self._model.config
            count = int(more["image_grid_thw"].prod()) // self._images.merge_size**2
            picture_tokens = [config.image_token_id] * count
            prompt += [config.image_start_token_id, *picture_tokens, config.image_end_token_id]
        prompt += self._encode(behind)
        tokens = torch.tensor([[*prompt, *reply["tokens"]]])
        with torch.no_grad():
            told = self._model(
                input_ids=tokens, attention_mask=torch.ones_like(tokens), **more
            ).logits[0]
        first = len(prompt) - 1
        return len(prompt), told[first : first + len(reply["tokens"])].float().numpy()

    def _encode(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False)) if text else []


def agreement(told: Any, logits: Any) -> tuple[float, bool]:
    """Return (Pearson's correlation over the tokens that the engine reported, whether both would
    choose the same token) at one place. Log-probabilities and logits differ by the same amount for
    all tokens, which does not affect the correlation."""
    width = min(len(told), len(logits))
    told, logits = told[:width], logits[:width]
    known = np.isfinite(told) & (told > _UNLIKELY)
    correlation = np.corrcoef(told[known].astype(np.float64), logits[known])[0, 1]
    chosen = int(np.argmax(np.where(known, told, -np.inf)))
    return float(correlation), chosen == int(np.argmax(logits))


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    checkpoint = Checkpoint(job["checkpoint"], job["half"])
    for reply in job["replies"]:
        told = np.fromfile(reply["told"], dtype=np.float32).reshape(len(reply["tokens"]), -1)
        count, logits = checkpoint.read(reply)
        places = [agreement(*pair) for pair in zip(told, logits, strict=True)]
        found = {
            "prompt_tokens": count,
            "correlations": [round(correlation, 6) for correlation, _ in places],
            "same": sum(same for _, same in places),
        }
        print(LINE + json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
