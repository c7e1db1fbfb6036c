"""The headers that the passthrough forwards, in each direction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

# RFC 9110, section 7.6.1: these belong to one connection, not to the message.
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# Headers that identify the client to this service do not concern the engine.
_OF_CLIENT = frozenset(
    {
        "host",
        "content-length",
        "expect",
        "authorization",
        "x-api-key",
        "cookie",
        "origin",
        "referer",
    }
)
# The engine's CORS headers would open this service's port to any web page.
_OF_ENGINE = frozenset({"server", "date", "set-cookie"})


def to_engine(client: Mapping[str, str], api_key: str) -> dict[str, str]:
    """Return the headers of a client's request for the engine; `api_key` is the engine's key."""
    headers = {"accept-encoding": "identity"}  # httpx would request compression by default
    for name, value in client.items():
        if name not in _HOP_BY_HOP and name not in _OF_CLIENT:
            headers[name] = value
    if api_key:
        headers["authorization"] = f"Bearer {api_key}"
    return headers


def from_engine(raw: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the headers of the engine's response for the client."""
    lower = ((name.lower(), value) for name, value in raw)
    return [(name, value) for name, value in lower if _passes(name.decode("latin-1"))]


def _passes(name: str) -> bool:
    kept_back = name in _HOP_BY_HOP or name in _OF_ENGINE
    return not kept_back and not name.startswith("access-control-")
