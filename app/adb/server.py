"""The adb server that connects the phones: the person's own, or one that phonepilot starts.

Tried in this order: a server that answers at the configured address; an `adb` binary (the
configured one, then PATH, then the one in the `adbutils` wheel), started on a free port. A server
started here runs under a guard, so it never outlives this process, and is restarted if it ends by
itself; a server that was found is its owner's to start.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Self

from app.adb.connection import Deadline, ExactClient
from app.background import Background
from app.errors import AdbServerUnreachable, ConfigError, DeviceError
from app.orphan import GRACE_S, guard_command

log = logging.getLogger(__name__)

DEFAULT_PORT = 5037
START_S = 15.0
_PROBE_S = 2.0
_POLL_S = 0.02
_ATTEMPTS = 3
_WATCH_S, _LONGEST_PAUSE_S = 0.25, 10.0
_USB_WAIT_S = 2.0
_NOT_INHERITED = (
    "ADB_SERVER_SOCKET",
    "ADB_TRACE",
    "ANDROID_ADB_SERVER_ADDRESS",
    "ANDROID_ADB_SERVER_PORT",
    "ANDROID_SERIAL",
)


def find_binary(configured: str = "") -> Path:
    """Return the adb program to use; raises ConfigError if there is none."""
    if configured:
        found = shutil.which(configured)
        if found is None:
            raise ConfigError(f"adb.binary: {configured} is not a program", "Correct or remove it.")
        return Path(found)
    found = shutil.which("adb")
    if found is not None:
        return Path(found)
    # Not adbutils.adb_path(): importing adbutils takes 0.2 s and runs code that is not needed.
    spec = importlib.util.find_spec("adbutils")
    if spec is not None and spec.origin is not None:
        name = "adb.exe" if sys.platform == "win32" else "adb"
        bundled = Path(spec.origin).parent / "binaries" / name
        if bundled.is_file():
            return bundled
    raise ConfigError("no adb program found", "Install Android's platform tools.")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class AdbServer:
    """Finds or starts an adb server; owns the process it started.

    With `private` the person's own server is left alone: the private server gets its own key and
    home (`home`, or a temporary folder) and reaches phones over TCP only; USB phones stay with the
    person's server. It also starts in 0.1 s instead of up to 3.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = DEFAULT_PORT,
        *,
        binary: str = "",
        private: bool = False,
        home: Path | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self._binary = binary
        self._private = private
        self._home = home
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._watch = Background("watching the adb server", self._keep_alive, _LONGEST_PAUSE_S)
        self._changing = threading.Lock()

    @property
    def owned(self) -> bool:
        """Whether the server was started here."""
        return self._process is not None

    @property
    def usb_wait_s(self) -> float:
        """Seconds that phones on USB may still take to appear: a server looks for them only once it
        has started."""
        return _USB_WAIT_S if self.owned and not self._private else 0.0

    def client(self) -> ExactClient:
        return ExactClient(self.host, self.port)

    async def start(self) -> ExactClient:
        """Return a client of a server that answers.

        Raises ConfigError without an adb program, AdbServerUnreachable if it does not start.
        """
        client = await asyncio.to_thread(self._start)
        if self.owned:
            self._watch.start()
        return client

    async def stop(self) -> None:
        """Stop the server if it was started here; a server that was found keeps running."""
        await self._watch.close()
        await asyncio.to_thread(self._stop)

    async def _keep_alive(self) -> float:
        """Restart the server, at the same address, if it has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            code = self._process.returncode
            await asyncio.to_thread(self._revive)
            log.warning("the adb server had ended with %s and was started again", code)
        return _WATCH_S

    def _revive(self) -> None:
        """Launch again at the same address. Locks out _stop, which may run concurrently."""
        with self._changing:
            process, folder = self._process, self._folder
            if process is None or folder is None:
                return  # stopped meanwhile
            path = Path(folder.name)
            path.mkdir(
                mode=0o700, parents=True, exist_ok=True
            )  # cleaning the temp folder may have removed it
            self._end_process()
            try:
                self._launch(find_binary(self._binary), path)
            except BaseException:
                self._process = self._process or process  # still owned, so it is retried
                raise

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _start(self) -> ExactClient:
        if self._process is not None:
            return self.client()
        if not self._private and self._answers(_PROBE_S):
            return self.client()
        binary = find_binary(self._binary)
        self._folder = tempfile.TemporaryDirectory(prefix="phonepilot-adb-")
        for attempt in range(1, _ATTEMPTS + 1):
            # Another process may take the port between its choice and adb's bind: then use another
            # one.
            self.host, self.port = "127.0.0.1", _free_port()
            try:
                self._launch(binary, Path(self._folder.name))
                return self.client()
            except AdbServerUnreachable:
                if attempt == _ATTEMPTS:
                    self._stop()
                    raise
                self._end_process()
        raise AssertionError("unreachable")

    def _answers(self, seconds: float) -> bool:
        try:
            self.client().query("host:version", Deadline(seconds))
        except DeviceError:
            return False
        return True

    def _launch(self, binary: Path, folder: Path) -> None:
        environment = {key: value for key, value in os.environ.items() if key not in _NOT_INHERITED}
        environment |= {
            "ADB_MDNS": "0",  # no search on the network: 3 s faster, and no UDP port opened
            "ADB_EMU": "0",  # no search for emulators on ports 5555 to 5585
            "ANDROID_ADB_LOG_PATH": str(folder / "adb.log"),
        }
        if self._private:
            home = self._home or folder
            home.mkdir(parents=True, exist_ok=True)
            # USB phones stay with the person's own server: two servers would fight over them.
            environment |= {"HOME": str(home), "ADB_USB": "0"}
            environment.pop("ADB_VENDOR_KEYS", None)
        output = folder / "output.txt"
        with output.open("wb") as log:
            self._process = subprocess.Popen(
                guard_command([str(binary), "-P", str(self.port), "nodaemon", "server"]),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=environment,
            )
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            if self._answers(_PROBE_S):
                return
            if self._process.poll() is not None:
                break
            time.sleep(_POLL_S)
        tail = output.read_text("utf-8", "replace").strip()[-400:]
        raise AdbServerUnreachable(
            f"adb server did not start ({binary}): {tail or 'no message'}",
            "Try `adb start-server` by hand.",
        )

    def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()  # makes the guard end the server
        try:
            process.wait(GRACE_S + 3.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _stop(self) -> None:
        with self._changing:
            self._end_process()
            if self._folder is not None:
                self._folder.cleanup()
                self._folder = None
