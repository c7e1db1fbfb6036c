"""Tool calls that a host made of a reply become the text again, for the dialect to read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.agent.actions import Tap
from app.agent.dialects import dialect_named
from app.llm.reply import Completion
from app.llm.tool_calls import MAX_CALLS, ToolCalls

TAP = '{"action": "click", "coordinate": [447, 81]}'


def delta(**fields: object) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields}]}


def call(index: int | None, name: str | None, arguments: object) -> dict[str, object]:
    function = {"name": name, "arguments": arguments}
    return {"function": function} if index is None else {"index": index, "function": function}


def read(*chunks: dict[str, Any]) -> str:
    completion = Completion()
    for chunk in chunks:
        for piece in completion.take(chunk):
            completion.keep(piece)
    for piece in completion.rest():
        completion.keep(piece)
    return completion.text


END: dict[str, Any] = {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}


@given(st.lists(st.integers(min_value=0, max_value=len(TAP)), max_size=6))
def test_a_call_in_pieces_is_read_by_the_dialect(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(TAP)]
    pieces = [TAP[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    chunks = [delta(tool_calls=[call(0, "mobile_use", "")])]
    chunks += [delta(tool_calls=[call(0, None, piece)]) for piece in pieces]
    text = read(delta(content="Action: tap it\n"), *chunks, END)
    action = dialect_named("qwen").read(text).action
    assert isinstance(action, Tap)


def test_the_calls_of_a_whole_answer() -> None:
    message = {"content": None, "tool_calls": [call(None, "mobile_use", json.loads(TAP))]}
    text = read({"choices": [{"message": message, "finish_reason": "tool_calls"}]})
    assert text == f'<tool_call>\n{{"name": "mobile_use", "arguments": {TAP}}}\n</tool_call>'


def test_calls_by_turns_come_apart_in_their_order() -> None:
    text = read(
        delta(tool_calls=[call(1, "b", '{"x"'), call(0, "a", '{"y"')]),
        delta(tool_calls=[call(0, None, ": 1}"), call(1, None, ": 2}")]),
        END,
    )
    assert text.index('"a", "arguments": {"y": 1}') < text.index('"b", "arguments": {"x": 2}')


def test_a_stream_that_ends_without_a_reason_loses_no_call() -> None:
    assert "mobile_use" in read(delta(tool_calls=[call(0, "mobile_use", TAP)]))


def test_a_call_without_arguments_has_none() -> None:
    assert '"arguments": {}}' in read(delta(tool_calls=[call(0, "home", None)]), END)


@pytest.mark.parametrize(
    "calls",
    [
        "text",
        [1],
        [call(0, "a", 5)],
        [{"index": 0, "function": {"name": 7, "arguments": ""}}],
        [call(n, "a", "") for n in range(MAX_CALLS + 1)],
        [call(0, "a", "x" * 70_000)],
    ],
)
def test_what_is_no_call_is_refused(calls: object) -> None:
    with pytest.raises(ValueError, match="tool"):
        ToolCalls().take(calls)
