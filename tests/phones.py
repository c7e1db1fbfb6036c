"""Virtual phones in processes of their own, as tests and their fixtures use them."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parent.parent


class PhoneProcess:
    """A virtual phone running as a child process, judged through its control port."""

    def __init__(self, process: subprocess.Popen[bytes], token: str) -> None:
        assert process.stdout is not None
        self.process = process
        self.token = token
        ports = json.loads(process.stdout.readline())
        self.serial = f"127.0.0.1:{ports['adb']}"
        self.control = f"http://127.0.0.1:{ports['control']}"
        self.http = httpx.Client(
            base_url=self.control, headers={"Authorization": f"Bearer {token}"}, trust_env=False
        )

    def state(self) -> dict[str, Any]:
        return dict(self.http.get("/state").raise_for_status().json())

    def reset(self, seed: int) -> None:
        self.http.post("/reset", json={"seed": seed}).raise_for_status()

    def change_quirks(self, wishes: Mapping[str, str | float | None]) -> dict[str, str]:
        """Set quirks by name (True for the name alone), clear them with None; all there are."""
        answer = self.http.post("/quirks", json=dict(wishes))
        return dict(answer.raise_for_status().json())

    @contextmanager
    def quirks(self, *options: str) -> Iterator[None]:
        """Quirks, as `NAME` or `NAME=VALUE`, while the block runs."""
        pairs = [option.partition("=") for option in options]
        self.change_quirks({name: value or True for name, _, value in pairs})
        try:
            yield
        finally:
            self.change_quirks({name: None for name, _, _ in pairs})

    def events(self, after: int = 0) -> list[dict[str, Any]]:
        """What has happened so far, from the one after `after`."""
        text = self.http.get("/events", params={"follow": 0, "after": after}).text
        lines = (line for line in text.splitlines() if line.startswith("data: "))
        return [json.loads(line[len("data: ") :]) for line in lines]

    def commands(self, after: int = 0) -> list[str]:
        """The shell commands run so far."""
        return [event["command"] for event in self.events(after) if event["kind"] == "shell"]


@contextmanager
def phone_process(*options: str, seed: int = 7) -> Iterator[PhoneProcess]:
    """A virtual phone on free ports; extra options as for `python -m app.virtual_phone`."""
    token = secrets.token_urlsafe()
    command = [sys.executable, "-m", "app.virtual_phone", "--port", "0", "--seed", str(seed)]
    command += ["--token-env", "PHONE_TOKEN", "--exit-on-stdin-eof", *options]
    environment = os.environ | {"PHONE_TOKEN": token}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=ROOT
    ) as process:
        try:
            phone = PhoneProcess(process, token)
            with phone.http:
                yield phone
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(10)
