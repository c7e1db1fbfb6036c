"""Access rights: which right each route needs, and who has it (bearer tokens, or a browser cookie).

A cookie identifies a session that was opened with a token, and ends with the token. It is never
sent from another site (SameSite=Strict); besides, requests from pages of other sites are rejected
earlier, by Origin.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.access_tokens import Token, Tokens
from app.api.errors import error_response
from app.api.limits import BODY_S, Rate
from app.api.revocation import RevocableStream
from app.errors import AppError, ConfigError, RequestTooSlow, RightMissing, TokenMissing

COOKIE = "phonepilot"
SESSION_S = 12 * 3600.0
MAX_SESSIONS = 1_000
MAX_LOGIN_BYTES = 4_096
OPEN = "open"

RULES: tuple[tuple[str, re.Pattern[str], str], ...] = tuple(
    (methods, re.compile(path), right)
    for methods, path, right in (
        ("GET HEAD", r"/(healthz|readyz)", OPEN),
        ("GET HEAD", r"/metrics", "read"),
        ("GET HEAD POST", r"/login", OPEN),
        ("POST", r"/logout", OPEN),
        ("GET HEAD", r"/dashboard/.*", OPEN),  # the page's code; its data needs a right
        ("GET HEAD", r"/", "read"),
        ("GET HEAD", r"/(docs|openapi\.json)", "read"),
        ("GET HEAD", r"/tasks(/.*)?", "read"),
        ("GET HEAD", r"/devices(/.*)?", "read"),
        ("GET HEAD", r"/engine(/.*)?", "read"),
        ("GET HEAD", r"/v1/.*", "read"),
        ("POST", r"/tasks", "run"),
        ("POST", r"/tasks/[^/]+/(cancel|pause|resume|reply)", "run"),
        ("DELETE", r"/tasks/[^/]+", "run"),
        ("POST", r"/v1/.*", "run"),
        ("POST", r"/devices/.*", "control"),
        ("POST", r"/engine/.*", "control"),
        ("GET HEAD", r"/schedules(/.*)?", "read"),
        ("POST PATCH DELETE", r"/schedules(/.*)?", "run"),
        ("GET POST DELETE", r"/mcp", "read"),  # each tool requires its own right
    )
)
"""The first matching rule counts; a route without a rule needs "admin"."""


CALLER = "phonepilot.caller"
_RIGHTS = "phonepilot.rights"
"""Keys in the scope of a request with a token: the token's name, and its rights."""


def require(scope: Scope, right: str) -> None:
    """Raise RightMissing if the request's token lacks a right; without tokens all is allowed."""
    rights = scope.get(_RIGHTS)
    if rights is not None and right not in rights and "admin" not in rights:
        raise RightMissing(f"the token {scope[CALLER]!r} lacks the right {right!r}")


def caller_of(scope: Scope) -> str:
    """Return the name of the request's token; "" if none was required."""
    return str(scope.get(CALLER, ""))


def may_know(scope: Scope, owner: str) -> bool:
    """Whether a request may see what is reserved for the owner and admins."""
    rights = scope.get(_RIGHTS)
    return rights is None or "admin" in rights or scope[CALLER] == owner


def right_for(method: str, path: str) -> str:
    """Return the right that a request needs, "open" for none."""
    for methods, pattern, right in RULES:
        if method in methods.split() and pattern.fullmatch(path):
            return right
    return "admin"


@dataclass(frozen=True)
class _Session:
    token: Token
    until: float


class Access:
    """ASGI middleware after the host check; also serves `/login` and `/logout`."""

    def __init__(
        self, app: ASGIApp, tokens: Tokens, rate: Rate, login_page: Callable[[], Response]
    ) -> None:
        self._app = app
        self._rate = rate
        self._tokens = tokens
        self._login_page = login_page
        self._sessions: dict[str, _Session] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        response = await self._answer(scope, receive)
        if response is not None:
            await response(scope, receive, send)
        elif scope["type"] == "http" and CALLER in scope:
            stream = RevocableStream(receive, send, lambda: self._still_good(scope), _token_missing)
            await stream.run(self._app, scope)
        else:
            await self._app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Response | None:
        """Return the response that replaces the service's, None if the request may pass."""
        method, path = str(scope.get("method", "GET")), str(scope["path"])
        if path == "/login":
            request = Request(scope, receive)
            return await self._log_in(request) if method == "POST" else self._login_page()
        if path == "/logout" and method == "POST":
            return self._log_out(Headers(scope=scope))
        right = right_for(method, path)
        if right == OPEN:
            return None
        token = self._holder(Headers(scope=scope))
        if token is None:
            if path == "/":
                return RedirectResponse("/login", 303)
            return _token_missing()
        scope[CALLER], scope[_RIGHTS] = token.name, token.rights
        try:
            require(scope, right)
            self._rate.check(token.name)
        except AppError as exc:
            return error_response(exc)
        return None

    def _holder(self, headers: Headers) -> Token | None:
        scheme, _, secret = headers.get("authorization", "").partition(" ")
        if scheme.casefold() == "bearer":
            return self._tokens.find(secret.strip())
        session = self._sessions.get(_cookie(headers))
        if session is None or session.until < time.monotonic():
            return None
        # The token may have been revoked since, or created again with other rights.
        return session.token if session.token in self._tokens.all() else None

    def _still_good(self, scope: Scope) -> bool:
        try:
            token = self._holder(Headers(scope=scope))
        except ConfigError:
            return False
        return token is not None and scope[_RIGHTS] <= token.rights

    async def _log_in(self, request: Request) -> Response:
        body = b""
        try:
            async with asyncio.timeout(BODY_S):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > MAX_LOGIN_BYTES:
                        return error_response(TokenMissing("this is no token"))
        except TimeoutError:
            return error_response(RequestTooSlow(f"no token came within {BODY_S:g} s"))
        fields = parse_qs(body.decode("utf-8", "replace"))
        token = self._tokens.find((fields.get("token") or [""])[0].strip())
        if token is None:
            return RedirectResponse("/login?wrong", 303)
        now = time.monotonic()
        alive = {key: kept for key, kept in self._sessions.items() if kept.until > now}
        self._sessions = dict([*alive.items()][-MAX_SESSIONS + 1 :])
        session = secrets.token_urlsafe(32)
        self._sessions[session] = _Session(token, now + SESSION_S)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(
            COOKIE,
            session,
            max_age=int(SESSION_S),
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    def _log_out(self, headers: Headers) -> Response:
        self._sessions.pop(_cookie(headers), None)
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(COOKIE)
        return answer


def _token_missing() -> Response:
    missing = error_response(TokenMissing("this service needs an access token"))
    missing.headers["www-authenticate"] = "Bearer"
    return missing


def _cookie(headers: Headers) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""
