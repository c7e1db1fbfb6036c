"""What a request to the engine points at, read without making objects of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.media_urls import MAX_DEPTH, MAX_VALUES, complaint_about


def addresses(document: Any) -> Iterator[str]:
    """The rule, for a document as objects."""
    todo = [document]
    while todo:
        node = todo.pop()
        if isinstance(node, list):
            todo.extend(node)
        elif isinstance(node, dict):
            todo.extend(node.values())
            if node.get("type") == "url":
                yield str(node.get("url"))
            for key, value in node.items():
                if key.endswith("_url"):
                    url = value.get("url") if isinstance(value, Mapping) else value
                    if isinstance(url, str):
                        yield url


def refused(document: Any) -> bool:
    return any(not url.startswith("data:") for url in addresses(document))


KEYS = st.sampled_from(["type", "url", "image_url", "_url", "content", "a\\url", 'q"_url', "é_url"])
TEXTS = st.one_of(
    st.sampled_from(["url", "data:image/png;base64,AA", "http://x", "text", 'data:"}', "\\", ""]),
    st.text(max_size=5),
)
VALUES = st.recursive(
    st.one_of(
        TEXTS,
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=25,
)


@given(VALUES, st.booleans(), st.sampled_from([None, 1]))
def test_as_the_rule_has_it_for_every_document(value: Any, ascii_only: bool, indent: int) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "replace")
    assert bool(complaint_about(body)) == refused(json.loads(body)), body


@given(VALUES)
def test_a_name_may_be_escaped_in_any_way(value: Any) -> None:
    body = json.dumps(value).replace("url", "\\u0075r\\u006c").encode()
    if refused(value):
        assert complaint_about(body)


@pytest.mark.parametrize(
    "text",
    [
        '{"image_url": "data:,", "image_url": "http://x"}',
        '{"image_url": "http://x", "image_url": "data:,"}',
        '{"image_url": {"url": "data:,", "url": "http://x"}}',
        '{"image_url": {"url": "http://x", "url": "data:,"}}',
        '{"image_url": {"url": "http://x"}, "image_url": 1}',
        '{"type": "text", "type": "url", "url": "http://x"}',
        '{"type": "url", "type": "text", "url": "http://x"}',
        '{"a": "\\\\", "image_url": "http://x"}',
        '{"a": "\\"", "image_url": "http://x"}',
        '{"a": "\\\\\\"", "image_url": "http://x"}',
        '\ufeff{"image_url": "http://x"}',
        '{"image_url"  \n : \t "http://x"}',
    ],
)
def test_nothing_hides_an_address(text: str) -> None:
    assert "data: URLs" in complaint_about(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "]",
        '{"a": [}',
        '"a',
        '"a\\',
        "// x\n{}",
        "{'a': 1}",
        "{} {}",
        "NaN",
        "\xff",
        "/* x */ 1",
    ],
)
def test_what_is_not_made_of_json_is_refused(text: str) -> None:
    assert complaint_about(text.encode("latin-1")) == "the body is not valid JSON"


@pytest.mark.parametrize("where", range(-3, 4))
def test_a_text_may_end_or_be_escaped_where_a_window_does(where: int) -> None:
    for filler in (b"A", b'\\"', b"\\\\"):
        text = filler * ((2**20 + where) // len(filler))
        for picture, complaint in ((b"data:", False), (b"http:", True)):
            body = b'{"a": "\\n' + text + b'", "image_url": "' + picture + text + b'"}'
            assert bool(complaint_about(body)) == complaint


def test_how_deep_and_how_many() -> None:
    assert "deep" in complaint_about(b"[" * 32 * 2**20)
    assert not complaint_about(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    assert "values" in complaint_about(b"[" + b"[]," * MAX_VALUES + b"1]")
    assert "values" in complaint_about(b"{" + b'"url":"data:",' * MAX_VALUES + b'"a":1}')
