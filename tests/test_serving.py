"""The socket that the service listens on."""

from __future__ import annotations

import asyncio
import socket

import pytest

from app.errors import ConfigError
from app.serving import open_socket


async def test_an_answer_in_two_pieces_does_not_wait_for_an_acknowledgement() -> None:
    told: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def accepted(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        told.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    with open_socket("127.0.0.1", 0) as listener:
        async with await asyncio.start_server(accepted, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            assert await told == 1
            writer.close()


def test_a_port_that_is_taken_is_told() -> None:
    with open_socket("127.0.0.1", 0) as listener, pytest.raises(ConfigError, match="service.port"):
        listener.listen()
        open_socket("127.0.0.1", listener.getsockname()[1])
