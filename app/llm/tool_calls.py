"""Folds tool calls back into the text that the model wrote. Pure.

Some hosts parse `<tool_call>` out of a reply although the request names no tools, and send it as
`tool_calls`; the text is then empty. Each call becomes again what Qwen models write.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_CALLS = 16
MAX_CHARACTERS = 65_536
"""A reply has one call of some hundred characters."""


@dataclass
class _Call:
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class ToolCalls:
    """The calls of one reply. They may come in pieces, and those of several calls by turns."""

    def __init__(self) -> None:
        self._calls: dict[int, _Call] = {}
        self._characters = 0

    def take(self, calls: object) -> None:
        """Add `tool_calls` of a delta or of a whole message. Raises ValueError for what is none,
        or is too much."""
        if not isinstance(calls, list):
            raise ValueError("`tool_calls` is not a list")
        for place, entry in enumerate(calls):
            if not isinstance(entry, Mapping):
                raise ValueError("`tool_calls` holds what is no call")
            index = entry.get("index")
            self._add(index if isinstance(index, int) else place, entry.get("function"))

    def text(self) -> str:
        """Return all calls as text, in order, and forget them."""
        written = [
            f'<tool_call>\n{{"name": {json.dumps(call.name, ensure_ascii=False)}, '
            f'"arguments": {"".join(call.arguments).strip() or "{}"}}}\n</tool_call>'
            for _, call in sorted(self._calls.items())
        ]
        self._calls.clear()
        return "\n".join(written)

    def _add(self, index: int, function: Any) -> None:
        if not isinstance(function, Mapping):
            return  # a tool of another type, which no dialect has
        name, arguments = function.get("name") or "", function.get("arguments")
        if isinstance(arguments, Mapping):  # some send the object itself
            arguments = json.dumps(arguments, ensure_ascii=False)
        arguments = arguments or ""
        if not isinstance(name, str) or not isinstance(arguments, str):
            raise ValueError("a tool call has no name or no arguments")
        call = self._calls.setdefault(index, _Call())
        call.name += name
        call.arguments.append(arguments)
        self._characters += len(name) + len(arguments)
        if len(self._calls) > MAX_CALLS or self._characters > MAX_CHARACTERS:
            raise ValueError("`tool_calls` are too many or too long")
