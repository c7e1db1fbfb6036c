"""The device end of ADB over TCP: the greeting, and multiplexed streams with flow control.

Flow control: each side has at most one WRTE per stream in flight, and the peer's OKAY allows the
next. This end sends its OKAY when the service reads the data, so a slow service slows the host
down. The port has no real authentication: it must be bound to loopback.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections import deque
from collections.abc import Awaitable, Callable

from app.virtual_phone.packets import (
    AUTH,
    AUTH_PUBLIC_KEY,
    AUTH_SIGNATURE,
    AUTH_TOKEN,
    CLSE,
    CNXN,
    MAX_PAYLOAD,
    MAX_PAYLOAD_BEFORE_CNXN,
    OKAY,
    OPEN,
    VERSION,
    WRTE,
    LinkBroken,
    Packet,
    read_packet,
)
from app.virtual_phone.quirk_set import Quirks
from app.virtual_phone.quirks import HALF_OPEN, UNAUTHORIZED

log = logging.getLogger(__name__)

FEATURES = "shell_v2,cmd,fixed_push_mkdir"


class Stream:
    """One service in use by the host: a bidirectional byte stream inside a link."""

    def __init__(self, link: Link, local_id: int, remote_id: int) -> None:
        self._link = link
        self.local_id = local_id
        self.remote_id = remote_id
        self._inbox: deque[bytes] = deque()
        self._arrived = asyncio.Event()
        self._may_send = asyncio.Event()
        self._may_send.set()
        self._discarding = False
        self.closed = False

    @property
    def payload_limit(self) -> int:
        return self._link.payload_limit

    async def read(self) -> bytes:
        """Return the next piece of data from the host, or `b""` once the stream is closed."""
        while not self._inbox:
            if self.closed:
                return b""
            self._arrived.clear()
            await self._arrived.wait()
        self._acknowledge()
        return self._inbox.popleft()

    async def write(self, data: bytes) -> None:
        """Send `data` in pieces of the agreed size; raises LinkBroken once the stream is closed."""
        view = memoryview(data)
        for start in range(0, len(view), self.payload_limit):
            await self._may_send.wait()
            if self.closed:
                raise LinkBroken("stream closed by the host")
            self._may_send.clear()
            piece = bytes(view[start : start + self.payload_limit])
            await self._link.send(Packet(WRTE, self.local_id, self.remote_id, piece))

    async def flushed(self) -> None:
        """Wait until the host has acknowledged everything written."""
        await self._may_send.wait()

    async def drop_link(self) -> None:
        """Close the whole link once the host has acknowledged everything written."""
        await self.flushed()
        self._link.drop()

    def discard_input(self) -> None:
        """Read and discard everything the host sends, so that it never waits."""
        self._discarding = True
        while self._inbox:
            self._acknowledge()
            self._inbox.popleft()

    def deliver(self, data: bytes) -> None:
        if self._discarding:
            self._acknowledge()
            return
        self._inbox.append(data)
        self._arrived.set()

    def acknowledged(self) -> None:
        self._may_send.set()

    def mark_closed(self) -> None:
        """Wake all waits on this stream; called by the link."""
        self.closed = True
        self._arrived.set()
        self._may_send.set()

    def _acknowledge(self) -> None:
        if not self.closed:
            self._link.post(Packet(OKAY, self.local_id, self.remote_id))


Service = Callable[[Stream], Awaitable[None]]
Resolver = Callable[[str], Service | None]
"""Returns the service for the text of an OPEN, or None to reject it."""


class Link:
    """One TCP connection from an adb server.

    A muted link is half open: it reads everything and sends nothing any more.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        banner: str,
        resolve: Resolver,
        authorized: asyncio.Event,
        half_open: str | None,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._banner = banner
        self._resolve = resolve
        self._authorized = authorized
        self._muted = half_open == "connect"
        self._mute_when_online = half_open == "link"
        self._online = False
        self._next_id = 1
        self._streams: dict[int, Stream] = {}
        self._services: dict[int, asyncio.Task[None]] = {}
        self._greeting: asyncio.Task[None] | None = None
        self.payload_limit = MAX_PAYLOAD_BEFORE_CNXN

    def post(self, packet: Packet) -> None:
        if not self._writer.is_closing() and not self._muted:
            self._writer.write(packet.encode())

    async def send(self, packet: Packet) -> None:
        self.post(packet)
        await self._writer.drain()

    def drop(self) -> None:
        """Close the connection, like a phone that disconnects; `run` ends."""
        self._writer.close()

    def half_open(self, mode: str | None) -> None:
        """Follow a change of the quirk; a phone that is back has forgotten its muted links."""
        if mode is None and self._muted:
            self.drop()
        self._mute_when_online = mode == "link"
        self._muted = self._muted or mode == "stale" or (mode == "link" and self._online)

    async def run(self) -> None:
        """Answer packets until the host disconnects, then end every service of this link."""
        try:
            while True:
                self._dispatch(await read_packet(self._reader))
        except (asyncio.IncompleteReadError, ConnectionError):
            log.debug("host went away")
        except LinkBroken as exc:
            log.warning("link dropped: %s", exc)
        finally:
            # Closed before the first await: stop() may cancel this task in the middle of ending.
            self._writer.close()
            await self._end_services()
            with contextlib.suppress(ConnectionError):
                await self._writer.wait_closed()

    def _dispatch(self, packet: Packet) -> None:
        if self._muted:
            return
        if packet.command == CNXN:
            self._on_connect(packet)
        elif packet.command == AUTH:
            self._on_auth(packet)
        elif not self._online:
            raise LinkBroken("a packet before the connection was agreed on")
        elif packet.command == OPEN:
            self._on_open(packet)
        elif packet.command in (OKAY, WRTE, CLSE):
            stream = self._streams.get(packet.arg1)
            # An unknown id belongs to a stream that was closed while this packet was on its way.
            if stream is not None:
                self._on_stream(stream, packet)
        else:
            raise LinkBroken(f"unknown command {packet.command:#010x}")

    def _on_connect(self, packet: Packet) -> None:
        self.payload_limit = min(MAX_PAYLOAD, packet.arg1)
        if self.payload_limit == 0:
            raise LinkBroken("the host accepts no payload")
        if self._authorized.is_set():
            self._go_online()
        else:
            self.post(Packet(AUTH, AUTH_TOKEN, 0, os.urandom(20)))

    def _on_auth(self, packet: Packet) -> None:
        if packet.arg0 == AUTH_SIGNATURE:
            # No key is known here: ask again until the host offers its public key.
            self.post(Packet(AUTH, AUTH_TOKEN, 0, os.urandom(20)))
        elif packet.arg0 == AUTH_PUBLIC_KEY and self._greeting is None:
            self._greeting = asyncio.create_task(self._greet_when_authorized())

    async def _greet_when_authorized(self) -> None:
        await self._authorized.wait()
        self._go_online()

    def _go_online(self) -> None:
        self._online = True
        self.post(Packet(CNXN, VERSION, MAX_PAYLOAD, self._banner.encode()))
        self._muted = self._muted or self._mute_when_online

    def _on_open(self, packet: Packet) -> None:
        name = packet.payload.rstrip(b"\0").decode("utf-8", "surrogateescape")
        service = self._resolve(name)
        if service is None:
            self.post(Packet(CLSE, 0, packet.arg0))
            return
        stream = Stream(self, self._next_id, packet.arg0)
        self._next_id += 1
        self._streams[stream.local_id] = stream
        self.post(Packet(OKAY, stream.local_id, stream.remote_id))
        task = asyncio.create_task(self._serve(stream, service))
        self._services[stream.local_id] = task

    def _on_stream(self, stream: Stream, packet: Packet) -> None:
        if packet.command == OKAY:
            stream.acknowledged()
        elif packet.command == WRTE:
            stream.deliver(packet.payload)
        else:
            stream.mark_closed()
            # The command ends with its stream, as under adbd.
            self._services[stream.local_id].cancel()

    async def _serve(self, stream: Stream, service: Service) -> None:
        try:
            await service(stream)
            await stream.flushed()
        except (LinkBroken, ConnectionError) as exc:
            log.debug("stream %d ended: %s", stream.local_id, exc)
        finally:
            self._streams.pop(stream.local_id, None)
            self._services.pop(stream.local_id, None)
            stream.mark_closed()
            self.post(Packet(CLSE, stream.local_id, stream.remote_id))

    async def _end_services(self) -> None:
        tasks = list(self._services.values())
        if self._greeting is not None:
            tasks.append(self._greeting)
        for stream in list(self._streams.values()):
            stream.mark_closed()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Endpoint:
    """The listening end: accepts adb servers and gives each its own link."""

    def __init__(self, banner: str, resolve: Resolver, quirks: Quirks) -> None:
        self._banner = banner
        self._resolve = resolve
        self._quirks = quirks
        self._authorized = asyncio.Event()
        self._links: dict[asyncio.Task[None], Link] = {}
        self._server: asyncio.Server | None = None
        self._follow_unauthorized()
        quirks.watch(UNAUTHORIZED, self._follow_unauthorized)
        quirks.watch(HALF_OPEN, self._follow_half_open)

    async def start(self, port: int) -> int:
        """Listen on loopback and return the port; raises OSError if it is in use."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", port)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._links):
            task.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        mode = self._quirks.get(HALF_OPEN)
        link = Link(reader, writer, self._banner, self._resolve, self._authorized, mode)
        self._links[task] = link
        try:
            await link.run()
        except asyncio.CancelledError:
            # Not raised again: asyncio's done-callback of this task would log it as an error.
            writer.transport.abort()
        finally:
            del self._links[task]

    def _follow_unauthorized(self) -> None:
        if self._quirks.get(UNAUTHORIZED):
            self._authorized.clear()
        else:
            self._authorized.set()

    def _follow_half_open(self) -> None:
        for link in list(self._links.values()):
            link.half_open(self._quirks.get(HALF_OPEN))
