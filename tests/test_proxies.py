"""Proxies from the environment, with real ones on the way to a host that only they can find."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import ConfigError, EngineUnreachable
from app.llm.client import ChatClient, Sampling
from app.llm.readiness import check_remote
from app.proxies import Proxies, ProxyTransport, _exempt

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    return monkeypatch


@dataclass
class Seen:
    """What a proxy was asked for, and its address."""

    asked: list[str] = field(default_factory=list)
    port: int = 0


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(HELLO)


@asynccontextmanager
async def _listening(seen: Seen, connection: object) -> AsyncIterator[Seen]:
    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await connection(reader, writer)  # type: ignore[operator]
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(run, "127.0.0.1", 0)
    async with server:
        seen.port = server.sockets[0].getsockname()[1]
        yield seen


@asynccontextmanager
async def http_proxy() -> AsyncIterator[Seen]:
    """A proxy that answers every request itself."""
    seen = Seen()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        seen.asked.append(head.split(" ")[1])
        writer.write(HELLO)

    async with _listening(seen, connection):
        yield seen


@asynccontextmanager
async def socks_proxy() -> AsyncIterator[Seen]:
    """A SOCKS5 proxy (RFC 1928) that is the host itself."""
    seen = Seen()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, methods = await reader.readexactly(2)
        await reader.readexactly(methods)
        writer.write(b"\x05\x00")
        _, _, _, kind, length = await reader.readexactly(5)
        assert kind == 3  # a name, which the proxy resolves
        name = (await reader.readexactly(length)).decode()
        port = int.from_bytes(await reader.readexactly(2))
        seen.asked.append(f"{name}:{port}")
        writer.write(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
        await _answer(reader, writer)

    async with _listening(seen, connection):
        yield seen


async def ask(url: str) -> str:
    transport = ProxyTransport(Proxies.from_environment())
    async with httpx.AsyncClient(transport=transport, trust_env=False) as http:
        return (await http.get(url)).text


async def test_a_host_behind_a_socks_proxy_is_reached(clean: pytest.MonkeyPatch) -> None:
    async with socks_proxy() as proxy:
        clean.setenv("ALL_PROXY", f"socks5://127.0.0.1:{proxy.port}")
        assert await ask("http://engine.example/v1/models") == "hello"
    assert proxy.asked == ["engine.example:80"]


async def test_a_remote_engine_is_reached_through_the_proxy(clean: pytest.MonkeyPatch) -> None:
    async with http_proxy() as proxy:
        clean.setenv("http_proxy", f"127.0.0.1:{proxy.port}")
        await check_remote("http://engine.example/v1", "")

        async def base() -> str:
            return "http://engine.example/v1"

        chat = ChatClient(base, local=False, proxies=Proxies.from_environment())
        with pytest.raises(Exception, match="middle of its reply"):
            async with chat.stream([], sampling=Sampling(0, 1, 0, 8)) as reply:
                async for _ in reply:
                    pass
        await chat.aclose()
    assert proxy.asked == [
        "http://engine.example/v1/models",
        "http://engine.example/v1/chat/completions",
    ]


async def test_a_proxy_that_is_not_there_is_an_unreachable_engine(
    clean: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    clean.setenv("ALL_PROXY", f"socks5://127.0.0.1:{unused_tcp_port}")
    with pytest.raises(EngineUnreachable):
        await check_remote("http://engine.example/v1", "")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        b"",
        b"\x04garbage",
    ],
)
async def test_a_proxy_that_speaks_no_socks_is_an_unreachable_engine(
    said: bytes, clean: pytest.MonkeyPatch
) -> None:
    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(said)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", 0)
    async with server, asyncio.timeout(20):
        port = server.sockets[0].getsockname()[1]
        clean.setenv("ALL_PROXY", f"socks5://user:0123456789@127.0.0.1:{port}")
        with pytest.raises(EngineUnreachable) as caught:
            await check_remote("http://engine.example/v1", "")
    assert "0123456789" not in caught.value.message
    del caught
    gc.collect()  # httpcore leaves a connection without a handshake to the collector


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST.", "127.8.9.1"])
async def test_the_loopback_address_needs_no_proxy(host: str, clean: pytest.MonkeyPatch) -> None:
    async with http_proxy() as proxy:
        clean.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.port}")
        proxies = Proxies.from_environment()
    assert proxies.for_url(httpx.URL(f"http://{host}:8080/v1")) is None


def test_so_does_ipv6_loopback() -> None:
    proxies = Proxies({"all": "http://proxy:1"})
    for host in ("[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"):
        assert proxies.for_url(httpx.URL(f"http://{host}/")) is None
    assert proxies.for_url(httpx.URL("http://localhost.example/")) == "http://proxy:1"


@pytest.mark.parametrize(
    ("entry", "url", "direct"),
    [
        ("*", "https://anything.example", True),
        ("example.com", "https://example.com/x", True),
        ("example.com", "https://api.Example.com/x", True),
        (".example.com", "https://example.com", True),
        ("*.example.com", "https://api.example.com", True),
        ("example.com", "https://badexample.com", False),
        ("10.0.0.0/8", "http://10.1.2.3:8000", True),
        ("10.0.0.0/8", "http://11.1.2.3:8000", False),
        ("192.168.1.7", "http://192.168.1.7", True),
        ("fd00::/8", "http://[fd12::5]:8000/v1", True),
        ("fd00::/8", "http://[fe80::5]:8000/v1", False),
        ("fd12::5", "http://[fd12::5]/v1", True),
        ("[fd12::5]", "http://[fd12::5]/v1", True),
        ("[fd12::5]:8000", "http://[fd12::5]:8000/v1", True),
        ("[fd12::5]:8000", "http://[fd12::5]:9000/v1", False),
        ("10.0.0.0/8", "http://[::ffff:10.1.2.3]/", True),
        ("example.com:8443", "https://example.com:8443", True),
        ("example.com:443", "https://example.com", True),
        ("example.com:443", "http://example.com", False),
        ("http://example.com", "https://example.com", False),
    ],
)
def test_no_proxy(entry: str, url: str, direct: bool, clean: pytest.MonkeyPatch) -> None:
    clean.setenv("ALL_PROXY", "http://proxy.example:3128")
    clean.setenv("NO_PROXY", f"other.example, {entry}")
    proxy = Proxies.from_environment().for_url(httpx.URL(url))
    assert (proxy is None) is direct


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"ALL_PROXY": "socks4://127.0.0.1:1"}, "ALL_PROXY"),
        ({"https_proxy": "https://u:secret@:1"}, "https_proxy"),
        ({"HTTP_PROXY": "http://proxy:999999"}, "HTTP_PROXY"),
        ({"HTTP_PROXY": "http://proxy:0"}, "HTTP_PROXY"),
        ({"HTTP_PROXY": "http://my proxy:80"}, "HTTP_PROXY"),
        ({"HTTPS_PROXY": "ht tp://secret"}, "HTTPS_PROXY"),
        ({"NO_PROXY": "10.0.0.0/99"}, "NO_PROXY"),
        ({"NO_PROXY": "fd00::/300"}, "NO_PROXY"),
        ({"no_proxy": "[::1"}, "no_proxy"),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_variable(
    variables: Mapping[str, str], named: str, clean: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        clean.setenv(name, value)
    with pytest.raises(ConfigError, match=f"^{named}: ") as caught:
        Proxies.from_environment()
    assert "secret" not in str(caught.value.as_dict())


def test_the_settings_of_the_system_have_a_name_too(clean: pytest.MonkeyPatch) -> None:
    clean.setattr("urllib.request.getproxies", lambda: {"https": "gopher://x"})
    with pytest.raises(ConfigError, match="the system's https proxy"):
        Proxies.from_environment()


@given(st.text(alphabet="[]:/.*0123456789abfx%-\u00e9", max_size=30))
def test_any_entry_is_read_or_refused(entry: str) -> None:
    try:
        found = _exempt(entry)
    except ConfigError:
        return
    found.covers(httpx.URL("http://10.1.2.3:80/"))
    found.covers(httpx.URL("http://[fd12::5]/"))
