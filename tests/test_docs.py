"""The documents name what exists, and every error has its section."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import app
from app.errors import AppError

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
LINK = re.compile(r"\]\(([^)\s#]+)(#[^)\s]*)?\)")
PATH = re.compile(r"`((?:app|tests|configs|training|docs)/[\w./-]+)`")
SECTION = re.compile(r"^### `([a-z_]+)`\n\n(.+?)(?=\n#|\Z)", re.MULTILINE | re.DOTALL)
NOT_IMPORTED = {"app.__main__", "app.llm.embedded"}
"""The one runs the command line, the other belongs into a process of its own."""


def error_codes() -> set[str]:
    """The codes of all errors that any module of the package defines."""
    for module in pkgutil.walk_packages(app.__path__, "app."):
        if module.name not in NOT_IMPORTED:
            importlib.import_module(module.name)
    found, waiting = set(), [AppError]
    while waiting:
        kind = waiting.pop()
        found.add(kind.code)
        waiting += kind.__subclasses__()
    return found


def sections() -> dict[str, str]:
    text = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    return dict(SECTION.findall(text))


def test_every_error_code_is_explained_and_no_other() -> None:
    assert set(sections()) == error_codes()


@pytest.mark.parametrize("code", sorted(sections()))
def test_an_explanation_is_more_than_the_code(code: str) -> None:
    assert len(sections()[code].split()) >= 6


def test_error_codes_are_unique() -> None:
    kinds, waiting = [], [AppError]
    while waiting:
        kind = waiting.pop()
        kinds.append(kind.code)
        waiting += kind.__subclasses__()
    assert len(kinds) == len(set(kinds))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_paths_lead_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    targets = [document.parent / link for link, _ in LINK.findall(text) if ":" not in link]
    targets += [ROOT / path for path in PATH.findall(text)]
    missing = [str(target) for target in targets if not target.exists()]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_setting_that_is_named_exists(document: Path) -> None:
    defaults = (ROOT / "configs" / "default.toml").read_text(encoding="utf-8")
    keys, current = set(), ""
    for line in defaults.splitlines():
        if head := re.match(r"\[(\w+)\]", line):
            current = head[1]
        elif key := re.match(r"(\w+) =", line):
            keys.add(f"{current}.{key[1]}")
    heads = "|".join({name.partition(".")[0] for name in keys})
    text = document.read_text(encoding="utf-8")
    named = set(re.findall(rf"`((?:{heads})\.[a-z_]+)(?: = [^`]*)?`", text))
    assert named <= keys


def test_every_dependency_has_its_reason() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = project.partition("dependencies = [")[2].partition("\n]")[0]
    names = re.findall(r'"([a-z-]+)', block)
    reasons = (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8")
    rows = {n.strip() for row in re.findall(r"^\| ([a-z ,-]+) \|", reasons, re.MULTILINE)
            for n in row.split(",")}  # fmt: skip
    assert set(names) == rows - {"package"}


def test_every_installed_version_is_pinned() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    pinned = {
        line.partition("==")[0].lower()
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    }
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    entries = re.split(r"^(?=\S+==)", text, flags=re.MULTILINE)[1:]
    assert all("    --hash=sha256:" in entry for entry in entries)
    assert "://" not in text  # files are known by their hashes, wherever they come from
    blocks = re.findall(r"(?:dependencies|dev) = \[(.*?)\n\]", project, re.DOTALL)
    wanted = {name for block in blocks for name in re.findall(r'"([a-z-]+)', block)}
    extras = {"socksio"}  # of httpx[socks]
    assert wanted | extras <= pinned
