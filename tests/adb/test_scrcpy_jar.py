"""scrcpy's server is found by its checksum, and downloaded only from where it is released."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from app.adb.scrcpy import jar
from app.adb.scrcpy.download import download
from app.errors import InputError, ServiceUnreachable
from tests.scrcpy_jar import SHA256, scrcpy_jar


def test_the_pinned_version_is_the_one_that_the_tests_use() -> None:
    assert jar.SHA256 == SHA256
    assert scrcpy_jar().stat().st_size == jar.SIZE


def test_a_copy_is_recognised_by_what_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = scrcpy_jar().read_bytes()
    assert jar.find(None, tmp_path) is None
    installed = tmp_path / "scrcpy-server"
    installed.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))  # another version, of the same size
    monkeypatch.setenv("SCRCPY_SERVER_PATH", str(installed))
    assert jar.find(None, tmp_path) is None
    installed.write_bytes(data)
    assert jar.find(None, tmp_path) == data
    monkeypatch.delenv("SCRCPY_SERVER_PATH")
    monkeypatch.setenv("PATH", str(tmp_path))  # beside scrcpy.exe
    assert jar.find(None, tmp_path) == data


def test_a_chosen_file_that_is_not_it_is_told_with_the_right_checksum(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"other")
    for name in ("other", "missing"):
        with pytest.raises(InputError, match="not scrcpy's server 3.3.4") as caught:
            jar.find(tmp_path / name, tmp_path)
        assert SHA256 in caught.value.hint
    assert jar.find(scrcpy_jar(), tmp_path) is not None


def client(status: int, *parts: bytes) -> httpx.AsyncClient:
    async def body() -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    def answer(request: httpx.Request) -> httpx.Response:
        assert str(request.url) == jar.ADDRESS
        return httpx.Response(status, content=body())

    return httpx.AsyncClient(transport=httpx.MockTransport(answer))


async def test_a_download_is_checked_and_then_found(tmp_path: Path) -> None:
    data = scrcpy_jar().read_bytes()
    place = await download(tmp_path, client(200, data[:50_000], data[50_000:]))
    assert place.read_bytes() == data
    assert jar.find(None, tmp_path) == data
    assert [path.name for path in place.parent.iterdir()] == [jar.NAME]


async def test_anything_else_is_not_stored(tmp_path: Path) -> None:
    data = scrcpy_jar().read_bytes()
    for parts in ((data, b"more"), (data[:-1],), (b"<html>",)):
        with pytest.raises(InputError, match="is not scrcpy's server"):
            await download(tmp_path, client(200, *parts))
    with pytest.raises(ServiceUnreachable, match="cannot be downloaded"):
        await download(tmp_path, client(404))
    assert not (tmp_path / "scrcpy").exists()
