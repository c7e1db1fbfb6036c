"""Parses objects in a model's answer, written as JSON or as Python. Never evaluates anything."""

from __future__ import annotations

import json
from typing import Any

from app.agent.dialects.syntax import CallError, Literals

Fields = dict[str, Any]


def object_at(text: str, position: int) -> tuple[Fields, int]:
    """Return the object at `position`, and the index of its end.

    Raises CallError if there is none, and if a key occurs twice.
    """
    try:
        found, end = _JSON.raw_decode(text, position)
    except RecursionError as exc:
        raise CallError("too deeply nested") from exc
    except ValueError:
        return Literals(text, position).read_object()
    if not isinstance(found, dict):
        raise CallError("it is no object")
    return found, end


def _unique(pairs: list[tuple[str, Any]]) -> Fields:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise CallError("a key is given twice")
    return found


_JSON = json.JSONDecoder(object_pairs_hook=_unique, strict=False)
