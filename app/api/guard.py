"""Who may talk to a service that drives a phone and has no password yet: this computer's own pages.

A page of another site may not (Origin), nor one whose name was bent to a loopback address (Host).
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.errors import error_response
from app.errors import AppError

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_CSP = (
    "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'self'"
)


class RequestRefused(AppError):
    code = "request_refused"
    status = 403


class HostGuard:
    """ASGI middleware: checks Host and Origin of every request, adds the security headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if problem := refusal(headers.get("host", ""), headers.get("origin")):
            response = error_response(
                RequestRefused(problem, "Use the service at http://127.0.0.1 or http://localhost.")
            )
            await response(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = [
                    (b"x-content-type-options", b"nosniff"),
                    (b"referrer-policy", b"no-referrer"),
                ]
                if not scope["path"].startswith("/docs"):  # FastAPI's page loads its own scripts
                    extra.append((b"content-security-policy", _CSP.encode()))
                message["headers"] = [*message.get("headers", []), *extra]
            await send(message)

        await self._app(scope, receive, send_with_headers)


def refusal(host: str, origin: str | None) -> str | None:
    """Why a request with these headers is refused, or None."""
    if _name(f"//{host}") not in LOOPBACK:
        return f"the host {host[:100]!r} is not this service"
    if origin is not None and _name(origin) not in LOOPBACK:
        return f"a page of {origin[:100]!r} may not use this service"
    return None


def _name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
