"""One engine process under its guard: its output, its end, and how it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence

from app.errors import EngineStartFailed
from app.llm.log import LogRing
from app.orphan import GRACE_S, PID_LINE, guard_command

READ_BYTES = 65536
DRAIN_S = 1.0
"""How long to wait after the end for output that is still in the pipe."""


class EngineProcess:
    """Owned by one supervisor. The guard's stdin is our life line: when this process dies in any
    way, the guard reads end of file and ends the engine.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        log: LogRing,
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        self._process = process
        self._child: int | None = None
        self._log = log
        self._on_line = on_line
        self._reader = asyncio.create_task(self._read_output(), name="engine-output")

    @classmethod
    async def start(
        cls,
        argv: Sequence[str],
        log: LogRing,
        on_line: Callable[[str], None] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> EngineProcess:
        """Start `argv` under a guard, with `environment` on top of ours; its stdout and stderr go
        to `log` and line by line to `on_line`. Raises `EngineStartFailed`."""
        try:
            process = await asyncio.create_subprocess_exec(
                *guard_command(argv, report_pid=True),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                # A failed assertion would otherwise run gdb on the engine for many seconds.
                env={**os.environ, "GGML_NO_BACKTRACE": "1", **(environment or {})},
            )
        except OSError as exc:
            raise EngineStartFailed(f"the engine cannot be started: {exc.strerror}") from exc
        return cls(process, log, on_line)

    @property
    def pid(self) -> int:
        """The engine's process id; its guard's until the guard has reported it."""
        return self._process.pid if self._child is None else self._child

    async def wait(self) -> int:
        """Wait for the end and for the last output; 128 + n when the engine died of signal n."""
        code = await self._process.wait()
        # A grandchild may hold the pipe open for ever, so the wait for its end has a limit.
        _, open_pipe = await asyncio.wait({self._reader}, timeout=DRAIN_S)
        if open_pipe:
            self._reader.cancel()
            await asyncio.wait({self._reader})
        self._cut_life_line()
        return 128 - code if code < 0 else code

    async def stop(self, grace_s: float) -> int:
        """End the engine in two stages and return its exit code.

        First SIGTERM and `grace_s` seconds; then the life line is cut, and the guard sends SIGTERM
        again, which llama-server takes as "now", and kills the process group `GRACE_S` later.
        """
        if sys.platform != "win32":  # there, ending the guard would leave the engine alive
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)
            if await self._ended_within(grace_s):
                return await self.wait()
        self._cut_life_line()
        if not await self._ended_within(GRACE_S + 2.0):
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        return await self.wait()

    async def _ended_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._process.wait()
        except TimeoutError:
            return False
        return True

    def _cut_life_line(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()

    async def _read_output(self) -> None:
        output = self._process.stdout
        assert output is not None
        while data := await output.read(READ_BYTES):
            self._take(self._log.split(data))
        self._take(self._log.rest())

    def _take(self, lines: list[str]) -> None:
        for line in lines:
            if self._child is None and line.startswith(PID_LINE):
                self._child = int(line.removeprefix(PID_LINE))
                continue
            self._log.add(line)
            if self._on_line is not None:
                self._on_line(line)
