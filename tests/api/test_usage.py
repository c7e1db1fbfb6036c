"""What an answer of an engine took, however it is cut into chunks."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.usage import UsageReader

PIECES = b"".join(
    f'data: {{"choices":[{{"delta":{{"content":"{word}"}}}}],"usage":null}}\n\n'.encode()
    for word in ("Open", " the", " data: {")
)
TIMINGS = {"cache_n": 30, "prompt_n": 12, "predicted_n": 3}
LAST = f"data: {json.dumps({'choices': [], 'timings': TIMINGS})}\n\ndata: [DONE]\n\n".encode()
USAGE = b'{"usage": {"prompt_tokens": 42, "completion_tokens": 3}}'


def tokens(*chunks: bytes) -> dict[str, int]:
    reader = UsageReader()
    for chunk in chunks:
        reader.feed(chunk)
    return reader.tokens()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (PIECES + LAST, {"prompt": 42, "cached": 30, "completion": 3}),
        (USAGE, {"prompt": 42, "cached": 0, "completion": 3}),
        (b'{"data": []}', {}),
        (b"", {}),
    ],
)
def test_an_answer_tells_what_it_took(answer: bytes, expected: dict[str, int]) -> None:
    assert tokens(answer) == expected


def test_of_a_stream_that_broke_off_the_events_are_known() -> None:
    assert tokens(PIECES) == tokens(PIECES[:-20]) == {"events": 3}


@given(st.binary() | st.just(PIECES + LAST) | st.just(PIECES), st.data())
def test_the_cuts_between_chunks_change_nothing(answer: bytes, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(answer))).map(sorted))
    ends = [*cuts, len(answer)]
    chunks = [answer[a:b] for a, b in zip([0, *cuts], ends, strict=True)]
    assert tokens(*chunks) == tokens(answer)
