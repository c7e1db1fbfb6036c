"""What an engine of ours was not started for, told by llama.cpp's answer. Pure."""

from __future__ import annotations

import json

_NOT_SUPPORTED = 501
_NO_PICTURES = "image input is not supported"
"""With the status 500 (tools/server/server-common.cpp)."""
_MOST = 500


def unsupported(status: int, start: bytes) -> str:
    """Why the engine cannot do what was asked for, "" if the answer is about something else.

    `start` is the beginning of its body; both are its own fault by HTTP, and the caller's by
    meaning.
    """
    if status < 500:
        return ""
    try:
        said = str(json.loads(start)["error"]["message"])[:_MOST]
    except (ValueError, KeyError, TypeError, RecursionError):
        said = ""
    if status == _NOT_SUPPORTED:
        return f"the engine was not started for this. It says: {said}"
    if _NO_PICTURES in said:
        return (
            "the engine's model has no projector, so it takes no pictures: set engine.mmproj, or "
            "choose another model (phonepilot engine use NAME)"
        )
    return ""
