"""Which addresses a request to the engine points at.

llama.cpp fetches them itself, from this machine and so from inside its network: an image of a
client's must be in its request.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping


def complaint_about(body: bytes) -> str:
    """Why a local engine must not see `body`; empty when it may. What cannot be read cannot be
    checked, so it goes no further either."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return "the body is not valid JSON"
    if any(not url.startswith("data:") for url in _media_urls(document)):
        return "images must be data: URLs; the engine must not fetch addresses for a client"
    return ""


def _media_urls(document: object) -> Iterable[str]:
    """The URLs at which a request points: OpenAI's `image_url` (an object or a text) and its like,
    and Anthropic's `{"type": "url", "url": ...}`."""
    todo = [document]
    while todo:
        node = todo.pop()
        if isinstance(node, list):
            todo.extend(node)
        elif isinstance(node, dict):
            todo.extend(node.values())
            if node.get("type") == "url":
                yield str(node.get("url"))
            for key, value in node.items():
                if key.endswith("_url"):
                    url = value.get("url") if isinstance(value, Mapping) else value
                    if isinstance(url, str):
                        yield url
