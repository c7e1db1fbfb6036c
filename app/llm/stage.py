"""How far a starting engine is, by what it has logged."""

from __future__ import annotations

import re
from collections.abc import Sequence

_STAGES = (
    (re.compile(r"server is listening|starting the main loop|model loaded"), "nearly ready"),
    (re.compile(r"warming up"), "warming up"),
    (re.compile(r"clip_|load_hparams|mmproj|multimodal"), "loading the projector"),
    (re.compile(r"llama_kv_cache|llama_context"), "making the context"),
    (re.compile(r"load_tensors|llama_model_load|loading model"), "loading the model"),
)


def stage_of(log: Sequence[str]) -> str:
    """The last stage that the log shows."""
    for line in reversed(log):
        for pattern, stage in _STAGES:
            if pattern.search(line):
                return stage
    return "starting"
