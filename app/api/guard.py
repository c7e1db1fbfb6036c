"""Checks the host name of each request, and which web pages may send requests: only this service's.

Pages of other sites, and of other programs on this computer, are rejected by Origin, or by
Sec-Fetch-Site if the browser sends no Origin, as for the picture of an `<img>`. A name that was
redirected to this computer's address (DNS rebinding) is rejected by Host. A numeric address cannot
be redirected, so it is accepted wherever others may reach the service.
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
"""Pages that a link on another site may open."""
_DEFAULT_PORTS = {"http": 80, "https": 443}
_CSP = (
    "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'self'"
)


class HostGuard:
    """ASGI middleware: checks Host and Origin of every request, adds the security headers."""

    def __init__(self, app: ASGIApp, names: frozenset[str] = LOOPBACK) -> None:
        """`names` are the accepted host names; any name besides the loopback ones means that others
        reach the service, also by its addresses. A name with a port, `NAME:PORT`, is where a proxy
        serves the pages if it does not forward that port."""
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
                    # With "no-referrer" a browser posts the login form with the origin "null".
                    (b"referrer-policy", b"same-origin"),
                ]
                extra.append((b"content-security-policy", _CSP.encode()))
                message["headers"] = [*message.get("headers", []), *extra]
            await send(message)

        await self._app(scope, receive, send_with_headers)


def refusal(host: str, origin: str | None, names: frozenset[str] = LOOPBACK) -> str | None:
    """Return why a request with these headers is rejected, or None."""
    name, port = _place(f"//{host}")
    if not name or not (name in names or (names != LOOPBACK and _is_address(name))):
        return f"the host {host[:100]!r} is not this service"
    if origin is None:
        return None
    page, page_port = _place(origin)
    default = _DEFAULT_PORTS.get(origin.partition(":")[0].casefold())
    page_port = page_port or default
    # Other programs on a computer have pages too, on their own ports. A proxy with TLS forwards a
    # Host without a port.
    same_port = page_port is not None and page_port == (port or default)
    same_name = page == name or (name in LOOPBACK and page in LOOPBACK)
    if page and default and same_name and (same_port or f"{page}:{page_port}" in names):
        return None
    return f"a page of {origin[:100]!r} may not use this service"


def intrusion(headers: Headers, method: str, path: str) -> str | None:
    """Return why a browser's request from a page of another site is rejected, or None.

    Programs other than browsers send no Sec-Fetch-Site. A person may follow a link to a page.
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
    """Return host name and port; "" if there is none."""
    try:
        parts = urlsplit(url)
        return parts.hostname or "", parts.port
    except ValueError:
        return "", None
