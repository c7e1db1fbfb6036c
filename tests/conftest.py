"""Real parts for tests: an adb server of our own, and virtual phones to go with it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from app.adb.apps import AppTable
from app.adb.device import Device
from app.adb.fleet import Fleet
from app.adb.server import AdbServer, find_binary
from tests.phones import PhoneProcess, phone_process

# No deadlines by the clock: a test must not fail because the machine does something else as well.
# Locally each run tries other examples; in CI a failure must mean a change, so the examples stay.
settings.register_profile(
    "phonepilot",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("phonepilot")

# Whoever starts us in the background has us ignore SIGINT, and every child would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

APPS = (
    ("Settings", ("设置",), "com.android.settings"),
    ("Notes", ("Notepad",), "org.phonepilot.notes"),
    ("Home", (), "org.phonepilot.launcher"),
    ("WeChat", ("微信",), "com.tencent.mm"),
)


@pytest.fixture(scope="session")
def adb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdbServer]:
    """An adb server on a port of its own, with a key and a home of its own."""
    server = AdbServer(private=True, home=tmp_path_factory.mktemp("adb-home"))
    asyncio.run(server.start())
    yield server
    asyncio.run(server.stop())


@pytest.fixture(scope="session")
def adb_binary() -> Path:
    return find_binary()


@pytest.fixture(scope="module")
def virtual_phone() -> Iterator[PhoneProcess]:
    """A virtual phone for the tests of a module; reset it to what a test needs."""
    with phone_process() as phone:
        yield phone


@pytest.fixture(scope="module")
def app_table() -> AppTable:
    return AppTable(APPS)


@pytest.fixture
def fleet(adb_server: AdbServer, app_table: AppTable) -> Fleet:
    return Fleet(adb_server.client(), app_table)


@pytest.fixture
async def device(fleet: Fleet, virtual_phone: PhoneProcess) -> AsyncIterator[Device]:
    """The module's phone, as new and connected."""
    virtual_phone.reset(7)
    yield await fleet.connect(virtual_phone.serial)
    await fleet.disconnect(virtual_phone.serial)
