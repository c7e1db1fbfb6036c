"""Which lines of app/ no test reaches: a plugin, `python -m pytest -p tests.reached`.

What runs in processes of its own, as the service of the end-to-end tests does, is not counted.
SlipCover takes its marks out of the code once they were reached, so that it costs a tenth where
coverage.py would double the time of what computes much.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from slipcover import FileMatcher, ImportManager, Slipcover

ROOT = Path(__file__).parent.parent
WIDTH = 100

# Before anything of app/ is imported: pytest loads this one first.
assert not any(name.split(".")[0] == "app" for name in sys.modules), "load this plugin with -p"
_cover: Any = Slipcover(source=[str(ROOT / "app")])
_matcher: Any = FileMatcher(sources=[str(ROOT / "app")])
ImportManager(_cover, _matcher).__enter__()


def ranges(lines: list[int]) -> Iterator[str]:
    """Numbers as "3-5", those that follow each other together."""
    begin = last = None
    for line in [*sorted(lines), None]:
        if begin is not None and last is not None and line != last + 1:
            yield f"{begin}" if begin == last else f"{begin}-{last}"
            begin = None
        begin = line if begin is None else begin
        last = line


def report(files: dict[str, Any]) -> Iterator[str]:
    reached = sum(len(each["executed_lines"]) for each in files.values())
    missing = sum(len(each["missing_lines"]) for each in files.values())
    for name, each in sorted(files.items()):
        if not each["missing_lines"]:
            continue
        row = f"{_share(len(each['executed_lines']), len(each['missing_lines']))}  {name}: "
        row += ", ".join(ranges(each["missing_lines"]))
        yield row if len(row) <= WIDTH else f"{row[: WIDTH - 4].rpartition(',')[0]}, ..."
    whole = sum(not each["missing_lines"] for each in files.values())
    yield f"{_share(reached, missing)}  of all lines; {whole} of {len(files)} files reached wholly"


def _share(reached: int, missing: int) -> str:
    return f"{100 * reached / max(1, reached + missing):4.0f} %"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    files = {
        str(Path(name).resolve().relative_to(ROOT)): each
        for name, each in _cover.get_coverage()["files"].items()
    }
    terminalreporter.section("lines of app/ that no test reaches in this process")
    for row in report(files):
        terminalreporter.write_line(row)
