"""Entry point of the embedded engine: llama.cpp's own HTTP server from the wheel `xllamacpp`.

Runs as a script in a process of its own, because an assertion in llama.cpp ends the interpreter.
Takes one JSON argument (see `command.embedded_options`), loads the model, prints one line with the
option `url_line` and its URL on stdout and serves until it is killed. When loading fails it exits
with 1; the reason is in what llama.cpp wrote to stderr. Imports nothing of phonepilot.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any

import xllamacpp

FLASH_ATTENTION = {
    "auto": xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_AUTO,
    "on": xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED,
    "off": xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED,
}


def server_params(options: dict[str, Any]) -> xllamacpp.CommonParams:
    """xllamacpp's parameters for `options`; 0 leaves the engine's default where one exists."""
    params = xllamacpp.CommonParams()
    params.model.path = options["model"]
    params.mmproj.path = options["mmproj"]
    if options["model_alias"]:
        params.model_alias = {options["model_alias"]}
    for name in (
        "n_ctx",
        "n_parallel",
        "n_gpu_layers",
        "cache_ram_mib",
        "mmproj_use_gpu",
        "sse_ping_interval",
        "sleep_idle_seconds",
        "port",
    ):
        setattr(params, name, options[name])
    for name in ("n_batch", "n_ubatch", "image_min_tokens", "image_max_tokens"):
        if options[name]:
            setattr(params, name, options[name])
    if options["ngram"]:
        speculation = params.speculative
        speculation.types = [xllamacpp.common_speculative_type.COMMON_SPECULATIVE_TYPE_NGRAM_SIMPLE]
        speculation.ngram_simple.size_n, speculation.ngram_simple.size_m = options["ngram"]
    params.cpuparams.n_threads = options["n_threads"]
    params.cpuparams_batch.n_threads = options["n_threads"]
    params.cache_type_k = _cache_type(options["cache_type_k"])
    params.cache_type_v = _cache_type(options["cache_type_v"])
    params.flash_attn_type = FLASH_ATTENTION[options["flash_attention"]]
    params.hostnames = [options["hostname"]]
    params.cors_origins = "localhost"  # the default lets any web page talk to the engine
    if key := os.environ.pop("LLAMA_API_KEY", ""):
        params.api_keys = [key]
    params.ui = False
    params.endpoint_metrics = True
    # The agent reads <think> itself; the wheel's default would cut it out of the content.
    params.reasoning_format = xllamacpp.common_reasoning_format.COMMON_REASONING_FORMAT_NONE
    return params


def _cache_type(name: str) -> xllamacpp.ggml_type:
    return getattr(xllamacpp.ggml_type, f"GGML_TYPE_{name.upper()}")


def main() -> int:
    """Serve until killed; 1 when the server could not be started."""
    options = json.loads(sys.argv[1])
    params = server_params(options)
    try:
        server = xllamacpp.Server(params)  # returns when the model is loaded and the port is open
    except RuntimeError as exc:
        print(exc, file=sys.stderr, flush=True)
        return 1
    # One write: llama.cpp's log thread writes to the same pipe, and must not end up inside.
    os.write(1, f"{options['url_line']}{server.listening_address}\n".encode())
    threading.Event().wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
