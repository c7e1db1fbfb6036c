"""An unmodified `adb` aimed at the module's virtual phone."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.adb.server import AdbServer
from tests.phones import PhoneProcess

Adb = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture(scope="module")
def adb(adb_server: AdbServer, adb_binary: Path, virtual_phone: PhoneProcess) -> Iterator[Adb]:
    """Runs `adb -s PHONE arguments...`."""
    environment = os.environ | {"ANDROID_ADB_SERVER_PORT": str(adb_server.port)}

    def run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [adb_binary, "-s", virtual_phone.serial, *arguments],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env=environment,
            timeout=30,
            check=False,
        )

    assert b"connected to" in run("connect", virtual_phone.serial).stdout
    yield run
    run("disconnect", virtual_phone.serial)
