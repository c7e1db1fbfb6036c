"""Pairing by code: what the adb server may answer, and what comes of it.

No phone stands in for the other side here. It would have to speak TLS 1.3 with a certificate of the
client, export keying material from that connection, and run SPAKE2 over Ed25519 in BoringSSL's own
variant with the code and that material as the password (AOSP packages/modules/adb, pairing_auth and
pairing_connection). Python's ssl module exports no keying material, so it would be a program with
its own TLS. The real adb program is used where it gives up before; its answers to a right and a
wrong code are scripted.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from app.adb import pairing
from app.adb.fleet import Fleet
from app.errors import AdbServerUnreachable, DeviceTimeout, DeviceUnauthorized

ADDRESS, CODE = "127.0.0.1:37123", "123456"


@contextlib.contextmanager
def peer(*, silent: bool) -> Iterator[str]:
    """The address of something that accepts connections, and leaves at once or says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        over = threading.Event()

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        if silent:
                            over.wait(60)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            over.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


async def test_the_real_server_and_a_peer_that_is_no_phone(fleet: Fleet) -> None:
    with peer(silent=False) as address, pytest.raises(DeviceUnauthorized, match="not paired"):
        await fleet.pair(address, CODE)


async def test_the_real_server_and_a_peer_that_says_nothing(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairing, "PAIR_S", 1.0)
    with peer(silent=True) as address, pytest.raises(DeviceTimeout):
        await fleet.pair(address, CODE)
    assert await fleet.list() == [], "the server still answers"


async def said(answer: str | Exception) -> list[str]:
    """The requests made when the adb server answers so."""
    requests: list[str] = []

    async def query(request: str, seconds: float) -> str:
        requests.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    await pairing.pair(query, ADDRESS, CODE)
    return requests


async def test_a_phone_that_takes_the_code() -> None:
    answer = f"Successfully paired to {ADDRESS} [guid=adb-R58M-1xygO9]\n"
    assert await said(answer) == [f"host:pair:{CODE}:{ADDRESS}"]


@pytest.mark.parametrize(
    "answer",
    ["Failed: Wrong password or connection was dropped.", "", "Failed: Successfully paired"],
)
async def test_a_phone_that_does_not(answer: str) -> None:
    with pytest.raises(DeviceUnauthorized) as caught:
        await said(answer)
    assert answer in caught.value.message
    assert "code" in caught.value.hint


@pytest.mark.parametrize("error", [AdbServerUnreachable("gone"), DeviceTimeout("late")])
async def test_other_faults_stay_what_they_are(error: Exception) -> None:
    with pytest.raises(type(error)):
        await said(error)
