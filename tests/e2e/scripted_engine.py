"""A remote engine that says what a test wrote: for actions that the demo model does not know."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class ScriptedEngine(ThreadingHTTPServer):
    """Answers each chat completion with the next of `replies`, as an event stream, and goes round
    in `habit` when there is none left.

    A reply may also be a function that makes the text: what it does happens while the task waits
    for its model.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.replies: list[str | Callable[[], str]] = []
        self.habit: list[str] = []
        self.requests: list[dict[str, Any]] = []
        self.documents: list[dict[str, Any]] = []
        """Choices that are answered first, each as one JSON document instead of a stream."""
        self.breaks_off = False
        """Whether a stream ends behind its text, without a finish reason and without [DONE]."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def say(self) -> str:
        """The next reply; raises IndexError when there is nothing more to say."""
        if self.replies:
            reply = self.replies.pop(0)
            return reply if isinstance(reply, str) else reply()
        self.habit = [*self.habit[1:], self.habit[0]]
        return self.habit[-1]

    def told(self) -> list[str]:
        """The text of the last user turn of each request."""
        return [request["messages"][-1]["content"][1]["text"] for request in self.requests]


class _Handler(BaseHTTPRequestHandler):
    server: ScriptedEngine

    def do_GET(self) -> None:
        self._answer("application/json", b'{"data": [{"id": "scripted"}]}')

    def do_POST(self) -> None:
        self.server.requests.append(
            json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        )
        if self.server.documents:
            document = {"choices": [self.server.documents.pop(0)]}
            self._answer("application/json", json.dumps(document).encode())
            return
        text = self.server.say()
        chunks = (
            {"choices": [{"index": 0, "delta": {"role": "assistant", "content": text}}]},
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        )
        lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks] + ["data: [DONE]\n\n"]
        lines = lines[:1] if self.server.breaks_off else lines
        self._answer("text/event-stream", "".join(lines).encode())

    def _answer(self, content_type: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Tests look at `requests`."""


@contextmanager
def scripted_engine() -> Iterator[ScriptedEngine]:
    """The engine on a free port while the block runs."""
    with ScriptedEngine() as engine:
        thread = threading.Thread(target=engine.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield engine
        finally:
            engine.shutdown()
            thread.join()
