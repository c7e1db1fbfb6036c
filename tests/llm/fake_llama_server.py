"""A stand-in for the llama-server binary, for what the real one cannot be made to do on demand.

A real process that speaks HTTP on the port it is given. It understands llama-server's flags as far
as the tests need them and its own, which start with `--fake-`.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HELP = """----- common params -----

-h,    --help, --usage                  print usage and exit
-m,    --model FNAME                    model path to load; see --not-a-flag
-c,    --ctx-size N                     size of the prompt context
-fa,   --flash-attn [on|off|auto]       set Flash Attention use
-ngl,  --gpu-layers, --n-gpu-layers N   max. number of layers to store in VRAM
-np,   --parallel N                     number of slots
-t,    --threads N                      number of CPU threads
--mmproj FILE                           path to a multimodal projector file
--host HOST                             ip address to listen
--port PORT                             port to listen
--fake-loading N
"""


def parse(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--help", action="store_true")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--fake-loading", type=int, default=0, help="answers 503 so many times")
    parser.add_argument("--fake-die", default="", help="log these lines and exit")
    parser.add_argument("--fake-exit", type=int, default=1)
    parser.add_argument("--fake-ignore-sigterm", action="store_true")
    parser.add_argument("--fake-blind", action="store_true", help="serves without a projector")
    parser.add_argument("--fake-argv", type=Path, help="write the command line there")
    return parser.parse_known_args(argv)


def main() -> int:
    options, _ = parse(sys.argv[1:])
    if options.help:
        print(HELP)
        return 0
    if options.fake_argv:
        options.fake_argv.write_text(json.dumps(sys.argv[1:]), encoding="utf-8")
    if options.fake_die:
        print(options.fake_die, file=sys.stderr, flush=True)
        return int(options.fake_exit)
    if options.fake_ignore_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    loading = iter(range(options.fake_loading))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path == "/health" and next(loading, None) is not None:
                message = {"message": "Loading model", "type": "unavailable_error", "code": 503}
                self.answer(503, {"error": message})
            elif self.path == "/health":
                self.answer(200, {"status": "ok"})
            elif self.path == "/props":
                self.answer(200, {"modalities": {"vision": not options.fake_blind}})
            else:
                self.answer(404, {"error": {"message": "File Not Found", "code": 404}})

        def answer(self, status: int, document: object) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer((options.host, options.port), Handler) as server:
        print("fake: listening", flush=True)
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
