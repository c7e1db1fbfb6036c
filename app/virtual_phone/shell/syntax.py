"""The grammar of the phone's `sh`, as far as this phone supports it; pure.

Supported: single and double quotes, backslashes, `$?`, `$NAME`, `${NAME}`, comments, the lists `;`,
newline, `&&`, `||`, pipes, and the redirections `>`, `>>`, `<`, `2>`, `2>>`, `2>&1`, `>&2`.
Everything else that has a meaning in sh (command substitution, globs with a match, control flow,
background jobs, subshells) raises ShellSyntaxError, because doing something other than a phone
would be worse. A variable's value is one word: there is no field splitting.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_OPERATORS = ("2>&1", "2>>", "&&", "||", ">>", ">&2", "2>", ">", "<", ";", "|", "\n")
_REDIRECTIONS = frozenset({"2>>", ">>", "2>", ">", "<"})
_MERGES = frozenset({"2>&1", ">&2"})
_UNSUPPORTED = frozenset("`()&")
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|([A-Za-z_]\w*)|(\?))")
_RESERVED = frozenset({"if", "for", "while", "until", "case", "{", "!", "function", "[["})


class ShellSyntaxError(Exception):
    """The command cannot be parsed, or uses something that this shell does not support."""


@dataclass(frozen=True, slots=True)
class Variable:
    name: str


Word = tuple[str | Variable, ...]


@dataclass(frozen=True, slots=True)
class Operator:
    text: str


@dataclass(slots=True)
class Redirection:
    operator: str
    target: Word


@dataclass(slots=True)
class Command:
    words: list[Word] = field(default_factory=list)
    redirections: list[Redirection] = field(default_factory=list)
    merge: str | None = None


@dataclass(slots=True)
class Pipeline:
    """Commands joined by `|`, run if `condition` (`;`, `&&`, `||`) allows it."""

    condition: str
    commands: list[Command]


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._parts: list[str | Variable] = []
        self._in_word = False

    def tokens(self) -> list[Word | Operator]:
        found: list[Word | Operator] = []
        while self._at < len(self._text):
            char = self._text[self._at]
            operator = self._operator()
            if operator is not None or char in " \t\r":
                found.extend(self._finish())
                if operator is not None:
                    found.append(Operator(operator))
                self._at += len(operator) if operator else 1
            elif char == "#" and not self._in_word:
                end = self._text.find("\n", self._at)
                self._at = len(self._text) if end < 0 else end
            else:
                self._word_part(char)
        found.extend(self._finish())
        return found

    def _operator(self) -> str | None:
        for operator in _OPERATORS:
            if self._text.startswith(operator, self._at):
                # The 2 of `2>` is a descriptor only if it begins a word.
                if operator[0] == "2" and self._in_word:
                    continue
                return operator
        return None

    def _finish(self) -> list[Word]:
        if not self._in_word:
            return []
        word = tuple(self._parts)
        self._parts, self._in_word = [], False
        return [word]

    def _word_part(self, char: str) -> None:
        if char in _UNSUPPORTED:
            raise ShellSyntaxError(f"`{char}' is not supported by this phone's shell")
        self._in_word = True
        if char == "'":
            end = self._text.find("'", self._at + 1)
            if end < 0:
                raise ShellSyntaxError("no closing quote")
            self._parts.append(self._text[self._at + 1 : end])
            self._at = end + 1
        elif char == '"':
            self._double_quoted()
        elif char == "\\":
            self._parts.append(self._text[self._at + 1 : self._at + 2])
            self._at += 2
        elif char == "$":
            self._dollar()
        else:
            self._parts.append(char)
            self._at += 1

    def _double_quoted(self) -> None:
        self._at += 1
        while self._at < len(self._text):
            char = self._text[self._at]
            if char == '"':
                self._at += 1
                return
            if char == "`":
                raise ShellSyntaxError("command substitution is not supported")
            if char == "$":
                self._dollar()
            elif char == "\\" and self._text[self._at + 1 : self._at + 2] in ("$", "`", '"', "\\"):
                self._parts.append(self._text[self._at + 1])
                self._at += 2
            else:
                self._parts.append(char)
                self._at += 1
        raise ShellSyntaxError("no closing quote")

    def _dollar(self) -> None:
        if self._text.startswith("$(", self._at):
            raise ShellSyntaxError("command substitution is not supported")
        match = _VARIABLE.match(self._text, self._at)
        if match is None:
            self._parts.append("$")
            self._at += 1
        else:
            self._parts.append(Variable(match[1] or match[2] or match[3]))
            self._at = match.end()


def _check_supported(command: Command, word: Word) -> None:
    text = "".join(map(str, word))
    if not command.words and text in _RESERVED:
        raise ShellSyntaxError(f"`{text}' is not supported by this phone's shell")


def parse(text: str) -> list[Pipeline]:
    """Parse `text` to pipelines, in order; raises ShellSyntaxError."""
    pipelines: list[Pipeline] = []
    condition = ";"
    command = Command()
    commands: list[Command] = []
    tokens = iter(_Scanner(text).tokens())
    for token in tokens:
        if not isinstance(token, Operator):
            _check_supported(command, token)
            command.words.append(token)
        elif token.text in _REDIRECTIONS:
            target = next(tokens, token)
            if isinstance(target, Operator):
                raise ShellSyntaxError(f"`{token.text}' without a file")
            command.redirections.append(Redirection(token.text, target))
        elif token.text in _MERGES:
            command.merge = token.text
        else:
            if not command.words:
                if token.text == "\n" and not command.redirections:
                    continue  # an empty line, or a line that ends in an operator
                raise ShellSyntaxError(f"unexpected `{token.text}'")
            commands.append(command)
            command = Command()
            separator = ";" if token.text == "\n" else token.text
            if separator != "|":
                pipelines.append(Pipeline(condition, commands))
                condition, commands = separator, []
    if command.words:
        commands.append(command)
        pipelines.append(Pipeline(condition, commands))
    elif commands or condition != ";" or command.redirections:
        raise ShellSyntaxError("unexpected end of command")
    return pipelines
