"""Builds and wires the service: the only place where phones, engine, tasks and API meet."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import (
    AsyncExitStack,
    asynccontextmanager,
    suppress,
)
from dataclasses import dataclass

from fastapi import FastAPI
from prometheus_client import CollectorRegistry, ProcessCollector

from app import __version__
from app.access_tokens import Tokens, webhook_secret
from app.adb.apps import AppTable
from app.adb.fleet import Fleet
from app.adb.scrcpy import jar
from app.adb.server import AdbServer
from app.api.access import Access
from app.api.devices import device_routes
from app.api.document import describe
from app.api.engine import engine_routes
from app.api.errors import install_error_handlers
from app.api.goals import goal_routes
from app.api.guard import LOOPBACK, HostGuard
from app.api.limits import BodyLimit, Rate
from app.api.live_screen import LiveScreens
from app.api.mcp import McpTools
from app.api.openai import openai_routes
from app.api.operations import Operations, operation_routes
from app.api.pages import add_pages, login_page
from app.api.schedules import schedule_routes
from app.api.task_control import control_routes
from app.api.task_records import record_routes
from app.api.tasks import task_routes
from app.data_folder import owned
from app.errors import ConfigError, EngineError
from app.llm.engine import Engine
from app.log import log_no_urls
from app.models import Models
from app.settings import ServiceSettings, Settings, load_apps
from app.tasks.database import Database
from app.tasks.equipment import Equipment
from app.tasks.heartbeat import Heartbeat
from app.tasks.metrics import TaskMetrics
from app.tasks.ports import Phone
from app.tasks.queue import LocalQueue
from app.tasks.retention import Limits, Retention
from app.tasks.run import Surroundings
from app.tasks.runner import Runner
from app.tasks.schedules import Schedules
from app.tasks.secrets import Secrets
from app.tasks.store import Store
from app.tasks.webhooks import Webhooks

log = logging.getLogger(__name__)


def create_app(settings: Settings) -> FastAPI:
    """Create the ASGI application; its lifespan starts the parts and closes them in reverse.

    Raises ConfigError for settings that cannot work. The start of the lifespan raises ConfigError
    (data folder, adb program) and AdbServerUnreachable. An engine that does not start is not an
    error here; its state says why.
    """
    check_access(settings)
    log_no_urls()
    table = AppTable((app.name, app.aliases, app.package) for app in load_apps(settings.apps))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await _start_parts(app, settings, table, stack)
            yield

    # FastAPI's own documentation pages load scripts from another host; ours are in app/dashboard.
    app = FastAPI(
        title="phonepilot", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None
    )
    app.add_middleware(BodyLimit)
    if needs_token(settings.service):
        tokens, rate = Tokens(settings.tokens_file), Rate(settings.service.rate_limit)
        app.add_middleware(Access, tokens=tokens, rate=rate, login_page=login_page)
    app.add_middleware(HostGuard, names=_names(settings.service))
    install_error_handlers(app)
    describe(app)
    add_pages(app)
    return app


async def let_go(app: FastAPI) -> None:
    """Close what keeps connections open: tasks and their events, the phones' events and streams."""
    runner: Runner = app.state.runner
    fleet: Fleet = app.state.fleet
    screens: LiveScreens = app.state.screens
    await runner.close()
    await fleet.close()
    screens.close()


@dataclass(frozen=True)
class _Records:
    """What is stored on disk, and what maintains it."""

    database: Database
    store: Store
    retention: Retention
    webhooks: Webhooks


async def _start_parts(
    app: FastAPI, settings: Settings, table: AppTable, stack: AsyncExitStack
) -> None:
    """Build every part, and have `stack` close each before its dependencies."""
    stack.enter_context(owned(settings.service.data_dir))
    records = _start_records(settings, stack)
    heartbeat = Heartbeat(settings.service.data_dir)
    fleet = app.state.fleet = await _start_phones(settings, table, stack)
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    metrics = TaskMetrics(registry)
    models = Models(settings, metrics)
    stack.push_async_callback(models.aclose)
    agent = settings.agent
    around = Surroundings(
        fleet,
        models.equipment,
        records.store,
        metrics,
        records.webhooks,
        records.retention,
        Secrets(environment_anywhere=agent.environment_secrets == "any"),
        models.gate,
        reply_s=agent.reply_timeout_s,
        return_s=settings.adb.return_timeout_s,
        keep_screenshots=settings.service.keep_screenshots,
    )
    runner = app.state.runner = Runner(around, agent, LocalQueue(fleet))

    def equip(equipment: Equipment, changed: Settings) -> None:
        around.equipment, runner.defaults = equipment, changed.agent

    models.on_change(equip)
    stack.push_async_callback(runner.close)
    await runner.recover(heartbeat.last())
    heartbeat.start()
    stack.push_async_callback(heartbeat.close)
    schedules = Schedules(records.database, runner)
    await schedules.start()
    stack.callback(schedules.close)

    async def shown(serial: str) -> Phone:
        return await runner.shown_device(serial) or await fleet.get(serial)

    screens = app.state.screens = LiveScreens(shown, fleet.phone_of)
    tools = McpTools(runner, fleet, screens)
    await stack.enter_async_context(tools.start())
    app.router.routes.extend(tools.routes)
    for router in (
        openai_routes(models.upstream),  # first, because its callers count in milliseconds
        task_routes(runner),
        goal_routes(lambda: models.equipment.scope.kinds),
        control_routes(runner),
        record_routes(runner.reading),
        schedule_routes(schedules),
        device_routes(fleet, runner, screens),
        engine_routes(models.engine, lambda: models.engines.shown(), models.use),
        operation_routes(Operations(models.engine, fleet, runner, lambda: models.calls, registry)),
    ):
        app.include_router(router)
    # The model loads while the person is still typing; GET /engine reports a failure.
    warm_up = asyncio.create_task(_warm_up(models.engine))
    stack.push_async_callback(_end_task, warm_up)


def _start_records(settings: Settings, stack: AsyncExitStack) -> _Records:
    service = settings.service
    database = Database(service.data_dir)
    stack.push_async_callback(database.close)
    store = Store(database)
    limits = Limits(service.keep_days, service.screenshots_mib, service.min_free_mib)
    retention = Retention(store, service.data_dir, limits)
    retention.start()
    stack.push_async_callback(retention.close)
    secret = webhook_secret(settings.webhook_secret_file)
    webhooks = Webhooks(database, secret, service.callback_hosts)
    webhooks.start()
    stack.push_async_callback(webhooks.close)
    return _Records(database, store, retention, webhooks)


async def _start_phones(settings: Settings, table: AppTable, stack: AsyncExitStack) -> Fleet:
    scrcpy = settings.adb.scrcpy == "auto"
    adb = AdbServer(
        settings.adb.server_host,
        settings.adb.server_port,
        binary=settings.adb.binary,
        private=settings.adb.private,
    )
    fleet = Fleet(
        await adb.start(),
        table,
        state_dir=settings.service.data_dir,
        jar=jar.source(scrcpy, settings.adb.scrcpy_server, settings.service.data_dir),
    )
    stack.push_async_callback(adb.stop)
    await fleet.start()
    stack.push_async_callback(fleet.close)
    return fleet


async def _warm_up(engine: Engine) -> None:
    try:
        await engine.ensure_ready()
    except EngineError as exc:
        log.warning("the engine did not start: %s. %s", exc.message, exc.hint)


async def _end_task(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def needs_token(service: ServiceSettings) -> bool:
    """Whether requests must have an access token."""
    return service.auth == "always" or service.host not in LOOPBACK


def check_access(settings: Settings) -> None:
    """Raise ConfigError for a service that needs a token but has none."""
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
    """Return the accepted host names, with a port if a proxy serves the pages on that port."""
    named = {name.casefold() for name in service.allowed_hosts}
    named |= {
        name
        for name, colon, port in (each.rpartition(":") for each in named)
        if colon and port.isdecimal() and ":" not in name.strip("[]")
    }
    if service.host in LOOPBACK:
        return LOOPBACK | named
    return LOOPBACK | named | {service.host.casefold(), socket.gethostname().casefold()}
