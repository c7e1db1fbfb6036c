"""The call syntax: what is structure, what is text, and what is neither."""

from __future__ import annotations

import time

import pytest

from app.agent.dialects.syntax import CallError, find_calls, readable_calls


def test_tells_where_each_call_stands() -> None:
    text = 'first do(action="Back"), then finish(message="x").'
    calls = find_calls(text)
    assert [call.name for call in calls] == ["do", "finish"]
    assert [text[call.start : call.end] for call in calls] == [
        'do(action="Back")',
        'finish(message="x")',
    ]


def test_keeps_positional_and_named_arguments_apart() -> None:
    (call,) = find_calls("do('Tap', element=[1, [2.5]], sure=True, why=None, n=-3,)")
    assert call.positional == ("Tap",)
    assert call.keywords == {"element": [1, [2.5]], "sure": True, "why": None, "n": -3}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (r'"a\"b"', 'a"b'),
        (r"'it\'s'", "it's"),
        (r'"\\n"', r"\n"),
        (r'"\t\r\n\/"', "\t\r\n/"),
        (r'"\u4f60\u597d"', "你好"),
        (r'"\ud83d\ude00!"', "😀!"),
        (r'"\u12"', r"\u12"),
        (r'"\q"', r"\q"),
        ('"one\\\ntwo"', "onetwo"),
        ('"one\ntwo"', "one\ntwo"),
        ('“it\'s "so"”', 'it\'s "so"'),
        ("‘a“b”’", "a“b”"),
    ],
)
def test_reads_strings(written: str, read: str) -> None:
    assert find_calls(f"finish({written})")[0].positional == (read,)


@pytest.mark.parametrize(
    "text",
    [
        'do(action="Tap"',
        'do(action="Tap, element=[1,2])',
        'do(action="Tap" element=[1,2])',
        "do(action=Tap)",
        "do(a=[1,2)",
        "do(a=1+1)",
        'do(a="1")[0]',
        'do(a="1").b',
        "do(a=1, a=2)",
        'text="x")',
        '{"action": }',
        "{'action': 'Back'}",
        'do(Type, "x")',
    ],
)
def test_a_call_that_cannot_be_read_spoils_the_text(text: str) -> None:
    with pytest.raises(CallError):
        find_calls(f'{text} finish(message="x")')


@pytest.mark.parametrize(
    "text", ["do it", "do (it) now", "do(it)", "what to do (e.g. tap 'OK') is", "undo(a=1)", "{a}"]
)
def test_prose_is_no_call(text: str) -> None:
    assert find_calls(text) == []


def test_readable_calls_skip_what_cannot_be_read() -> None:
    calls = readable_calls('do(action=Tap) or do(action="Back")')
    assert [call.keywords for call in calls] == [{"action": "Back"}]


@pytest.mark.parametrize("piece", ['{"a":', 'do(x="', "do(x=[", "do( ", "do(x=1,", '{"', 'text="'])
def test_reading_hostile_text_takes_little_time(piece: str) -> None:
    text = piece * (50_000 // len(piece))
    begun = time.process_time()
    for read in (find_calls, readable_calls):
        with pytest.raises(CallError):
            read(text)
    assert time.process_time() - begun < 1.0
