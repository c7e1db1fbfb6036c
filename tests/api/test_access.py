"""Nobody in who should not be: every route of a service that others can reach asks for a token."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import TextContent
from starlette.routing import BaseRoute, Route
from typer.testing import CliRunner

from app.access_tokens import RIGHTS, Tokens
from app.api.access import OPEN, right_for
from app.api.guard import LOOPBACK, refusal
from app.cli.main import app
from app.errors import ConfigError, InputError
from app.main import check_access, create_app
from app.settings import load_settings
from tests.e2e.conftest import service_environment, service_process

SECRET = re.compile(r"pp_[\w-]{43}")
HIDDEN = [
    ("GET", "/"),
    ("GET", "/docs"),
    ("GET", "/openapi.json"),
    ("GET", "/mcp"),
    ("POST", "/mcp"),
    ("DELETE", "/mcp"),
]
"""Routes that the service's description leaves out."""
WRITES = ("POST", "PUT", "PATCH", "DELETE")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    """(URL, a token for each right) of a service on all addresses, in a process of its own."""
    folder = tmp_path_factory.mktemp("guarded")
    tokens = Tokens(folder / "tokens.json")
    secrets = {right: tokens.create(right, [right]) for right in RIGHTS}
    config = folder / "open.toml"
    config.write_text('[service]\nhost = "0.0.0.0"\nallowed_hosts = ["phone.example"]\n')
    with service_process(folder, "-c", str(config)) as (url, _):
        yield url, secrets


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def routes(url: str, token: str) -> list[tuple[str, str]]:
    """Every method and path of the service, its own description and what that leaves out."""
    document: dict[str, Any] = httpx.get(f"{url}/openapi.json", headers=bearer(token)).json()
    filled = [
        (method.upper(), re.sub(r"\{\w+\}", "1", path))
        for path, methods in document["paths"].items()
        for method in methods
    ]
    return [*filled, *HIDDEN, ("POST", "/v1/chat/completions"), ("DELETE", "/tasks/1")]


def test_every_route_asks_for_a_token_and_for_the_right_one(
    guarded: tuple[str, dict[str, str]],
) -> None:
    url, secrets = guarded
    found = routes(url, secrets["read"])
    assert len(found) > 20
    with httpx.Client(base_url=url, follow_redirects=False, timeout=30) as http:
        for method, path in found:
            right = right_for(method, path)
            if right == OPEN:
                assert path in ("/healthz", "/readyz")
                continue
            for headers in ({}, bearer("pp_" + "x" * 43), {"Authorization": "Basic YTpi"}):
                refused = http.request(method, path, headers=headers)
                if path == "/":
                    assert (refused.status_code, refused.headers["location"]) == (303, "/login")
                    continue
                assert refused.status_code == 401, (method, path, headers)
                assert refused.headers["www-authenticate"] == "Bearer"
                assert refused.json()["error"]["code"] == "token_missing"
            if method in WRITES and right != "read":
                lacking = http.request(method, path, headers=bearer(secrets["read"]))
                assert lacking.status_code == 403, (method, path)
                assert lacking.json()["error"]["code"] == "right_missing"


def all_routes(found: Sequence[BaseRoute]) -> Iterator[tuple[str, str]]:
    """Every method and path of a router and of those that it includes."""
    for route in found:
        if isinstance(route, Route):
            path = re.sub(r"\{[^}]+\}", "1", route.path)
            for method in route.methods or ("GET", "POST", "DELETE"):
                if method != "HEAD":
                    yield method, path
        elif (included := getattr(route, "original_router", None)) is not None:
            yield from all_routes(included.routes)


async def test_no_route_of_the_router_is_forgotten(
    guarded: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    overrides = {"service.data_dir": str(tmp_path), "adb.private": True}
    service = create_app(load_settings(["demo"], overrides, environ={}))
    async with service.router.lifespan_context(service):
        walked = set(all_routes(service.routes))
    url, secrets = guarded
    tested = set(routes(url, secrets["read"]))
    catch_all = {(method, path) for method, path in walked if path == "/v1/1"}
    assert len(walked) > 30
    assert walked - tested - catch_all == set()


async def test_a_tool_asks_for_the_right_of_its_route(
    guarded: tuple[str, dict[str, str]],
) -> None:
    url, secrets = guarded

    async def call(right: str, tool: str, **arguments: object) -> str:
        async with (
            httpx2.AsyncClient(headers=bearer(secrets[right]), timeout=30) as http,
            Client(streamable_http_client(f"{url}/mcp", http_client=http)) as client,
        ):
            answer = await client.call_tool(tool, arguments)
            said = answer.content[0]
            assert isinstance(said, TextContent)
            return said.text

    assert "devices" in await call("read", "list_devices")
    for tool, arguments in (
        ("run_task", {"goal": "Turn on Bluetooth"}),
        ("cancel_task", {"task_id": "1"}),
        ("reply_to_task", {"task_id": "1", "allow": True}),
    ):
        assert "right_missing" in await call("read", tool, **arguments)
    assert "device_not_found" in await call("admin", "run_task", goal="Turn on Bluetooth")


def test_a_token_that_is_used_too_often_has_to_wait(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path / "tokens.json")
    busy, other = tokens.create("busy", ["read"]), tokens.create("other", ["read"])
    config = tmp_path / "limited.toml"
    config.write_text('[service]\nauth = "always"\nrate_limit = "5/hour"\n')
    with (
        service_process(tmp_path, "-c", str(config)) as (url, _),
        httpx.Client(base_url=url, timeout=30) as http,
    ):
        asked = [http.get("/tasks", headers=bearer(busy)) for _ in range(6)]
        assert [answer.status_code for answer in asked] == [200] * 5 + [429]
        assert asked[-1].json()["error"]["code"] == "too_many_requests"
        assert http.get("/tasks", headers=bearer(other)).status_code == 200
        assert http.get("/healthz").status_code == 200


def test_each_right_is_good_for_its_own(guarded: tuple[str, dict[str, str]]) -> None:
    url, secrets = guarded
    with httpx.Client(base_url=url, timeout=30) as http:
        assert http.get("/tasks", headers=bearer(secrets["read"])).status_code == 200
        assert http.get("/tasks", headers=bearer(secrets["run"])).status_code == 403
        empty = {"goal": " "}
        for right, status in (("run", 422), ("admin", 422), ("control", 403)):
            answer = http.post("/tasks", json=empty, headers=bearer(secrets[right]))
            assert answer.status_code == status, right
        connect = http.post(
            "/devices/connect", json={"address": "bad address"}, headers=bearer(secrets["control"])
        )
        assert connect.status_code == 422


def test_a_browser_signs_in_with_a_cookie_and_out(guarded: tuple[str, dict[str, str]]) -> None:
    url, secrets = guarded
    with httpx.Client(base_url=url, follow_redirects=True, timeout=30) as http:
        assert "Access token" in http.get("/").text
        wrong = http.post("/login", data={"token": "pp_wrong"})
        assert wrong.url.query == b"wrong"
        assert not http.cookies
        page = http.post("/login", data={"token": secrets["read"]})
        assert 'id="composer"' in page.text
        cookie = page.history[0].headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert secrets["read"] not in cookie
        assert http.get("/tasks").status_code == 200
        assert http.post("/tasks", json={"goal": "x"}).status_code == 403
        http.post("/logout")
        assert http.get("/tasks").status_code == 401
    assert httpx.post(f"{url}/login", content=b"token=" + b"x" * 10_000).status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": "phone.example"}, 200),
        ({"Host": "192.168.1.7:8770"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Host": "phone.example", "Origin": "https://phone.example"}, 200),
        ({"Host": "phone.example", "Origin": "http://192.168.1.7"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_other_names_and_other_sites_are_refused_even_with_a_token(
    guarded: tuple[str, dict[str, str]], headers: dict[str, str], status: int
) -> None:
    url, secrets = guarded
    answer = httpx.get(f"{url}/tasks", headers=headers | bearer(secrets["admin"]))
    assert answer.status_code == status


def test_a_revoked_token_ends_at_once_and_its_sessions_too(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path / "tokens.json")
    secret = tokens.create("me", ["admin"])
    config = tmp_path / "always.toml"
    config.write_text('[service]\nauth = "always"\n')
    with (
        service_process(tmp_path, "-c", str(config)) as (url, _),
        httpx.Client(base_url=url, timeout=30) as http,
    ):
        assert http.post("/login", data={"token": secret}).status_code == 303
        assert http.get("/tasks").status_code == 200
        Tokens(tmp_path / "tokens.json").revoke("me")
        assert http.get("/tasks").status_code == 401
        assert http.get("/tasks", headers=bearer(secret)).status_code == 401


def test_an_open_stream_ends_with_its_token_or_session_and_no_other_does(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path / "tokens.json")
    kept, lost = tokens.create("kept", ["read"]), tokens.create("lost", ["read"])
    config = tmp_path / "always.toml"
    config.write_text('[service]\nauth = "always"\n')
    with ExitStack() as stack:
        url, _ = stack.enter_context(service_process(tmp_path, "-c", str(config)))
        http = stack.enter_context(httpx.Client(base_url=url, timeout=30))
        browser = stack.enter_context(httpx.Client(base_url=url, timeout=30))

        answers: list[httpx.Response] = []

        def stream(client: httpx.Client, headers: dict[str, str] | None = None) -> Iterator[str]:
            request = client.stream("GET", "/devices/events", headers=headers or {})
            answers.append(stack.enter_context(request))
            lines = answers[-1].iter_lines()
            assert [next(lines) for _ in range(3)] == ["event: change", "data: {}", ""]
            return lines

        browser.post("/login", data={"token": kept})
        of_session, of_lost = stream(browser), stream(http, bearer(lost))
        of_kept = stream(http, bearer(kept))
        tokens.revoke("lost")
        assert list(of_lost) == []  # it ends, and as a whole answer
        browser.post("/logout")
        assert list(of_session) == []
        assert not answers[-1].extensions["network_stream"].get_extra_info("is_readable")
        tokens.revoke("kept")
        assert list(of_kept) == []


@pytest.mark.parametrize("change", [{"service.host": "0.0.0.0"}, {"service.auth": "always"}])
def test_without_a_token_nobody_else_is_let_near(tmp_path: Path, change: dict[str, str]) -> None:
    settings = load_settings([], {"service.data_dir": str(tmp_path), **change}, environ={})
    with pytest.raises(ConfigError, match="no access token") as caught:
        check_access(settings)
    assert "phonepilot tokens create" in caught.value.hint
    Tokens(settings.tokens_file).create("me", ["read"])
    check_access(settings)


def test_the_commands_show_a_secret_once_and_never_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in service_environment(tmp_path).items():
        monkeypatch.setenv(name, value)

    def run(*argv: str) -> str:
        done = CliRunner().invoke(app, ["tokens", *argv])
        assert done.exit_code == 0, done.output
        return done.stdout

    found = SECRET.search(run("create", "ci", "--right", "read", "--right", "run"))
    assert found
    stored = (tmp_path / "tokens.json").read_text()
    assert found.group() not in stored
    assert (tmp_path / "tokens.json").stat().st_mode & 0o077 == 0
    assert found.group() not in run("list") + run("list", "--json")
    assert "read, run" in run("list")
    run("revoke", "ci")
    assert "No tokens" in run("list")


@pytest.mark.parametrize(
    ("name", "rights"), [("", ["read"]), ("../x", ["read"]), ("x" * 65, ["read"]), ("x", ["root"])]
)
def test_bad_names_and_rights_are_refused(tmp_path: Path, name: str, rights: list[str]) -> None:
    tokens = Tokens(tmp_path / "tokens.json")
    with pytest.raises(InputError):
        tokens.create(name, rights)
    assert tokens.all() == []
    with pytest.raises(InputError):
        tokens.revoke("nobody")


def test_a_broken_file_lets_nobody_in(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    for content in ("", "{}x", '[{"name": "a"}]', '{"a": 1}'):
        path.write_text(content)
        with pytest.raises(ConfigError):
            Tokens(path).find("pp_x")


@given(st.text(), st.text())
def test_no_path_opens_what_is_not_open(method: str, path: str) -> None:
    right = right_for(method, f"/tasks/{path}")
    assert right in ("read", "run", "admin")
    assert right_for("POST", f"/{path}") != "read" or path == "mcp"
    assert right_for(method, f"/tasks/{path}") != OPEN


@given(st.text(), st.text())
def test_only_the_services_own_names_pass(host: str, origin: str) -> None:
    names = LOOPBACK | {"phone.example"}
    if refusal(host, None) is None:
        assert any(name in host.casefold() for name in LOOPBACK)
    if refusal(host, origin, names) is None:
        assert any(name in origin.casefold() for name in names) or re.search(r"[\d:]", origin)


@pytest.mark.parametrize(
    ("host", "origin", "passes"),
    [
        ("localhost:8770", "http://localhost:8770", True),
        ("127.0.0.1:8770", "http://localhost:8770", True),
        ("localhost", "http://localhost", True),
        ("localhost:8770", "http://localhost:3000", False),
        ("localhost:8770", "http://localhost", False),
        ("localhost:8770", "http://localhost:x", False),
        ("localhost:8770", "http://[::1", False),
        # behind a proxy, which passes on a port or none
        ("phone.example", "https://phone.example", True),
        ("phone.example", "http://phone.example", True),
        ("phone.example:8443", "https://phone.example:8443", True),
        ("phone.example", "https://phone.example:9443", True),  # named with that port
        ("phone.example", "https://phone.example:8443", False),
        ("phone.example:8770", "http://phone.example:3000", False),
        ("phone.example:8770", "http://phone.example", False),
        ("192.168.1.7:8770", "http://192.168.1.7:8770", True),
        ("192.168.1.7:8770", "http://192.168.1.7:3000", False),
        ("phone.example", "file://phone.example", False),
        ("phone.example", "chrome-extension://phone.example", False),
    ],
)
def test_a_page_of_another_program_on_this_computer_may_not_use_the_service(
    host: str, origin: str, passes: bool
) -> None:
    names = LOOPBACK | {"phone.example", "phone.example:9443"}
    assert (refusal(host, origin, names) is None) == passes


@pytest.mark.parametrize(
    ("method", "path", "site", "mode", "dest", "status"),
    [
        ("GET", "/tasks", None, None, None, 200),  # no browser
        ("GET", "/tasks", "same-origin", "cors", "empty", 200),
        ("GET", "/tasks", "none", "navigate", "document", 200),  # typed in by the person
        ("GET", "/tasks", "cross-site", "no-cors", "script", 403),
        ("GET", "/tasks", "same-site", "no-cors", "image", 403),  # another program's page
        ("GET", "/devices/events", "cross-site", "cors", "empty", 403),
        ("GET", "/devices/phone/stream", "same-site", "no-cors", "image", 403),
        ("GET", "/devices/phone/screen", "cross-site", "no-cors", "image", 403),
        ("GET", "/dashboard/main.js", "cross-site", "no-cors", "script", 403),
        ("POST", "/engine/restart", "cross-site", "no-cors", "empty", 403),
        ("POST", "/tasks", "cross-site", "navigate", "document", 403),  # a form
        ("GET", "/", "cross-site", "navigate", "document", 200),  # a link
        ("GET", "/", "cross-site", "navigate", "iframe", 403),
        ("GET", "/docs", "cross-site", "navigate", "document", 200),
        ("GET", "/tasks", "cross-site", "navigate", "document", 403),
        ("GET", "/", "what", "navigate", "iframe", 403),
    ],
)
def test_what_a_page_of_another_site_has_a_browser_ask_for_is_refused(
    guarded: tuple[str, dict[str, str]],
    method: str,
    path: str,
    site: str | None,
    mode: str | None,
    dest: str | None,
    status: int,
) -> None:
    url, secrets = guarded
    said = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest}
    headers = bearer(secrets["admin"]) | {name: value for name, value in said.items() if value}
    with httpx.stream(method, url + path, headers=headers) as answer:
        assert answer.status_code == status
