"""The proxies between this computer and the hosts outside, as the environment names them.

`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, in capitals or not; on macOS and Windows
the system's settings if none is set. httpx could read them too, but it takes no networks in
`NO_PROXY`, fails on IPv6 ones, and does not name the variable that is wrong. The loopback address
is never reached through a proxy.
"""

from __future__ import annotations

import ipaddress
import os
import re
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx
from socksio.exceptions import SOCKSError

from app.errors import ConfigError

SCHEMES = ("http", "https", "socks5", "socks5h")
_HINT = f"It must be HOST:PORT or SCHEME://HOST:PORT with one of {', '.join(SCHEMES)}."
_ENTRY = re.compile(
    r"(?:(?P<scheme>https?|all)://)?(?P<host>\[[^\[\]]+\]|[^\[\]:]*|[^\[\]]*:[^\[\]]*:[^\[\]]*)"
    r"(?::(?P<port>\d{1,5}))?"
)
"""One entry of NO_PROXY; a colon before a port is distinguished from those of an IPv6 address."""

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class _Exempt:
    """Hosts that are reached directly: a network, or a name with what is below it; "*" is all."""

    name: str = ""
    network: _Network | None = None
    scheme: str | None = None
    port: int | None = None

    def covers(self, url: httpx.URL) -> bool:
        if self.scheme not in (None, "all", url.scheme):
            return False
        if self.port is not None and self.port != (url.port or _default_port(url)):
            return False
        if self.network is not None:
            address = _address(url.host)
            return address is not None and address in self.network
        return self.name == "*" or f".{url.host.casefold()}".endswith(f".{self.name}")


@dataclass(frozen=True)
class Proxies:
    """The proxy for each URL. `ways` maps "http", "https" and "all" to the URL of a proxy, which
    may contain a password."""

    ways: Mapping[str, str] = field(default_factory=dict, repr=False)
    exempt: tuple[_Exempt, ...] = ()

    @classmethod
    def from_environment(cls) -> Proxies:
        """Read the environment. Raises ConfigError, which names the variable and not its value."""
        found = urllib.request.getproxies()
        ways = {
            scheme: _proxy(found[scheme], _variable(scheme))
            for scheme in ("http", "https", "all")
            if found.get(scheme)
        }
        entries = re.split(r"[\s,]+", found.get("no", ""))
        return cls(ways, tuple(_exempt(entry) for entry in entries if entry))

    def for_url(self, url: httpx.URL) -> str | None:
        """Return the URL of the proxy for a request; None for a direct connection."""
        proxy = self.ways.get(url.scheme) or self.ways.get("all")
        if proxy is None or _is_loopback(url.host):
            return None
        return None if any(entry.covers(url) for entry in self.exempt) else proxy


class ProxyTransport(httpx.AsyncBaseTransport):
    """Sends each request of a client directly or through its proxy."""

    def __init__(self, proxies: Proxies, limits: httpx.Limits | None = None) -> None:
        self._proxies = proxies
        self._limits = limits or httpx.Limits(max_connections=100, max_keepalive_connections=20)
        self._open: dict[str | None, httpx.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        proxy = self._proxies.for_url(request.url)
        if proxy not in self._open:
            self._open[proxy] = httpx.AsyncHTTPTransport(proxy=proxy, limits=self._limits)
        try:
            return await self._open[proxy].handle_async_request(request)
        except SOCKSError as exc:  # httpx lets it through as it is
            raise httpx.ProxyError(f"no SOCKS proxy: {exc}", request=request) from exc

    async def aclose(self) -> None:
        for transport in self._open.values():
            await transport.aclose()


def _proxy(value: str, variable: str) -> str:
    wrong = ConfigError(f"{variable}: not the address of a proxy", _HINT)
    try:
        url = httpx.URL(value if "://" in value else f"http://{value}")
    except (httpx.InvalidURL, ValueError) as exc:
        raise wrong from exc
    if url.scheme not in SCHEMES or not url.host or "%" in url.host:  # httpx escapes bad letters
        raise wrong
    if url.port is not None and not 0 < url.port < 65_536:
        raise wrong
    return str(url)


def _exempt(entry: str) -> _Exempt:
    match = _ENTRY.fullmatch(entry)
    host = match["host"].strip("[]") if match else ""
    if match is None or not host:
        raise _wrong_exempt(entry)
    scheme, port = match["scheme"], int(match["port"]) if match["port"] else None
    try:
        return _Exempt(network=ipaddress.ip_network(host, strict=False), scheme=scheme, port=port)
    except ValueError as exc:
        if "/" in host or ":" in host:
            raise _wrong_exempt(entry) from exc
    name = host if host == "*" else host.casefold().removeprefix("*").removeprefix(".")
    return _Exempt(name, scheme=scheme, port=port)


def _wrong_exempt(entry: str) -> ConfigError:
    return ConfigError(
        f"{_variable('no')}: not a host or a network: {entry[:100]!r}",
        "List names (.example.com), addresses and networks (10.0.0.0/8, fd00::/8) with commas.",
    )


def _variable(scheme: str) -> str:
    """The variable that a value comes from: Python prefers the one in small letters."""
    name = f"{scheme}_proxy"
    names = [name, *sorted(each for each in os.environ if each.lower() == name)]
    return next((each for each in names if os.environ.get(each)), f"the system's {scheme} proxy")


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_loopback(host: str) -> bool:
    address = _address(host)
    if address is not None:
        return address.is_loopback or address.is_unspecified
    return f".{host.casefold().rstrip('.')}".endswith(".localhost")


def _default_port(url: httpx.URL) -> int:
    return 443 if url.scheme == "https" else 80
