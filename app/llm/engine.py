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
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from app.errors import EngineError, EngineNotReady, EngineStartFailed, EngineUnreachable
from app.llm.address import api_base
from app.llm.cheaper import MOST_LOADS, CheaperSettings
from app.llm.crashes import Crashes
from app.llm.failure import OUT_OF_MEMORY, diagnose
from app.llm.launch import Running, bring_up, choose_kind
from app.llm.life import Life
from app.llm.log import LogRing
from app.llm.messages import (
    Asleep,
    Doubt,
    Ended,
    Ensure,
    Hung,
    Judged,
    Message,
    Restart,
    Stop,
    answer,
    refuse,
)
from app.llm.offload import Offload
from app.llm.pulse import has_pulse
from app.llm.stage import stage_of
from app.llm.status import EngineFault, EngineKind, EngineState, EngineStatus
from app.settings import EngineSettings

STATUS_LOG_LINES = 20
VERDICT_S = 3.0
"""How long a broken connection waits for the end of the engine's process to be noticed."""
_FELL_ASLEEP, _WOKE_UP = "entering sleeping state", "exiting sleeping state"

logger = logging.getLogger(__name__)

Listener = Callable[[EngineStatus], None]


class Engine:
    """Supervises one inference engine; belongs to one event loop."""

    def __init__(self, settings: EngineSettings) -> None:
        """Raises ConfigError for an `engine.url` that is no address."""
        if settings.url:
            api_base(settings.url)
        self._settings = settings
        self._affordable = CheaperSettings(settings)
        self._crashes = Crashes()
        self._log = LogRing()
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._owner: asyncio.Task[None] | None = None
        self._closed = False
        self._life: Life | None = None
        self._lives = 0
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
        self._send(Ensure(reply))
        return await reply

    def api_key(self) -> str:
        """What the engine asks for, to be called once it is ready: the configured key of a remote
        one, for one of ours a key that only this life of it has; "" when none runs."""
        running = self._life.running if self._life else None
        return running.key if running else ""

    @property
    def settings(self) -> EngineSettings:
        """What it runs with or would start with: cheaper than configured once memory ran out."""
        return self._affordable.settings

    async def stop(self) -> None:
        """Stop the engine, or its start; returns when the process is gone. The next start is one
        without a pause and with the settings as configured."""
        reply: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._send(Stop(reply))
        await reply

    async def restart(self) -> str:
        """Stop, start again and return the base URL; raises as `ensure_ready` does. Whoever waits
        for a start that this ends waits for the new one."""
        reply: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._send(Restart(reply))
        return await reply

    async def use(self, settings: EngineSettings) -> None:
        """Stop, and start with these settings at the next request."""
        reply: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._send(Stop(reply, settings))
        await reply

    def hung(self) -> None:
        """A request saw neither token nor progress for too long: end the engine at once, as one
        that hangs in a computation ignores SIGTERM. The next request starts it again."""
        if self._owner is not None:
            self._inbox.put_nowait(Hung())

    async def check_pulse(self) -> bool:
        """Return whether the engine still computes, for a caller to whom it says nothing; end one
        that does not.

        Takes up to `engine.request_timeout_s`, which is as long as one batch may take.
        """
        life = self._life
        running = life.running if life else None
        if running is None or running.process is None:
            return True
        limit = self._settings.request_timeout_s
        if await has_pulse(running.url, running.key, limit) or self._life is not life:
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
        self._inbox.put_nowait(Doubt(reply))
        await reply

    async def aclose(self) -> None:
        """Stop for good; later calls raise `EngineNotReady`."""
        if self._closed:
            return
        self._closed = True  # before the stop, behind which nobody may ask for a start
        if self._owner is not None:
            reply: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._inbox.put_nowait(Stop(reply))
            await reply
        for verdict in tuple(self._verdicts):
            await asyncio.wait({verdict})  # its process is gone, so that it ends now
        if self._owner is not None:
            self._owner.cancel()
            await asyncio.wait({self._owner})
        while not self._inbox.empty():
            message = self._inbox.get_nowait()
            if isinstance(message, Doubt | Judged):
                answer(message.reply)
            else:
                refuse(message, EngineNotReady("the engine is closed"))

    def status(self) -> EngineStatus:
        """A snapshot of the state; never waits for the engine."""
        life, settings, error = self._life, self._affordable.settings, self._error
        running = life.running if life else None
        process = running.process if running else None
        return EngineStatus(
            state=self._state,
            kind=self._kind,
            pid=process.pid if process else None,
            url=running.url if running else None,
            name=settings.alias,
            model=str(settings.model or ""),
            mmproj=str(settings.mmproj or ""),
            context=settings.context,
            parallel=settings.parallel,
            since=self._since,
            error=_fault(error) if error else None,
            stage=self._stage(),
            devices=life.offload.devices if life else (),
            layers=life.offload.layers if life else None,
            adjusted=self._affordable.changes,
            log_tail=self._log.lines(STATUS_LOG_LINES),
        )

    def _stage(self) -> str:
        if self._life is None or self._state is not EngineState.STARTING:
            return ""
        pause = self._life.pause
        return (pause.told() if pause else "") or stage_of(self._log.lines())

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

    def _send(self, message: Ensure | Stop | Restart) -> None:
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
                await self._end_life()
                self._fail(EngineStartFailed(f"the supervisor failed: {exc!r}"))
                refuse(message, EngineStartFailed(f"{exc!r}"))

    async def _handle(self, message: Message) -> None:
        match message:
            case Ensure(reply):
                self._ensure(reply)
            case Stop(reply, settings):
                await self._stop(settings)
                answer(reply)
            case Restart(reply):
                waiting = self._life.release() if self._life is not None else []
                await self._stop()
                for waiter in (*waiting, reply):
                    self._ensure(waiter)
            case Hung() if self._life is not None and self._life.running is not None:
                await self._kill(self._life)
            case Doubt(reply):
                self._doubt(reply)
            case Judged(reply):
                answer(reply)
            case Asleep(number, asleep) if self._life is not None and self._life.number == number:
                if self._life.running is not None:
                    self._enter(EngineState.SLEEPING if asleep else EngineState.READY)
            case Ended(number, task) if self._life is not None and self._life.number == number:
                if task is self._life.starting:
                    self._started(self._life)
                else:
                    self._crashed(self._life)

    def _doubt(self, reply: asyncio.Future[None]) -> None:
        watch = self._life.watch if self._life else None

        async def judge() -> None:
            if watch is not None:
                await asyncio.wait({watch}, timeout=VERDICT_S)
            # Behind the message about the end, which the watch has sent by now.
            self._inbox.put_nowait(Judged(reply))

        verdict = asyncio.create_task(judge(), name="engine-verdict")
        self._verdicts.add(verdict)
        verdict.add_done_callback(self._verdicts.discard)

    def _ensure(self, reply: asyncio.Future[str]) -> None:
        if self._life is None:
            try:
                self._kind = choose_kind(self._settings)
            except EngineError as exc:
                self._fail(exc)
                if not reply.done():
                    reply.set_exception(exc)
                return
            self._begin(self._kind)
        assert self._life is not None
        if self._life.running is None:
            self._life.waiters.append(reply)
        elif not reply.done():
            reply.set_result(self._life.running.url)

    def _begin(
        self, kind: EngineKind, waiters: Sequence[asyncio.Future[str]] = (), loads: int = 1
    ) -> None:
        self._log.clear()
        self._error = None
        self._lives += 1
        number = self._lives

        def watch_for_sleep(line: str) -> None:
            if _FELL_ASLEEP in line or _WOKE_UP in line:
                self._inbox.put_nowait(Asleep(number, _FELL_ASLEEP in line))

        for change in self._affordable.changes:
            self._log.note(f"out of memory before; started with {change}")
        offload, pause = Offload(), self._crashes.pause()
        if pause is not None:
            self._log.note(pause.noted())

        async def start() -> Running:
            if pause is not None:
                await asyncio.sleep(pause.seconds)
            settings = self._affordable.settings
            return await bring_up(settings, kind, self._log, watch_for_sleep, offload)

        task = asyncio.create_task(start(), name="engine-start")
        self._life = Life(number, task, offload, loads, pause, [*waiters])
        self._report_end(number, task)
        self._enter(EngineState.STARTING)

    def _report_end(self, number: int, task: asyncio.Task[Running] | asyncio.Task[int]) -> None:
        message = Ended(number, task)
        task.add_done_callback(lambda _: self._inbox.put_nowait(message))

    def _started(self, life: Life) -> None:
        try:
            running = life.starting.result()
        except EngineError as exc:
            self._life = None
            if exc.reason == OUT_OF_MEMORY and life.loads < MOST_LOADS:
                last = life.loads + 1 == MOST_LOADS
                if self._affordable.take_less(life.offload, last_load=last):
                    assert self._kind is not None
                    self._begin(self._kind, life.waiters, life.loads + 1)
                    return
            self._fail(exc)
            life.refuse(exc)
            return
        life.running = running
        life.ready_at = time.monotonic()
        if running.process is not None:
            life.watch = asyncio.create_task(running.process.wait(), name="engine-watch")
            self._report_end(life.number, life.watch)
        self._enter(EngineState.READY)
        life.answer(running.url)

    def _crashed(self, life: Life) -> None:
        assert life.watch is not None
        code = life.watch.result()
        failure = diagnose(self._log.engine_lines(), code)
        self._life = None
        self._crashes.add(time.monotonic() - life.ready_at)
        less = failure.reason == OUT_OF_MEMORY and self._affordable.take_less(life.offload)
        if less:
            self._crashes.forget()  # what it died of is put right
        error = EngineUnreachable(
            f"the engine ended by itself with exit code {code}: {failure.message}",
            f"The next request starts it with {less}."
            if less
            else failure.hint or "The next request starts it again; look at GET /engine/log.",
        )
        error.reason = failure.reason
        self._fail(error)

    async def _kill(self, life: Life) -> None:
        self._log.note("no token and no progress for too long; ending the engine")
        logger.error("the engine hangs and is ended")
        self._enter(EngineState.STOPPING)
        await self._end_life(grace_s=0.0)
        self._fail(EngineUnreachable("the engine hung", "The next request starts it again."))

    async def _stop(self, settings: EngineSettings | None = None) -> None:
        self._crashes.forget()
        self._affordable.forget()
        if self._life is not None:
            self._enter(EngineState.STOPPING)
            await self._end_life()
        if settings is not None:
            self._settings, self._affordable = settings, CheaperSettings(settings)
        if self._state is not EngineState.STOPPED:
            self._error = None
            self._enter(EngineState.STOPPED)

    async def _end_life(self, grace_s: float | None = None) -> None:
        """Close the streams, end the process and forget the life."""
        life, self._life = self._life, None
        if life is None:
            return
        life.refuse(EngineNotReady("the engine was stopped while it started"))
        closed = await asyncio.gather(
            *(action() for action in self._before_stop), return_exceptions=True
        )
        for outcome in closed:
            if isinstance(outcome, Exception):
                logger.error("closing the engine's streams failed", exc_info=outcome)
        await life.end(self._settings.stop_timeout_s if grace_s is None else grace_s)

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
