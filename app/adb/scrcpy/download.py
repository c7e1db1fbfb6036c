"""Downloads scrcpy's server from where it is released; only when a person asks for it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx

from app.adb.scrcpy.jar import ADDRESS, SHA256, SIZE, VERSION, is_server, stored
from app.errors import InputError, ServiceUnreachable
from app.http_client import IDENTITY
from app.private import private_folder, write_private

_SECONDS = 60.0


async def download(data_dir: Path, client: httpx.AsyncClient, address: str = ADDRESS) -> Path:
    """Download the server, check it, and return where it is kept.

    Raises ServiceUnreachable if it cannot be had within a minute, InputError if what comes is
    another file; nothing is stored then.
    """
    data = b""
    try:
        async with (
            asyncio.timeout(_SECONDS),
            client.stream("GET", address, headers=IDENTITY, follow_redirects=True) as answer,
        ):
            answer.raise_for_status()
            async for part in answer.aiter_raw():
                data += part
                if len(data) > SIZE:
                    break
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as exc:
        raise ServiceUnreachable(
            f"scrcpy's server cannot be downloaded from {address}: {exc or type(exc).__name__}",
            "Download it by other means, and set adb.scrcpy_server to its path.",
        ) from exc
    if not is_server(data):
        raise InputError(
            f"what {address} sent is not scrcpy's server {VERSION}",
            f"Its SHA-256 must be {SHA256}. Nothing was stored.",
        )
    place = stored(data_dir)
    private_folder(place.parent)
    new = place.with_suffix(".new")
    write_private(new, data)
    new.replace(place)
    return place
