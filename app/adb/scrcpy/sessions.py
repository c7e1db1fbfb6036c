"""The scrcpy session of one phone: started when it is wanted, and given up for a while when not.

What made it impossible is remembered with its reason and tried again later, never given up for
good: a phone may be restarted, a jar installed, a permission granted.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from app.adb.connection import Deadline
from app.adb.scrcpy.session import Session, Unavailable
from app.adb.shell import Shell
from app.errors import AppError

log = logging.getLogger(__name__)

PAUSES_S = (5.0, 30.0, 120.0)
"""Seconds until the next start, after the first failures in a row; the last one also afterwards."""
SHORT_S = 10.0
"""A session that ends by itself within this time counts as a failure."""
MISSING = "scrcpy's server is not on this computer"


class Sessions:
    """Holds at most one session. Thread-safe. `jar` returns the server's bytes, None without one;
    raises InputError."""

    def __init__(
        self,
        shell: Shell,
        jar: Callable[[], bytes | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shell = shell
        self._jar = jar
        self._clock = clock
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._starting: Future[Session] | None = None
        self._failures = 0
        self._not_before = 0.0
        self._reason = ""
        self._closed = False

    @property
    def reason(self) -> str:
        """Why there is no session; empty if there is one, or none was wanted yet."""
        return "" if self._running() else self._reason

    def _running(self) -> Session | None:
        session = self._session
        return session if session is not None and not session.ended else None

    def get(self, deadline: Deadline, wait_s: float = 0.0) -> Session | None:
        """Return the running session; None if there is none. Then one is started in the
        background, and waited for at most `wait_s`, if the last failure is long enough ago.

        Raises DeviceTimeout at the deadline.
        """
        with self._lock:
            if session := self._running():
                return session
            if self._session is not None:
                self._lost(self._session.ended)
            if self._closed or self._clock() < self._not_before:
                return None
            if self._starting is None:
                self._starting = Future()
                starting = threading.Thread(
                    target=self._start, args=(self._starting,), name="scrcpy start", daemon=True
                )
                starting.start()
            future = self._starting
        end = self._clock() + wait_s
        while (left := min(end - self._clock(), deadline.left())) > 0:
            try:
                return future.result(min(left, 0.1))
            except TimeoutError:
                continue
            except (Unavailable, AppError):
                return None
        return None

    def _lost(self, reason: str) -> None:
        """Note that the session has ended by itself. The next one may start at once, unless this
        one was short-lived."""
        session, self._session = self._session, None
        if session is not None and self._clock() - session.began < SHORT_S:
            self._give_up(f"scrcpy has ended: {reason}")
            return
        log.info("%s: scrcpy has ended: %s", self._shell.serial, reason)
        self._failures, self._reason = 0, f"scrcpy has ended: {reason}"

    def _start(self, future: Future[Session]) -> None:
        try:
            try:
                jar = self._jar()
            except AppError as exc:
                raise Unavailable(exc.message) from exc
            if jar is None:
                raise Unavailable(MISSING)
            session = Session(self._shell, jar)
        except BaseException as exc:
            reason = exc.reason if isinstance(exc, Unavailable) else _told(exc)
            with self._lock:
                self._starting = None
                self._give_up(reason)
            future.set_exception(exc)
            return
        with self._lock:
            self._starting = None
            self._session, self._reason = session, ""
            closed = self._closed
        if closed:
            session.close()
        future.set_result(session)

    def _give_up(self, reason: str) -> None:
        pause = PAUSES_S[min(self._failures, len(PAUSES_S) - 1)]
        self._failures += 1
        self._not_before = self._clock() + pause
        self._reason = reason
        log.info("%s: no scrcpy for %g s: %s", self._shell.serial, pause, reason)

    def unusable(self, session: Session, reason: str) -> None:
        """End a session that runs and does not work; it is not started again for a while."""
        session.close()
        with self._lock:
            if self._session is session:
                self._session = None
                self._give_up(reason)

    def close(self) -> None:
        """End the session, and start none any more."""
        with self._lock:
            self._closed = True
            session, self._session = self._session, None
        if session is not None:
            session.close()


def _told(exc: BaseException) -> str:
    return exc.message if isinstance(exc, AppError) else f"{type(exc).__name__}: {exc}"
