"""Where an engine's API lies, from what people put into engine.url."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import ConfigError
from app.llm.address import api_base, server_root
from app.llm.engine import Engine
from app.settings import EngineSettings


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/v1"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/v1"),
        ("http://127.0.0.1:8080/v1/", "http://127.0.0.1:8080/v1"),
        ("http://[::1]:8080", "http://[::1]:8080/v1"),
        ("HTTPS://Example.COM", "https://example.com/v1"),
        ("https://open.bigmodel.cn/api/paas/v4", "https://open.bigmodel.cn/api/paas/v4"),
        ("https://ark.example/api/v3//", "https://ark.example/api/v3"),
        ("https://google.example/v1beta/openai/", "https://google.example/v1beta/openai"),
        ("https://ali.example/compatible-mode/v1", "https://ali.example/compatible-mode/v1"),
        ("https://api.novita.ai/openai", "https://api.novita.ai/openai"),
        ("http://proxy.example/my%20engine", "http://proxy.example/my%20engine"),
        ("https://api.example/v1/chat/completions", "https://api.example/v1"),
        ("https://api.example/api/v3/chat/completions/", "https://api.example/api/v3"),
        ("https://api.example/v1/models", "https://api.example/v1"),
        ("https://api.example/models/", "https://api.example/v1"),
        ("https://api.example/chat/completions", "https://api.example/v1"),
        ("https://api.example/my-models", "https://api.example/my-models"),
    ],
)
def test_an_address_becomes_the_base_of_the_api(url: str, base: str) -> None:
    assert api_base(url) == base
    assert api_base(base) == base


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://example.com", "must begin with http"),
        ("example.com:8000", "must begin with http"),
        ("http://", "no host"),
        ("http:///v1", "no host"),
        ("http://example.com:99999999", "no valid port"),
        ("http://example.com:0", "no valid port"),
        ("http://[::1", "not a URL"),
        ("https://sk-secret@api.example/v1", "a user or a password"),
        ("https://api.example/v1?api-version=2", "without `[?]`"),
        ("https://api.example/v1#models", "without `[?]`"),
    ],
)
def test_what_is_no_address_is_refused_by_the_name_of_its_key(url: str, why: str) -> None:
    with pytest.raises(ConfigError, match=f"engine.url .*{why}") as caught:
        api_base(url)
    assert "sk-secret" not in caught.value.message
    assert caught.value.hint


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        base = api_base(f"http://{text}")
    except ConfigError:
        return
    assert api_base(base) == base


def test_a_bad_address_is_noticed_when_the_service_starts() -> None:
    with pytest.raises(ConfigError, match="engine.url"):
        Engine(EngineSettings(kind="remote", url="http://u:p@127.0.0.1"))


def test_the_routes_of_our_own_servers_are_at_their_root() -> None:
    assert server_root("http://127.0.0.1:8080/v1") == "http://127.0.0.1:8080"
