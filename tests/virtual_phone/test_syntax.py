"""The grammar of the phone's shell."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.virtual_phone.shell.syntax import ShellSyntaxError, Variable, Word, parse


def words(text: str) -> list[str]:
    (pipeline,) = parse(text)
    (command,) = pipeline.commands
    return [joined(word) for word in command.words]


def joined(word: Word) -> str:
    return "".join(part if isinstance(part, str) else f"<{part.name}>" for part in word)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("echo a  b", ["echo", "a", "b"]),
        ("echo 'a  b' \"c d\"", ["echo", "a  b", "c d"]),
        ("echo a'b'\"c\"\\ d", ["echo", "abc d"]),
        ("echo '' \"\"", ["echo", "", ""]),
        (r"""echo "a\"b\\c\d" """, ["echo", 'a"b\\c\\d']),
        ("echo '$x' \"$x\" $x ${x}y $?", ["echo", "$x", "<x>", "<x>", "<x>y", "<?>"]),
        ("echo $ a$", ["echo", "$", "a$"]),
        ("echo a#b # comment", ["echo", "a#b"]),
        ("echo 12 a2", ["echo", "12", "a2"]),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_lists_and_pipes() -> None:
    pipelines = parse("a; b &&\n c || d | e\n\nf;")
    assert [(item.condition, len(item.commands)) for item in pipelines] == [
        (";", 1),
        (";", 1),
        ("&&", 1),
        ("||", 2),
        (";", 1),
    ]


def test_redirections() -> None:
    (pipeline,) = parse("screencap 2>/dev/null >>/sdcard/x 2>&1 </sdcard/y")
    (command,) = pipeline.commands
    found = [(item.operator, joined(item.target)) for item in command.redirections]
    assert found == [("2>", "/dev/null"), (">>", "/sdcard/x"), ("<", "/sdcard/y")]
    assert command.merge == "2>&1"


@pytest.mark.parametrize(
    "text",
    [
        "echo 'a", 'echo "a', "a &&", "a |", "&& a", "| a", "a ; ; b", "echo >", "echo > ;", "> x",
        "echo `id`", "echo $(id)", 'echo "$(id)"', 'echo "`id`"', "(echo a)", "sleep 1 &",
        "for x in a; do echo; done", "if true; then echo; fi",
    ],
)  # fmt: skip
def test_what_this_shell_does_not_do_is_said(text: str) -> None:
    with pytest.raises(ShellSyntaxError):
        parse(text)


@pytest.mark.parametrize("word", ["for", "if", "while"])
def test_the_word_that_is_not_understood_is_named_whole(word: str) -> None:
    with pytest.raises(ShellSyntaxError, match=f"`{word}'"):
        parse(f"{word} x")


@given(st.lists(st.text(st.characters(exclude_characters="\0")), min_size=1))
def test_quoted_words_come_out_as_they_went_in(argv: list[str]) -> None:
    assert words(shlex.join(["echo", *argv])) == ["echo", *argv]


@given(st.text(st.sampled_from("ab '\"\\$?{}`()<>&|;#\n2=1")))
def test_no_text_fails_otherwise(text: str) -> None:
    try:
        parse(text)
    except ShellSyntaxError:
        return


def test_variables_are_kept_apart_from_text() -> None:
    (pipeline,) = parse("echo a$?")
    assert pipeline.commands[0].words[1] == ("a", Variable("?"))
