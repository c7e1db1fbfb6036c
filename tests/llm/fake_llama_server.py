"""A stand-in for the llama-server binary, for what the real one cannot be made to do on demand.

A real process that speaks HTTP on the port it is given. It understands llama-server's flags as far
as the tests need them and its own, which start with `--fake-`.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

HELP = """----- common params -----

-h,    --help, --usage                  print usage and exit
-m,    --model FNAME                    model path to load; see --not-a-flag
-c,    --ctx-size N                     size of the prompt context
-fa,   --flash-attn [on|off|auto]       set Flash Attention use
-ctk,  --cache-type-k TYPE              KV cache data type for K
-ngl,  --gpu-layers, --n-gpu-layers N   max. number of layers to store in VRAM
-np,   --parallel N                     number of slots
-t,    --threads N                      number of CPU threads
--mmproj FILE                           path to a multimodal projector file
--host HOST                             ip address to listen
--port PORT                             port to listen
-lv,   --verbosity, --log-verbosity N   Set the verbosity threshold. Values:
                                         - 3: info
                                         - 4: trace (more info)
--fake-loading N
"""


def parse(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--help", action="store_true")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--verbosity", type=int, default=3)
    parser.add_argument("--fake-loading", type=int, default=0, help="answers 503 so many times")
    parser.add_argument("--fake-die", default="", help="log these lines and exit")
    parser.add_argument("--cache-type-k", default="f16")
    parser.add_argument("--fake-oom-above", default="", help="dies unless the cache has this type")
    parser.add_argument("--fake-sleep-log", action="store_true", help="says that it falls asleep")
    parser.add_argument("--fake-gpu", action="store_true", help="says that it uses one")
    parser.add_argument("--fake-no-screenshots", action="store_true", help="dies of an image")
    parser.add_argument("--fake-refuses-screenshots", action="store_true", help="and lives on")
    parser.add_argument("--fake-hang", action="store_true", help="pings, but computes no more")
    parser.add_argument("--fake-slow", type=float, default=0.0, help="seconds for a reply")
    parser.add_argument("--fake-exit", type=int, default=1)
    parser.add_argument("--fake-ignore-sigterm", action="store_true")
    parser.add_argument("--fake-blind", action="store_true", help="serves without a projector")
    parser.add_argument("--fake-argv", type=Path, help="write the command line there")
    return parser.parse_known_args(argv)


def end_early(options: argparse.Namespace) -> int | None:
    """What a start comes to that is no start."""
    if options.help:
        print(HELP)
        return 0
    if options.fake_argv:
        options.fake_argv.write_text(json.dumps(sys.argv[1:]), encoding="utf-8")
    if options.fake_die:
        print(options.fake_die, file=sys.stderr, flush=True)
        return int(options.fake_exit)
    if options.fake_oom_above and options.cache_type_k != options.fake_oom_above:
        print("0.00.002.000 E ggml_cuda: cudaMalloc failed: out of memory", flush=True)
        return 1
    return None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    options: ClassVar[argparse.Namespace]
    loading: ClassVar[Iterator[int]]

    def do_GET(self) -> None:
        if self.path == "/health" and next(self.loading, None) is not None:
            message = {"message": "Loading model", "type": "unavailable_error", "code": 503}
            self.answer(503, {"error": message})
        elif self.path == "/health":
            self.answer(200, {"status": "ok"})
            if self.options.fake_sleep_log:
                print("0.00.003.000 I srv: server is entering sleeping state", flush=True)
        elif self.path == "/v1/models":
            self.answer(200, {"object": "list", "data": [{"id": "fake"}]})
        elif self.path == "/props":
            self.answer(200, {"modalities": {"vision": not self.options.fake_blind}})
        elif self.path == "/slots":
            if self.options.fake_hang:
                threading.Event().wait()
            self.answer(200, [])
        else:
            self.answer(404, {"error": {"message": "File Not Found", "code": 404}})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.options.fake_no_screenshots and self.options.cache_type_k == "f16":
            print("0.00.009.000 E ggml_cuda: cudaMalloc failed: out of memory", flush=True)
            os._exit(1)
        if self.options.fake_refuses_screenshots and self.options.cache_type_k == "f16":
            print("0.00.009.000 E ggml_cuda: cudaMalloc failed: out of memory", flush=True)
            self.answer(500, {"error": {"message": "failed to process image", "code": 500}})
            return
        if self.options.fake_hang or self.options.fake_slow:
            self.ping()
        else:
            self.answer(200, {"choices": []})

    def ping(self) -> None:
        """Stream comments, for ever or as long as a slow reply takes."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        end = time.monotonic() + self.options.fake_slow
        while self.options.fake_hang or time.monotonic() < end:
            self.wfile.write(b":\n\n")
            time.sleep(0.05)
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def answer(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def main() -> int:
    options, _ = parse(sys.argv[1:])
    early = end_early(options)
    if early is not None:
        return early
    if options.fake_gpu and options.verbosity >= 4:
        print(
            "0.00.000.900 I llama_model_load_from_file_impl: using device CUDA0 (NVIDIA GeForce RTX"
            " 4060) (0000:01:00.0) - 7099 MiB free",
            flush=True,
        )
        print("0.00.001.000 I load_tensors: offloaded 41/41 layers to GPU", flush=True)
    if options.fake_ignore_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Handler.options = options
    Handler.loading = iter(range(options.fake_loading))
    with ThreadingHTTPServer((options.host, options.port), Handler) as server:
        print("fake: listening", flush=True)
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
