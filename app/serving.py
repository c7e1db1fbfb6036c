"""Runs the service on its port: a socket, uvicorn, and a clean shutdown."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import uvicorn
from fastapi import FastAPI

from app.api.connection import TimedConnection
from app.errors import ConfigError
from app.main import create_app, let_go
from app.settings import Settings

MOST_FILES = 65_536
"""Most connections and files open at once; a hard limit of millions makes some libraries slow."""


def raise_file_limit() -> None:
    """Raise the limit of open files as far as the system allows, at most to MOST_FILES.

    Many systems default to 1,024, which a few hundred watchers and their phones use up.
    """
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    with suppress(ValueError, OSError):  # macOS allows less than it says
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def serve(settings: Settings, ready: Callable[[str], None]) -> None:
    """Run the service until it is cancelled; `ready` gets its URL once it answers.

    Raises AppError if it cannot start.
    """
    raise_file_limit()
    app = create_app(settings)
    with open_socket(settings.service.host, settings.service.port) as listener:
        # The parts are started here and not by uvicorn, which would turn errors into text.
        async with app.router.lifespan_context(app):
            port = listener.getsockname()[1]
            host = _reachable(settings.service.host)
            config = _uvicorn_config(app, settings.service.shutdown_s)
            server = _Server(config, lambda: ready(f"http://{host}:{port}"))
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            try:
                await asyncio.shield(serving)
            except asyncio.CancelledError:
                await let_go(app)
                server.should_exit = True
                await serving
                raise


def open_socket(host: str, port: int) -> socket.socket:
    """Open the listening socket of the service, port 0 for a free one; raises ConfigError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # If the protocol is named, asyncio recognises the connections as TCP and sets TCP_NODELAY on
    # them; otherwise a response in two pieces waits 40 ms for the acknowledgement of the first.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as exc:
        listener.close()
        raise ConfigError(
            f"service.port: {port} is in use or not allowed ({exc.strerror})",
            "Choose another one with --port, or stop the program that uses it.",
        ) from exc
    return listener


def _reachable(host: str) -> str:
    """Return a host name for a browser on this computer."""
    if host in ("::1", "::", "0.0.0.0"):
        return "localhost"
    return f"[{host}]" if ":" in host else host


def _uvicorn_config(app: FastAPI, shutdown_s: float) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=TimedConnection,
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=max(1, round(shutdown_s)),
    )


class _Server(uvicorn.Server):
    """uvicorn's server; reports when it answers, and leaves signals to the command line."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_started()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn's own version would end the process before the phones, the engine and the store
        # are closed: it raises the signal again after the last connection.
        yield
