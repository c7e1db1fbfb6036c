"""Which names the service answers to, and whose pages may talk to it: its own.

A page of another site, or of another program on this computer, may not (Origin, and Sec-Fetch-Site
for what a browser sends without Origin, as the picture of an `<img>`), nor one whose name was bent
to this computer's address (Host, DNS rebinding). An address in numbers cannot be bent, so it is a
name of the service wherever others may reach it.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.errors import error_response
from app.errors import RequestRefused

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
PAGES = frozenset({"/", "/docs", "/login"})
"""Where a link on another page may lead."""
_DEFAULT_PORTS = {"http": 80, "https": 443}
_CSP = (
    "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'self'"
)


class HostGuard:
    """ASGI middleware: checks Host and Origin of every request, adds the security headers."""

    def __init__(self, app: ASGIApp, names: frozenset[str] = LOOPBACK) -> None:
        """`names` are those that the service answers to; more than the loopback ones mean that
        others reach it, by its addresses too. One with a port, `NAME:PORT`, is where a proxy shows
        its pages when it does not pass that port on."""
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        problem = refusal(headers.get("host", ""), headers.get("origin"), self._names)
        problem = problem or intrusion(headers, str(scope.get("method", "GET")), scope["path"])
        if problem:
            response = error_response(
                RequestRefused(
                    problem,
                    "Use the service at http://127.0.0.1 or http://localhost, or name its hosts in "
                    "service.allowed_hosts.",
                )
            )
            await response(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = [
                    (b"x-content-type-options", b"nosniff"),
                    # Under "no-referrer" a browser posts the login form with the origin "null".
                    (b"referrer-policy", b"same-origin"),
                ]
                extra.append((b"content-security-policy", _CSP.encode()))
                message["headers"] = [*message.get("headers", []), *extra]
            await send(message)

        await self._app(scope, receive, send_with_headers)


def refusal(host: str, origin: str | None, names: frozenset[str] = LOOPBACK) -> str | None:
    """Why a request with these headers is refused, or None."""
    name, port = _place(f"//{host}")
    if not name or not (name in names or (names != LOOPBACK and _is_address(name))):
        return f"the host {host[:100]!r} is not this service"
    if origin is None:
        return None
    page, page_port = _place(origin)
    default = _DEFAULT_PORTS.get(origin.partition(":")[0].casefold())
    page_port = page_port or default
    # Other programs on a computer have pages too, at ports of their own. A proxy with TLS passes
    # on a Host without a port.
    same_port = page_port is not None and page_port == (port or default)
    same_name = page == name or (name in LOOPBACK and page in LOOPBACK)
    if page and default and same_name and (same_port or f"{page}:{page_port}" in names):
        return None
    return f"a page of {origin[:100]!r} may not use this service"


def intrusion(headers: Headers, method: str, path: str) -> str | None:
    """Why a browser's request for a page of another site is refused, or None.

    Programs that are no browsers send no Sec-Fetch-Site. A person may follow a link to a page.
    """
    site = headers.get("sec-fetch-site", "none")
    if site in ("none", "same-origin"):
        return None
    kind = headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")
    if kind == ("navigate", "document") and method in ("GET", "HEAD") and path in PAGES:
        return None
    return "a page of another site may not use this service"


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _place(url: str) -> tuple[str, int | None]:
    """Host name and port, "" for what has none."""
    try:
        parts = urlsplit(url)
        return parts.hostname or "", parts.port
    except ValueError:
        return "", None
