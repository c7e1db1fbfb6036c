"""Makes configs/schema.json, the JSON schema of a configuration file, for editors and checks.

    .venv/bin/python scripts/config_schema.py > configs/schema.json

Types and limits come from app/settings, descriptions from the comments of configs/default.toml. A
test compares the two, so that the file is always up to date.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from app.settings import Settings, configs_folder

_SECTION = re.compile(r"\[(\w+)\].*")
_KEY = re.compile(r"(\w+) = (?:\"[^\"]*\"|[^#]*?)\s*# (.*)")
_MORE = re.compile(r"\s+# (.*)")
_FROM_ENVIRONMENT = {"engine": "api_key"}
"""Keys that are never read from a file."""


def comments(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield (section, key, comment) of a commented TOML file."""
    section = key = said = ""
    for line in [*text.splitlines(), "[end]"]:
        more = _MORE.fullmatch(line)
        if more and key:
            said += f" {more[1]}"
            continue
        if key:
            yield section, key, said
        found = _KEY.fullmatch(line)
        key, said = (found[1], found[2]) if found else ("", "")
        if begun := _SECTION.fullmatch(line):
            section = begun[1]


def schema() -> dict[str, Any]:
    made = Settings.model_json_schema()
    made["title"] = "A configuration file of phonepilot"
    sections = {
        name: made["$defs"][value["$ref"].rpartition("/")[2]]
        for name, value in made["properties"].items()
    }
    for section, key in _FROM_ENVIRONMENT.items():
        del sections[section]["properties"][key]
    for value in made["properties"].values():
        value.pop("default", None)  # the defaults of the keys are enough
    for section in sections.values():
        for value in section["properties"].values():
            value.pop("title", None)
    text = (configs_folder() / "default.toml").read_text(encoding="utf-8")
    for section_name, key, said in comments(text):
        sections[section_name]["properties"][key]["description"] = said
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


def render() -> str:
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(render(), end="")
