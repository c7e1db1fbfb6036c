"""Runs the service as a separate process, for benches that measure it."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from app.demo.child import ended
from app.errors import ConfigError

START_S = 60.0
STOP_S = 20.0
_URL = re.compile(rb"http://\S+")


@asynccontextmanager
async def service_process(folder: Path, settings: Mapping[str, str]) -> AsyncIterator[str]:
    """Yield the URL of a running `phonepilot serve`; `settings` are environment variables.

    It has its own adb server, port and data folder. Raises ConfigError.
    """
    own = {key: value for key, value in os.environ.items() if not key.startswith("PHONEPILOT_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app", "serve",
        stdout=asyncio.subprocess.PIPE,
        env=own
        | {
            "PHONEPILOT_SERVICE__DATA_DIR": str(folder),
            "PHONEPILOT_SERVICE__PORT": "0",
            "PHONEPILOT_ADB__PRIVATE": "true",
        }
        | dict(settings),
        start_new_session=True,  # Ctrl-C is for the bench, which then ends the service
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_S):
            line = await process.stdout.readline()
        found = _URL.search(line)
        if found is None:
            raise ConfigError("the service did not start", "See its message above.")
        yield found.group().decode()
    finally:
        if process.returncode is None:
            process.terminate()
        await ended(process, STOP_S)
