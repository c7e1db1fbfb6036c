"""Calls by name, as UI-TARS and UI-Venus write them: `click(start_box='(197,525)')`."""

from __future__ import annotations

import re

from app.agent.dialects.scan import MAX_CALLS, Found, plain
from app.agent.dialects.syntax import Call, CallError, named_call_at

_SPACE = re.compile(r"(?:\s|```\w*)*")
_HEAD = r"(?<![\w.])({names})\s*[(（]"


class CallReader:
    """Parses calls of the given names."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._head = re.compile(_HEAD.format(names="|".join(names)), re.IGNORECASE)
        self._any = re.compile(r"([A-Za-z_]\w*)\s*[(（]")

    def call_at(self, text: str, position: int) -> Found[Call] | None:
        """Return the call at `position`, whatever its name. Raises CallError for a broken one."""
        head = self._any.match(text, position)
        if head is None:
            return None
        call = named_call_at(text, head[1], head.start(), head.end())
        return Found(call, call.start, call.end)

    def calls_behind(self, text: str, position: int) -> list[Found[Call]]:
        """Return the calls of known names that follow, separated only by white space.

        Raises CallError for a broken one.
        """
        found: list[Found[Call]] = []
        while head := self._head.match(text, _past_space(text, position)):
            call = named_call_at(text, head[1], head.start(), head.end())
            found.append(Found(call, call.start, call.end))
            position = call.end
            if len(found) > MAX_CALLS:
                raise CallError(f"more than {MAX_CALLS} calls")
        return found

    def mentioned(self, text: str, position: int) -> bool:
        """Whether anything after `position` looks like a call of a known name."""
        return self._head.search(text, position) is not None


def _past_space(text: str, position: int) -> int:
    space = _SPACE.match(text, position)
    return space.end() if space else position


def words_behind(text: str, position: int) -> bool:
    """Whether words follow a call on its line: then it may only be mentioned."""
    end = text.find("\n", position)
    line = text[position : end if end >= 0 else len(text)]
    return re.search(r"\w", plain(line)) is not None
