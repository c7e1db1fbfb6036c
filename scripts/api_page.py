"""Makes docs/api.md from the service's OpenAPI document.

    python scripts/api_page.py http://127.0.0.1:8770/openapi.json > docs/api.md

A test compares the two, so that the page is always up to date.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

HEAD = """# The HTTP API

Generated from the service's OpenAPI document by `scripts/api_page.py`; the running service has the
same, with every field, at `/docs` and `/openapi.json`.

{description}
"""
SECTIONS = {
    "tasks": "Tasks",
    "schedules": "Schedules",
    "devices": "Phones",
    "engine": "Engine",
    "openai": "OpenAI-compatible passthrough",
    "operations": "Operations",
}
MCP = """## Model Context Protocol

`/mcp` speaks MCP over streamable HTTP, without sessions, with the tools `list_devices`,
`screenshot`, `run_task`, `task_status`, `reply_to_task` and `cancel_task`. Each requires the right
of its route.
"""
WEBHOOKS = """## Webhooks

The `callback_url` of a task gets a `POST` with `task.question` when the task waits for the person,
and with `task.ended` when it is over, each as `{"type", "timestamp", "data"}` with the task in
`data`. They are signed according to [Standard Webhooks](https://www.standardwebhooks.com), so that
its libraries can verify them; `phonepilot tokens webhook-secret` prints the secret. A delivery
without a 2xx response is repeated, with the same `webhook-id`, after 5 s, 30 s, 2 min, 15 min, 1 h,
6 h and 24 h.
"""


def render(document: Mapping[str, Any]) -> str:
    """Return the page as Markdown."""
    description = str(document["info"]["description"]).partition("\n\n")[2].strip()
    parts, seen = [HEAD.format(description=description)], dict[frozenset[str], str]()
    for tag, title in SECTIONS.items():
        parts.append(f"## {title}\n")
        parts += _routes(document, tag, seen)
        if tag == "tasks":
            parts.append(WEBHOOKS)
    return "\n".join([*parts, MCP])


def _routes(
    document: Mapping[str, Any], tag: str, seen: dict[frozenset[str], str]
) -> Iterator[str]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if tag in operation.get("tags", []):
                yield _route(f"{method.upper()} {path}", operation, seen)


def _route(name: str, operation: Mapping[str, Any], seen: dict[frozenset[str], str]) -> str:
    lines = [f"### `{name}`", "", str(operation.get("description") or operation["summary"]), ""]
    for parameter in operation.get("parameters", []):
        if parameter["in"] != "path":
            lines.append(f"- {parameter['in']} `{parameter['name']}`{_limits(parameter['schema'])}")
    if lines[-1]:
        lines.append("")
    for content in operation.get("requestBody", {}).get("content", {}).values():
        lines += _example("Takes", content)
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            for kind, content in answer.get("content", {}).items():
                if kind == "application/json":
                    lines += _answer(f"Answers {status}", content["example"], name, seen)
                else:
                    lines += [f"Answers {status} with `{kind}`.", ""]
            if not answer.get("content"):
                lines += [f"Answers {status} without a body.", ""]
    return "\n".join(lines)


def _answer(word: str, example: Any, name: str, seen: dict[frozenset[str], str]) -> list[str]:
    """Show an example; if its fields were shown before, refer to that route."""
    first = seen.setdefault(frozenset(example), name)
    if first != name and len(example) > 3:
        return [f"{word} with the same fields as `{first}`.", ""]
    return _example(word, {"example": example})


def _limits(schema: Mapping[str, Any]) -> str:
    told = [
        f"{word} {schema[key]}"
        for key, word in (("minimum", "from"), ("maximum", "to"), ("default", "default"))
        if schema.get(key) is not None
    ]
    return f": {', '.join(told)}" if told else ""


def _example(word: str, content: Mapping[str, Any]) -> list[str]:
    text = json.dumps(content["example"], ensure_ascii=False)
    if len(text) > 96:
        text = json.dumps(content["example"], ensure_ascii=False, indent=1)
    return [f"{word}:", "", "```json", text, "```", ""]


if __name__ == "__main__":
    with urllib.request.urlopen(sys.argv[1]) as answer:
        sys.stdout.write(render(json.load(answer)))
