"""What all request bodies have in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class RequestBody(BaseModel):
    """A body sent by a caller: unknown fields and invalid Unicode are rejected.

    JSON can contain half a character ("\\ud800"). Such a text can neither be stored nor sent on.
    """

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _is_unicode(cls, data: Any) -> Any:
        refuse_half_characters(data)
        return data


def refuse_half_characters(data: Any) -> None:
    """Raise ValueError for a text with a lone surrogate anywhere in JSON data."""
    waiting = [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            try:
                value.encode()
            except UnicodeEncodeError:
                raise ValueError("a text contains half a character (a lone surrogate)") from None
        elif isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple):
            waiting += value
