"""The socket that the service listens on."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys

import pytest

from app.errors import ConfigError
from app.serving import MOST_FILES, open_socket
from tests.phones import ROOT


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


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
def test_the_limit_of_open_files_is_raised_as_far_as_allowed() -> None:
    program = (
        "import resource, app.serving\n"
        "hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))\n"
        "app.serving.raise_file_limit()\n"
        "print(*resource.getrlimit(resource.RLIMIT_NOFILE), hard)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    soft, kept, hard = map(int, done.stdout.split())
    assert kept == hard
    assert soft == (MOST_FILES if hard < 0 else min(hard, MOST_FILES))
