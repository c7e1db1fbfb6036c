"""The demo's virtual phone: a child process that ends with its parent, used over its two ports."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from app.demo.child import ended
from app.errors import ConfigError

START_S = 20.0
STOP_S = 5.0


class PhoneControl:
    """The control port of a running virtual phone; `serial` is its serial for adb, `url` and
    `token` are those of its control port."""

    def __init__(self, adb_port: int, control_port: int, token: str) -> None:
        self.serial = f"127.0.0.1:{adb_port}"
        self.url = f"http://127.0.0.1:{control_port}"
        self.token = token
        self._headers = {"Authorization": f"Bearer {token}"}

    async def state(self) -> dict[str, Any]:
        async with httpx.AsyncClient(headers=self._headers, trust_env=False) as http:
            answer = await http.get(f"{self.url}/state")
            return dict(answer.raise_for_status().json())

    async def shots(self) -> int:
        """Return how many screenshots have been requested so far."""
        async with httpx.AsyncClient(headers=self._headers, trust_env=False) as http:
            answer = await http.get(f"{self.url}/events", params={"follow": 0})
            return answer.raise_for_status().text.count('"command": "screencap')

    async def reset(self, seed: int, *, scatter: bool = False) -> None:
        async with httpx.AsyncClient(headers=self._headers, trust_env=False) as http:
            body = {"seed": seed, "scatter": scatter}
            (await http.post(f"{self.url}/reset", json=body)).raise_for_status()


@asynccontextmanager
async def phone_process(seed: int) -> AsyncIterator[PhoneControl]:
    """Run a virtual phone on free ports during the block; raises ConfigError."""
    token = secrets.token_urlsafe()
    command = [sys.executable, "-m", "app.virtual_phone", "--port", "0", "--seed", str(seed)]
    command += ["--token-env", "PHONEPILOT_PHONE_TOKEN", "--exit-on-stdin-eof"]
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PHONEPILOT_PHONE_TOKEN": token},
        start_new_session=True,  # Ctrl-C is for the parent; the phone ends when its stdin closes
    )
    assert process.stdin and process.stdout
    try:
        try:
            async with asyncio.timeout(START_S):
                line = await process.stdout.readline()
        except TimeoutError as exc:
            said = f"the virtual phone did not start within {START_S:g} s"
            raise ConfigError(said, "Try again when this computer is less busy.") from exc
        if not line:
            raise ConfigError("the virtual phone did not start", "See its message above.")
        ports = json.loads(line)
        yield PhoneControl(ports["adb"], ports["control"], token)
    finally:
        process.stdin.close()
        await ended(process, STOP_S)
