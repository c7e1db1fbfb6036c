"""Where an engine's API lies: the base under which `chat/completions` and `models` are. Pure."""

from __future__ import annotations

import httpx

from app.errors import ConfigError

_ROUTES = ("/chat/completions", "/models")
"""What people copy along with the base; the end of a path, never part of a version."""
_HINT = "Give the address of an OpenAI-compatible server, such as https://api.openai.com/v1."


def api_base(url: str) -> str:
    """Return the base of the API at `url`, without a slash at its end.

    Hosts version their paths as they like (`/v1`, `/api/paas/v4`, `/v1beta/openai`), so a path is
    kept as it is; only an address without one gets `/v1`. A trailing `/chat/completions` or
    `/models` is removed. Raises ConfigError, which names `engine.url`.
    """
    try:
        parts = httpx.URL(url)
    except (httpx.InvalidURL, ValueError) as exc:
        raise _refused(f"is not a URL: {exc}") from exc
    if parts.scheme not in ("http", "https"):
        raise _refused("must begin with http:// or https://")
    if not parts.host:
        raise _refused("has no host")
    if parts.port is not None and not 0 < parts.port < 65_536:
        raise _refused(f"has no valid port: {parts.port}")
    if parts.userinfo:
        raise _refused(
            "contains a user or a password",
            "Put the key into a variable, and its name into engine.api_key_env.",
        )
    if parts.query or parts.fragment:
        raise _refused("must end with the path, without `?` or `#`")
    path = parts.raw_path.decode("ascii").rstrip("/")
    for route in _ROUTES:
        if path.endswith(route):
            path = path.removesuffix(route).rstrip("/")
            break
    return f"{parts.scheme}://{parts.netloc.decode('ascii')}{path or '/v1'}"


def server_root(base: str) -> str:
    """Return the root of one of our own llama.cpp servers, where its own routes lie (`/health`,
    `/props`, `/slots`, `/metrics`)."""
    return base.removesuffix("/v1")


def _refused(why: str, hint: str = _HINT) -> ConfigError:
    # Without the value: it may contain a key.
    return ConfigError(f"engine.url {why}", hint)
