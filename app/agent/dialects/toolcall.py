"""Parses the call in a `<tool_call>` block, in any of three forms.

A JSON object with name and arguments, a flat JSON object, or XML with an element per parameter:

    {"name": "mobile_use", "arguments": {"action": "click", "coordinate": [447, 81]}}
    {"action": "open", "text": "Files"}
    <function=mobile_use><parameter=action>system_button</parameter>...</function>
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.agent.dialects.objects import Fields, object_at
from app.agent.dialects.scan import Found, Scan, alone_on_its_line, scan
from app.agent.dialects.syntax import CallError
from app.errors import ReplyUnparseable

HEAD = r"<(?:seed:)?tool_call>"
_TAIL = re.compile(r"(?:\s|```)*</(?:seed:)?tool_call>", re.IGNORECASE)
_BEGIN = re.compile(r"(?:\s|```\w*)*")
_FUNCTION = re.compile(r"<function=([\w.-]{1,80})>\s*")
_FUNCTION_END = re.compile(r"\s*</function>")
_PARAMETER = re.compile(r"<parameter=(\w{1,80})>")
_NEXT = re.compile(r"<parameter=\w{1,80}>|</function>")
_CLOSED = "</parameter>"
"""Closes a value only before the next parameter or the end of the call."""
_NEEDS_NO_END = re.compile(r"\s*<point>[\d\s.,]{0,80}</point>\s*")
"""A value after which models omit the closing tag."""
MAX_PARAMETERS = 40


@dataclass(frozen=True)
class ToolCall:
    """`name` is the function's name, "" in the flat form. Values of the XML form are strings."""

    name: str
    arguments: Fields
    xml: bool = False


def tool_calls(text: str) -> Scan[ToolCall]:
    """Return the calls after a reply's thought. Raises CallError."""
    return scan(text, HEAD, read_call)


def first_of(text: str, scanned: Scan[ToolCall]) -> Found[ToolCall]:
    """Return the call to carry out. Raises ReplyUnparseable if a call is only mentioned."""
    if any(each.call.xml for each in scanned.quoted):
        # XML has no quotes: apparent thought may be a text that imitates the end of a call.
        raise ReplyUnparseable("a tool call stands before the end of the thought")
    found = scanned.found
    if not all(alone_on_its_line(text, each) for each in found):
        raise ReplyUnparseable("a tool call stands in the middle of a sentence")
    return found[0]


def read_call(text: str, head: re.Match[str]) -> tuple[ToolCall, int]:
    """Parse the call after its opening tag; return it and its end. Raises CallError."""
    begin = _BEGIN.match(text, head.end())
    at = begin.end() if begin else head.end()
    if function := _FUNCTION.match(text, at):
        call, at = _xml(text, function)
    else:
        fields, at = object_at(text, at)
        call = _json(fields)
    tail = _TAIL.match(text, at)
    if tail is None:
        raise CallError("expected </tool_call> behind the call")
    return call, tail.end()


def _json(fields: Fields) -> ToolCall:
    if "name" not in fields and "arguments" not in fields:
        return ToolCall("", fields)
    name, arguments = fields.get("name"), fields.get("arguments")
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise CallError("expected a name and an object of arguments")
    return ToolCall(name, arguments)


def _xml(text: str, function: re.Match[str]) -> tuple[ToolCall, int]:
    arguments: Fields = {}
    at = function.end()
    while parameter := _PARAMETER.match(text, at):
        key, (value, at) = parameter[1], _value(text, parameter.end())
        if key in arguments or len(arguments) >= MAX_PARAMETERS:
            raise CallError(f"{key} is given twice")
        arguments[key] = value
    closed = _FUNCTION_END.match(text, at)
    if closed is None:
        raise CallError("the call is not closed")
    return ToolCall(function[1], arguments, xml=True), closed.end()


def _value(text: str, start: int) -> tuple[str, int]:
    """Return the value that begins at `start`, and the index of the next tag."""
    if following := _NEXT.search(text, start):
        value = text[start : following.start()]
        if (closed := value.rstrip()).endswith(_CLOSED):
            # The template puts one newline before and one after each value.
            value = closed.removesuffix(_CLOSED)
            return value.removeprefix("\n").removesuffix("\n"), following.start()
        if _NEEDS_NO_END.fullmatch(value):
            return value.strip(), following.start()
    raise CallError("a parameter is not closed")
