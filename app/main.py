"""Builds and wires the service: the only place where phones, engine, tasks and API meet."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from importlib import resources
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles
from prometheus_client import CollectorRegistry, ProcessCollector

from app import __version__
from app.adb.apps import AppTable
from app.adb.fleet import Fleet
from app.adb.server import AdbServer
from app.agent.ports import Device
from app.api.access import Access
from app.api.connection import TimedConnection
from app.api.devices import device_routes
from app.api.document import describe
from app.api.engine import engine_routes
from app.api.errors import install_error_handlers
from app.api.guard import LOOPBACK, HostGuard
from app.api.limits import BodyLimit, Rate
from app.api.live_screen import LiveScreens
from app.api.mcp import McpTools
from app.api.openai import Passthrough
from app.api.operations import Operations, operation_routes
from app.api.schedules import schedule_routes
from app.api.task_control import control_routes
from app.api.task_records import record_routes
from app.api.tasks import task_routes
from app.asking import assignments_of, calls_of, client_of
from app.errors import ConfigError, EngineError
from app.llm.engine import Engine
from app.settings import ServiceSettings, Settings, load_apps
from app.tasks.database import Database
from app.tasks.metrics import TaskMetrics
from app.tasks.retention import Limits, Retention
from app.tasks.runner import Runner
from app.tasks.schedules import Schedules
from app.tasks.store import Store
from app.tasks.turns import Turns
from app.tasks.webhooks import Webhooks
from app.tokens import Tokens, webhook_secret

log = logging.getLogger(__name__)


def create_app(settings: Settings) -> FastAPI:
    """The service as an ASGI application; its lifespan starts the parts and ends them in reverse.

    Raises ConfigError for settings that cannot work. The start of the lifespan raises ConfigError
    (data folder, adb program) and AdbServerUnreachable; an engine that does not start is no reason
    to fail, its state tells why.
    """
    check_access(settings)
    table = AppTable((app.name, app.aliases, app.package) for app in load_apps(settings.apps))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await _start_parts(app, settings, table, stack)
            yield

    app = FastAPI(title="phonepilot", version=__version__, lifespan=lifespan)
    app.add_middleware(BodyLimit)
    if needs_token(settings.service):
        tokens, rate = Tokens(settings.tokens_file), Rate(settings.service.rate_limit)
        app.add_middleware(Access, tokens=tokens, rate=rate, login_page=_login_page)
    app.add_middleware(HostGuard, names=_names(settings.service))
    install_error_handlers(app)
    describe(app)
    _add_fixed_routes(app)
    return app


async def _start_parts(
    app: FastAPI, settings: Settings, table: AppTable, stack: AsyncExitStack
) -> None:
    """Build every part, and have `stack` close each before what it depends on."""
    service = settings.service
    database = Database(service.data_dir)
    stack.push_async_callback(database.close)
    store = Store(database)
    retention = Retention(
        store,
        service.data_dir,
        Limits(service.keep_days, service.screenshots_mib, service.min_free_mib),
    )
    retention.start()
    stack.push_async_callback(retention.close)
    webhooks = Webhooks(
        database, webhook_secret(settings.webhook_secret_file), service.callback_hosts
    )
    webhooks.start()
    stack.push_async_callback(webhooks.close)
    adb = AdbServer(
        settings.adb.server_host,
        settings.adb.server_port,
        binary=settings.adb.binary,
        private=settings.adb.private,
    )
    fleet = Fleet(await adb.start(), table, state_dir=service.data_dir)
    stack.push_async_callback(adb.stop)
    await fleet.start()
    stack.push_async_callback(fleet.close)
    app.state.fleet = fleet
    engine = Engine(settings.engine)
    stack.push_async_callback(engine.aclose)
    api_key = settings.engine.api_key.get_secret_value()
    idle_timeout_s = settings.engine.request_timeout_s
    client = client_of(settings, engine)
    stack.push_async_callback(client.aclose)
    calls = calls_of(settings)
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    metrics = TaskMetrics(registry)
    passthrough = Passthrough(
        engine, calls, count=metrics.passed, api_key=api_key, idle_timeout_s=idle_timeout_s
    )
    stack.push_async_callback(passthrough.aclose)
    engine.before_stop(client.close_streams)
    engine.before_stop(passthrough.close_streams)
    runner = Runner(
        fleet,
        assignments_of(settings, client, calls),
        store,
        settings.agent,
        metrics,
        Turns(fleet),
        webhooks,
        retention,
        keep_screenshots=service.keep_screenshots,
        return_s=settings.adb.return_timeout_s,
    )
    app.state.runner = runner
    await runner.recover()
    stack.push_async_callback(runner.close)
    schedules = Schedules(database, runner)
    await schedules.start()
    stack.callback(schedules.close)

    async def shown(serial: str) -> Device:
        return runner.shown_device(serial) or await fleet.get(serial)

    screens = app.state.screens = LiveScreens(shown)
    tools = McpTools(runner, fleet, screens)
    await stack.enter_async_context(tools.start())
    app.router.routes.extend(tools.routes)
    for router in (
        task_routes(runner, store),
        control_routes(runner),
        record_routes(runner.records),
        schedule_routes(schedules),
        device_routes(fleet, runner, screens),
        engine_routes(engine),
        passthrough.router(),
        operation_routes(Operations(engine, fleet, runner, calls, registry)),
    ):
        app.include_router(router)
    # The model loads while the person still types; a failure is told by GET /engine.
    warm_up = asyncio.create_task(_warm_up(engine))
    stack.push_async_callback(_end_task, warm_up)


async def _warm_up(engine: Engine) -> None:
    try:
        await engine.ensure_ready()
    except EngineError as exc:
        log.warning("the engine did not start: %s. %s", exc.message, exc.hint)


async def _end_task(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _add_fixed_routes(app: FastAPI) -> None:
    dashboard = resources.files("app") / "dashboard"
    app.mount("/dashboard", _Assets(directory=str(dashboard)), name="dashboard")

    @app.get("/", include_in_schema=False)
    async def index() -> FileResponse:
        return FileResponse(str(dashboard / "index.html"), headers={"Cache-Control": "no-cache"})

    @app.get("/healthz", tags=["operations"])
    async def health() -> dict[str, str]:
        """The service answers; says nothing about phones and engine."""
        return {"status": "ok", "version": __version__}


class _Assets(StaticFiles):
    """The dashboard's files; browsers ask each time, so an upgrade never mixes two versions."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


def needs_token(service: ServiceSettings) -> bool:
    """Whether requests must come with an access token."""
    return service.auth == "always" or service.host not in LOOPBACK


def check_access(settings: Settings) -> None:
    """Raises ConfigError for a service that needs a token and has none."""
    service = settings.service
    if needs_token(service) and not Tokens(settings.tokens_file).all():
        if service.host in LOOPBACK:
            why, otherwise = "service.auth is always", "set service.auth to auto"
        else:
            why = f"service.host {service.host} can be reached by others"
            otherwise = "use 127.0.0.1"
        raise ConfigError(
            f"{why}, and there is no access token",
            f"Make one with `phonepilot tokens create NAME`, or {otherwise}.",
        )


def _names(service: ServiceSettings) -> frozenset[str]:
    """The host names that the service answers to."""
    if service.host in LOOPBACK:
        return LOOPBACK | {name.casefold() for name in service.allowed_hosts}
    own = {service.host, socket.gethostname(), *service.allowed_hosts}
    return LOOPBACK | {name.casefold() for name in own}


def _login_page() -> FileResponse:
    page = resources.files("app") / "dashboard" / "login.html"
    return FileResponse(str(page), headers={"Cache-Control": "no-cache"})


def open_socket(host: str, port: int) -> socket.socket:
    """The listening socket of the service, port 0 for a free one; raises ConfigError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
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


async def serve(settings: Settings, ready: Callable[[str], None]) -> None:
    """Run the service until it is cancelled; `ready` gets its URL once it answers.

    Raises AppError when it cannot start.
    """
    app = create_app(settings)
    with open_socket(settings.service.host, settings.service.port) as listener:
        # The parts are started here and not by uvicorn, which would turn our errors into text.
        async with app.router.lifespan_context(app):
            port = listener.getsockname()[1]
            host = _reachable(settings.service.host)
            config = _uvicorn_config(app, settings.service.shutdown_s)
            server = _Server(config, lambda: ready(f"http://{host}:{port}"))
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            try:
                await asyncio.shield(serving)
            except asyncio.CancelledError:
                runner: Runner = app.state.runner
                fleet: Fleet = app.state.fleet
                # All end their streams, which would hold the server up.
                await runner.close()
                await fleet.close()
                app.state.screens.close()
                server.should_exit = True
                await serving
                raise


def _reachable(host: str) -> str:
    """A name for this computer's own browser."""
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
    """uvicorn's server, that says when it answers and leaves the signals to the command line."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_started()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn's own would end the process before the phones, the engine and the store are
        # closed: it raises the signal again after the last connection.
        yield
