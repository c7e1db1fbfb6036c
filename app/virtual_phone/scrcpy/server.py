"""scrcpy's server 3.3.4 as a program of this phone: `app_process / com.genymobile.scrcpy.Server`.

Order of the sockets and of what is sent first: `DesktopConnection.java` and `Server.java`. It ends
when one of its sockets ends, or when the shell that started it does.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from dataclasses import dataclass, field

from app.virtual_phone.abstract_sockets import AbstractSockets
from app.virtual_phone.packets import LinkBroken
from app.virtual_phone.quirks import SCRCPY
from app.virtual_phone.scrcpy.control import Control, UnknownMessage
from app.virtual_phone.scrcpy.options import CLASS, Options, OptionsError, parse
from app.virtual_phone.shell.call import STDERR, STDOUT, Call, Command, encode
from app.virtual_phone.sync import Input
from app.virtual_phone.touches import Touches
from app.virtual_phone.transport import Stream

JAR_SHA256 = "8588238c9a5a00aa542906b6ec7e6d5541d9ffb9b5d0f6e1bc0e365e2303079e"
_NAME_BYTES = 64
_LEVELS = ("VERBOSE", "DEBUG", "INFO", "WARN", "ERROR")
_SLOW_S = 2.0


def app_process(sockets: AbstractSockets) -> Command:
    """Return the command `app_process`, which here runs nothing but scrcpy's server."""

    async def run(call: Call) -> int:
        if call.args[1:2] != [CLASS] or call.emit is None:
            return call.fail(f"Error: could not find class '{' '.join(call.args[1:2])}'")
        jar = call.environment.get("CLASSPATH", "").partition(":")[0]
        try:
            known = hashlib.sha256(call.files.read(jar)).hexdigest() == JAR_SHA256
        except OSError:
            known = False
        if not known:
            return call.fail(f"java.lang.ClassNotFoundException: {CLASS}")
        server = _Server(call, sockets)
        try:
            options = parse(call.args[2:])
        except OptionsError as exc:
            await server.log("ERROR", str(exc))
            return 1
        if options.on("cleanup"):
            call.files.remove(jar)
        return await server.run(options)

    return run


@dataclass
class _Server:
    call: Call
    sockets: AbstractSockets
    level: str = "DEBUG"
    accepted: asyncio.Queue[tuple[Stream, asyncio.Event]] = field(default_factory=asyncio.Queue)

    async def log(self, level: str, text: str) -> None:
        """Print a line, if it is important enough (`Ln.java`)."""
        if _LEVELS.index(level) < _LEVELS.index(self.level) or self.call.emit is None:
            return
        kind = STDERR if level in ("WARN", "ERROR") else STDOUT
        await self.call.emit(kind, encode(f"[server] {level}: {text}\n"))

    async def run(self, options: Options) -> int:
        self.level = options["log_level"].upper() if options["log_level"] else "DEBUG"
        self.level = self.level if self.level in _LEVELS else "DEBUG"
        quirk = self.call.phone.quirks.get(SCRCPY)
        await self.log("INFO", "Device: [phonepilot] phonepilot Virtual Phone (Android 14)")
        for key in options.unknown:
            await self.log("WARN", f"Unknown server option: {key}")
        if quirk == "slow":
            await asyncio.sleep(_SLOW_S)
        if quirk == "fails" or not options.on("tunnel_forward"):
            await self.log("ERROR", "Exception on thread Thread[main,5,main]")
            return 1
        roles = [role for role in ("video", "audio", "control") if options.on(role)]
        streams: dict[str, tuple[Stream, asyncio.Event]] = {}
        self.sockets.listen(options.socket, self._accept)
        try:
            for role in roles:
                streams[role] = await self.accepted.get()
                if len(streams) == 1 and options.on("send_dummy_byte"):
                    await streams[role][0].write(b"\0")
        finally:
            self.sockets.close(options.socket)
        try:
            await self._serve(options, {role: stream for role, (stream, _) in streams.items()})
        except (LinkBroken, EOFError, UnknownMessage):
            return 0
        finally:
            for _, done in streams.values():
                done.set()
        return 0

    async def _accept(self, stream: Stream) -> None:
        done = asyncio.Event()
        self.accepted.put_nowait((stream, done))
        await done.wait()

    async def _serve(self, options: Options, streams: dict[str, Stream]) -> None:
        if options.on("send_device_meta"):
            name = encode("Virtual Phone")[: _NAME_BYTES - 1]
            await next(iter(streams.values())).write(name.ljust(_NAME_BYTES, b"\0"))
        if "video" in streams or "audio" in streams:
            # As on a phone without an encoder: the first socket ends after the name.
            await self.log("ERROR", "Could not create default video encoder for h264")
            return
        jobs = []
        touches = Touches(self.call.phone, asyncio.get_running_loop().time)
        if (stream := streams.get("control")) is not None:
            read = Input(stream).take

            async def send(data: bytes) -> None:
                await stream.write(data)

            control = Control(self.call.phone, read, send, self.log, touches)
            jobs.append(asyncio.create_task(control.run()))
        try:
            done, _ = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
            for job in done:
                job.result()
        finally:
            touches.cancel_all()
            for job in jobs:
                job.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*jobs, return_exceptions=True)
