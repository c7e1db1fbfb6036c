"""A task in one file: whole, readable, and harmless whatever stood on the screens."""

from __future__ import annotations

import json
import re
import zipfile
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.agent.dialects.autoglm import AUTOGLM
from app.tasks.export import write_export
from app.tasks.models import Step, Task

NOW = datetime(2026, 11, 20, tzinfo=UTC)
JPEG = b"\xff\xd8 a picture"


def task(goal: str) -> Task:
    return Task(
        id="a" * 16,
        goal=goal,
        device="phone",
        status="succeeded",
        stop_reason="finished",
        message=goal,
        max_steps=5,
        timeout_s=60,
        lang="en",
        created_at=NOW,
    )


def step(number: int, raw: str, **fields: Any) -> Step:
    known: dict[str, Any] = {"app": "Notes", "width": 1080, "height": 2400, "started_at": NOW}
    return Step(number=number, raw=raw, **(known | fields))


def exported(
    folder: Path, goal: str, steps: list[Step], pictures: tuple[int, ...]
) -> dict[str, str]:
    paths = {}
    for number in pictures:
        paths[number] = folder / f"{number}.jpg"
        paths[number].write_bytes(JPEG)
    write_export(folder / "task.zip", task(goal), steps, paths, AUTOGLM)
    with zipfile.ZipFile(folder / "task.zip") as archive:
        assert archive.testzip() is None
        return {name: archive.read(name).decode("latin-1" if "jpg" in name else "utf-8")
                for name in archive.namelist()}  # fmt: skip


def test_everything_is_in_it(tmp_path: Path) -> None:
    tap = step(
        1,
        '<think>It is there.</think><answer>do(action="Tap", element=[500,250])</answer>',
        thought="It is there.",
        action={"kind": "tap", "element": [500, 250]},
        summary="Tap at 500, 250",
    )
    odd = step(2, "no action at all")
    done = step(3, '<answer>finish(message="Done.")</answer>', action={"kind": "finish"})
    files = exported(tmp_path, "Turn on 蓝牙", [tap, odd, done], (1, 3))
    assert json.loads(files["task.json"])["goal"] == "Turn on 蓝牙"
    assert [json.loads(line)["number"] for line in files["steps.jsonl"].splitlines()] == [1, 2, 3]
    first, second = (json.loads(line)["messages"] for line in files["chat.jsonl"].splitlines())
    assert first[0]["content"] == [
        {"type": "image", "image": "screenshots/1.jpg"},
        {"type": "text", "text": 'Turn on 蓝牙\n\n{"current_app": "Notes"}'},
    ]
    assert first[1]["content"].startswith("<think>It is there.</think><answer>do(")
    assert [len(first), len(second)] == [2, 4]
    assert json.dumps(second).count('"image"') == 2  # the part's type and its field, once
    assert files["screenshots/3.jpg"].encode("latin-1") == JPEG
    assert '<img src="screenshots/1.jpg"' in files["index.html"]
    assert 'style="left:50.0%;top:25.0%"' in files["index.html"]


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


@settings(max_examples=60)
@given(st.text(), st.text())
def test_no_text_becomes_markup(tmp_path: Path, text: str, more: str) -> None:
    text = text.encode("utf-8", "ignore").decode()
    hostile = f"{text}<script>alert(1)</script><img src=x onerror=alert(1)>\"'>"
    steps = [step(1, hostile, thought=hostile, summary=hostile, remark=hostile, app=hostile)]
    page = exported(tmp_path, hostile, steps, ())["index.html"]
    tags = Tags()
    tags.feed(page)
    assert not {"script", "img", "iframe", "object"} & tags.seen
    assert tags.handlers == []
    assert re.search(r"default-src 'none'", page)


def test_a_picture_that_is_removed_meanwhile_is_left_out(tmp_path: Path) -> None:
    kept, gone = tmp_path / "1.jpg", tmp_path / "2.jpg"
    kept.write_bytes(JPEG)
    steps = [step(number, '<answer>do(action="Back")</answer>') for number in (1, 2)]
    write_export(tmp_path / "task.zip", task("x"), steps, {1: kept, 2: gone}, AUTOGLM)
    with zipfile.ZipFile(tmp_path / "task.zip") as archive:
        assert [name for name in archive.namelist() if "jpg" in name] == ["screenshots/1.jpg"]
        page = archive.read("index.html").decode()
        assert "screenshots/1.jpg" in page
        assert "screenshots/2.jpg" not in page + archive.read("chat.jsonl").decode()


@pytest.mark.parametrize("point", [["x", 1], [[], 1], [None, None], 7])
def test_a_place_that_is_damaged_in_the_record_has_no_ring(tmp_path: Path, point: Any) -> None:
    damaged = step(1, "x", action={"kind": "tap", "element": point})
    assert "<b style" not in exported(tmp_path, "x", [damaged], (1,))["index.html"]
