"""The engine's supervisor: one owner task, six named states.

    stopped --ensure_ready--> starting --> ready --stop--> stopping --> stopped
                                 |         |  ^
                                 |         v  |    (llama.cpp lets go of the model when idle,
                                 |       sleeping   and takes it again at the next request)
                                 |           |
                                 +-> failed <+    (not started, or the process ended by itself)
                                        |
                                        +--ensure_ready--> starting

An engine that ends by itself is started again at the next request, after a pause that doubles from
crash to crash. One that runs out of GPU memory is started again at once with cheaper settings
(app/llm/cheaper.py), which the log and the status say aloud.

All mutable state belongs to the owner task; the public methods send it messages, and the processes
report to it by message too. So nobody ever checks the state and then acts on it: callers use
`ensure_ready()`, and callers that come while the engine starts share that one start. A stop is
carried out inside the owner, so a start that is asked for meanwhile waits its turn.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from app.errors import EngineError, EngineNotReady, EngineStartFailed, EngineUnreachable
from app.llm.address import api_base
from app.llm.cheaper import MOST_LOADS, CheaperSettings
from app.llm.failure import OUT_OF_MEMORY, diagnose
from app.llm.launch import Running, bring_up, choose_kind
from app.llm.log import LogRing
from app.llm.offload import Offload
from app.llm.pulse import has_pulse
from app.llm.stage import stage_of
from app.llm.status import EngineFault, EngineKind, EngineState, EngineStatus
from app.settings import EngineSettings

STATUS_LOG_LINES = 20
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
"""Before a start after a crash; doubled from one to the next."""
VERDICT_S = 3.0
"""How long a broken connection waits for the end of the engine's process to be noticed."""
HEALTHY_S = 300.0
"""An engine that was ready for so long has not failed by its settings: the pauses begin anew."""
_FELL_ASLEEP, _WOKE_UP = "entering sleeping state", "exiting sleeping state"

logger = logging.getLogger(__name__)

Listener = Callable[[EngineStatus], None]


@dataclass(frozen=True)
class _Ensure:
    reply: asyncio.Future[str]


@dataclass(frozen=True)
class _Stop:
    reply: asyncio.Future[None]


@dataclass(frozen=True)
class _Hung:
    """A request saw no progress for too long."""


@dataclass(frozen=True)
class _Doubt:
    """A connection to the engine broke, which may be the first sign of its end."""

    reply: asyncio.Future[None]


@dataclass(frozen=True)
class _Judged:
    """The doubt is settled: an end of the process was reported before this."""

    reply: asyncio.Future[None]


@dataclass(frozen=True)
class _Asleep:
    """The engine of run `number` let go of its model, or took it again."""

    number: int
    asleep: bool


@dataclass(frozen=True)
class _Ended:
    """A task of run `number` is over: its start, or the watch over its process."""

    number: int
    task: asyncio.Task[Running] | asyncio.Task[int]


_Message = _Ensure | _Stop | _Hung | _Doubt | _Judged | _Asleep | _Ended


@dataclass(frozen=True)
class _Pause:
    """Before a start after `crashes` in a row; `until` is by the monotonic clock."""

    crashes: int
    until: float

    @property
    def left_s(self) -> float:
        return max(0.0, self.until - time.monotonic())


@dataclass
class _Run:
    """One life of the engine, from the start on. Messages of an older run are ignored."""

    number: int
    starting: asyncio.Task[Running]
    offload: Offload
    loads: int
    """Loads of the model in a row up to this one; the others ended for want of memory."""
    paused: _Pause | None
    running: Running | None = None
    watch: asyncio.Task[int] | None = None
    ready_at: float = 0.0
    waiters: list[asyncio.Future[str]] = field(default_factory=list)


class Engine:
    """Supervises one inference engine; belongs to one event loop."""

    def __init__(self, settings: EngineSettings) -> None:
        """Raises ConfigError for an `engine.url` that is no address."""
        if settings.url:
            api_base(settings.url)
        self._settings = settings
        self._affordable = CheaperSettings(settings)
        self._crashes = 0
        self._log = LogRing()
        self._inbox: asyncio.Queue[_Message] = asyncio.Queue()
        self._owner: asyncio.Task[None] | None = None
        self._closed = False
        self._run: _Run | None = None
        self._runs = 0
        self._state = EngineState.STOPPED
        self._since = datetime.now(UTC)
        self._kind: EngineKind | None = None
        self._error: EngineError | None = None
        self._listeners: list[Listener] = []
        self._before_stop: list[Callable[[], Awaitable[None]]] = []
        self._verdicts: set[asyncio.Task[None]] = set()

    async def ensure_ready(self) -> str:
        """Start the engine unless it is ready, and return the base of its API, such as
        `http://127.0.0.1:8080/v1`.

        Raises an `EngineError`: `EngineStartFailed` with the end of the log, `EngineUnreachable`
        for a remote engine, `EngineNotReady` when it was stopped meanwhile.
        """
        reply: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._send(_Ensure(reply))
        return await reply

    def api_key(self) -> str:
        """What the engine asks for, to be called once it is ready: the configured key of a remote
        one, for one of ours a key that only this run has; "" when none runs."""
        running = self._run.running if self._run else None
        return running.key if running else ""

    @property
    def settings(self) -> EngineSettings:
        """What it runs with or would start with: cheaper than configured once memory ran out."""
        return self._affordable.settings

    async def stop(self) -> None:
        """Stop the engine, or its start; returns when the process is gone. The next start is one
        without a pause and with the settings as configured."""
        reply: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._send(_Stop(reply))
        await reply

    async def restart(self) -> str:
        """Stop, start again and return the base URL; raises as `ensure_ready` does."""
        await self.stop()
        return await self.ensure_ready()

    def hung(self) -> None:
        """A request saw neither token nor progress for too long: end the engine at once, as one
        that hangs in a computation ignores SIGTERM. The next request starts it again."""
        if self._owner is not None:
            self._inbox.put_nowait(_Hung())

    async def check_pulse(self) -> bool:
        """Return whether the engine still computes, for a caller to whom it says nothing; end one
        that does not.

        Takes up to `engine.request_timeout_s`, which is as long as one batch may take.
        """
        run = self._run
        running = run.running if run else None
        if running is None or running.process is None:
            return True
        limit = self._settings.request_timeout_s
        if await has_pulse(running.url, running.key, limit) or self._run is not run:
            return True
        self.hung()
        return False

    async def verdict(self) -> None:
        """Wait until it is known whether the engine has ended, after a connection to it broke.

        The connection breaks some milliseconds before the end of the process is seen, and until
        then `ensure_ready` returns the URL of one that has ended. Returns within
        `VERDICT_S`, at once for an engine that is not ours.
        """
        if self._owner is None or self._closed:
            return
        reply: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._inbox.put_nowait(_Doubt(reply))
        await reply

    async def aclose(self) -> None:
        """Stop for good; later calls raise `EngineNotReady`."""
        if self._closed:
            return
        if self._owner is not None:
            await self.stop()
        self._closed = True
        for verdict in tuple(self._verdicts):
            await asyncio.wait({verdict})  # its process is gone, so that it ends now
        if self._owner is not None:
            self._owner.cancel()
            await asyncio.wait({self._owner})
        while not self._inbox.empty():
            message = self._inbox.get_nowait()
            if isinstance(message, _Doubt | _Judged) and not message.reply.done():
                message.reply.set_result(None)
            elif isinstance(message, _Ensure | _Stop) and not message.reply.done():
                message.reply.set_exception(EngineNotReady("the engine is closed"))

    def status(self) -> EngineStatus:
        """A snapshot of the state; never waits for the engine."""
        run, settings, error = self._run, self._affordable.settings, self._error
        running = run.running if run else None
        process = running.process if running else None
        return EngineStatus(
            state=self._state,
            kind=self._kind,
            pid=process.pid if process else None,
            url=running.url if running else None,
            model=str(self._settings.model or ""),
            mmproj=str(self._settings.mmproj or ""),
            context=settings.context,
            parallel=settings.parallel,
            since=self._since,
            error=_fault(error) if error else None,
            stage=self._stage(),
            devices=run.offload.devices if run else (),
            layers=run.offload.layers if run else None,
            adjusted=self._affordable.changes,
            log_tail=self._log.lines(STATUS_LOG_LINES),
        )

    def _stage(self) -> str:
        if self._run is None or self._state is not EngineState.STARTING:
            return ""
        pause = self._run.paused
        if pause is not None and pause.left_s > 0:
            crashes = "a crash" if pause.crashes == 1 else f"{pause.crashes} crashes in a row"
            return f"starts in {math.ceil(pause.left_s)} s, after {crashes}"
        return stage_of(self._log.lines())

    def log_lines(self, count: int | None = None) -> tuple[str, ...]:
        """The last `count` lines that the engine wrote, oldest first; all kept ones without."""
        return self._log.lines(count)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` in the owner task at every change of state, until the returned function
        is called. It must return at once and not raise."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def before_stop(self, action: Callable[[], Awaitable[None]]) -> None:
        """Await `action` before the engine is told to end. Whoever streams from the engine closes
        its connections here: llama-server ends in 10 ms without clients and in up to half a minute
        with one."""
        self._before_stop.append(action)

    def _send(self, message: _Ensure | _Stop) -> None:
        if self._closed:
            raise EngineNotReady("the engine is closed")
        if self._owner is None:
            self._owner = asyncio.create_task(self._own(), name="engine-owner")
        self._inbox.put_nowait(message)

    # Everything below runs in the owner task.

    async def _own(self) -> None:
        while True:
            message = await self._inbox.get()
            try:
                await self._handle(message)
            except Exception as exc:  # the owner must survive its own mistakes
                logger.exception("the engine's supervisor failed")
                await self._end_run()
                self._fail(EngineStartFailed(f"the supervisor failed: {exc!r}"))
                if isinstance(message, _Ensure | _Stop) and not message.reply.done():
                    message.reply.set_exception(EngineStartFailed(f"{exc!r}"))

    async def _handle(self, message: _Message) -> None:
        match message:
            case _Ensure(reply):
                self._ensure(reply)
            case _Stop(reply):
                await self._stop()
                if not reply.done():
                    reply.set_result(None)
            case _Hung() if self._run is not None and self._run.running is not None:
                await self._kill(self._run)
            case _Doubt(reply):
                self._doubt(reply)
            case _Judged(reply):
                if not reply.done():
                    reply.set_result(None)
            case _Asleep(number, asleep) if self._run is not None and self._run.number == number:
                if self._run.running is not None:
                    self._enter(EngineState.SLEEPING if asleep else EngineState.READY)
            case _Ended(number, task) if self._run is not None and self._run.number == number:
                if task is self._run.starting:
                    self._started(self._run)
                else:
                    self._crashed(self._run)

    def _doubt(self, reply: asyncio.Future[None]) -> None:
        watch = self._run.watch if self._run else None

        async def judge() -> None:
            if watch is not None:
                await asyncio.wait({watch}, timeout=VERDICT_S)
            # Behind the message about the end, which the watch has sent by now.
            self._inbox.put_nowait(_Judged(reply))

        verdict = asyncio.create_task(judge(), name="engine-verdict")
        self._verdicts.add(verdict)
        verdict.add_done_callback(self._verdicts.discard)

    def _ensure(self, reply: asyncio.Future[str]) -> None:
        if self._run is None:
            try:
                self._kind = choose_kind(self._settings)
            except EngineError as exc:
                self._fail(exc)
                reply.set_exception(exc)
                return
            self._begin(self._kind)
        assert self._run is not None
        if self._run.running is None:
            self._run.waiters.append(reply)
        elif not reply.done():
            reply.set_result(self._run.running.url)

    def _begin(
        self, kind: EngineKind, waiters: Sequence[asyncio.Future[str]] = (), loads: int = 1
    ) -> None:
        self._log.clear()
        self._error = None
        self._runs += 1
        number = self._runs

        def watch_for_sleep(line: str) -> None:
            if _FELL_ASLEEP in line or _WOKE_UP in line:
                self._inbox.put_nowait(_Asleep(number, _FELL_ASLEEP in line))

        for change in self._affordable.changes:
            self._log.note(f"out of memory before; started with {change}")
        offload, pause_s = Offload(), 0.0
        paused: _Pause | None = None
        if self._crashes:
            pause_s = min(FIRST_PAUSE_S * 2 ** (self._crashes - 1), LONGEST_PAUSE_S)
            paused = _Pause(self._crashes, time.monotonic() + pause_s)
            self._log.note(f"{self._crashes} crashes in a row, waiting {pause_s:g} s")

        async def start() -> Running:
            await asyncio.sleep(pause_s)
            settings = self._affordable.settings
            return await bring_up(settings, kind, self._log, watch_for_sleep, offload)

        task = asyncio.create_task(start(), name="engine-start")
        self._run = _Run(number, task, offload, loads, paused, waiters=[*waiters])
        self._report_end(number, task)
        self._enter(EngineState.STARTING)

    def _report_end(self, number: int, task: asyncio.Task[Running] | asyncio.Task[int]) -> None:
        message = _Ended(number, task)
        task.add_done_callback(lambda _: self._inbox.put_nowait(message))

    def _started(self, run: _Run) -> None:
        try:
            running = run.starting.result()
        except EngineError as exc:
            self._run = None
            if exc.reason == OUT_OF_MEMORY and run.loads < MOST_LOADS:
                last = run.loads + 1 == MOST_LOADS
                if self._affordable.take_less(run.offload, last_load=last):
                    assert self._kind is not None
                    self._begin(self._kind, run.waiters, run.loads + 1)
                    return
            self._fail(exc)
            _settle(run.waiters, exc)
            return
        run.running = running
        run.ready_at = time.monotonic()
        if running.process is not None:
            run.watch = asyncio.create_task(running.process.wait(), name="engine-watch")
            self._report_end(run.number, run.watch)
        self._enter(EngineState.READY)
        for waiter in run.waiters:
            if not waiter.done():
                waiter.set_result(running.url)
        run.waiters.clear()

    def _crashed(self, run: _Run) -> None:
        assert run.watch is not None
        code = run.watch.result()
        failure = diagnose(self._log.engine_lines(), code)
        self._run = None
        healthy = time.monotonic() - run.ready_at >= HEALTHY_S
        self._crashes = 1 if healthy else self._crashes + 1
        less = failure.reason == OUT_OF_MEMORY and self._affordable.take_less(run.offload)
        if less:
            self._crashes = 0  # what it died of is put right
        error = EngineUnreachable(
            f"the engine ended by itself with exit code {code}: {failure.message}",
            f"The next request starts it with {less}."
            if less
            else failure.hint or "The next request starts it again; look at GET /engine/log.",
        )
        error.reason = failure.reason
        self._fail(error)

    async def _kill(self, run: _Run) -> None:
        self._log.note("no token and no progress for too long; ending the engine")
        logger.error("the engine hangs and is ended")
        self._enter(EngineState.STOPPING)
        await self._end_run(grace_s=0.0)
        self._fail(EngineUnreachable("the engine hung", "The next request starts it again."))

    async def _stop(self) -> None:
        self._crashes = 0
        self._affordable.forget()
        if self._run is not None:
            self._enter(EngineState.STOPPING)
            await self._end_run()
        if self._state is not EngineState.STOPPED:
            self._error = None
            self._enter(EngineState.STOPPED)

    async def _end_run(self, grace_s: float | None = None) -> None:
        """Close the streams, end the process and forget the run."""
        run, self._run = self._run, None
        if run is None:
            return
        _settle(run.waiters, EngineNotReady("the engine was stopped while it started"))
        closed = await asyncio.gather(
            *(action() for action in self._before_stop), return_exceptions=True
        )
        for outcome in closed:
            if isinstance(outcome, Exception):
                logger.error("closing the engine's streams failed", exc_info=outcome)
        if run.watch is not None:
            run.watch.cancel()
        # bring_up() stops what it has started; but it may just have succeeded, unknown to us.
        run.starting.cancel()
        await asyncio.wait({run.starting})
        if not run.starting.cancelled() and run.starting.exception() is None:
            process = run.starting.result().process
            if process is not None:
                grace = self._settings.stop_timeout_s if grace_s is None else grace_s
                await process.stop(grace)

    def _fail(self, error: EngineError) -> None:
        self._error = error
        logger.error("engine failed: %s", error.message)
        self._enter(EngineState.FAILED)

    def _enter(self, state: EngineState) -> None:
        self._state = state
        self._since = datetime.now(UTC)
        status = self.status()
        for listener in tuple(self._listeners):
            listener(status)


def _fault(error: EngineError) -> EngineFault:
    return EngineFault(error.code, error.message, error.hint, error.reason)


def _settle(waiters: list[asyncio.Future[str]], error: EngineError) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_exception(error)
    waiters.clear()
