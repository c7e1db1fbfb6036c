"""The targets are where the phone says they are, replies are judged by them, and the bench tells a
model that taps beside them from one that does not."""

from __future__ import annotations

import io
import itertools
import json
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from app.agent.dialects.autoglm import AUTOGLM
from app.agent.execute import to_pixels
from app.agent.step import Attempt
from app.bench.report import marked
from app.bench.stub_engine import stub_engine
from app.bench.taps import FIRST_SEED, Figures, by_kind, judged, measure
from app.bench.targets import KINDS, Shown, targets
from app.cli.main import app
from app.errors import ConfigError
from app.settings import Settings, load_settings
from app.virtual_phone.phone import Phone

MANY = 80


def thousandths(shown: Shown) -> tuple[int, int]:
    """The middle of a target as a model would write it."""
    x, y = shown.target.middle
    left, _, right, _ = shown.target.box
    middle = (left + right) // 2 if x is None else x
    return round(middle * 1000 / shown.frame.width), round(y * 1000 / shown.frame.height)


def said(call: str) -> str:
    return f"<think>Here.</think><answer>{call}</answer>"


def tapping(x: int, y: int) -> str:
    return said(f'do(action="Tap", element=[{x},{y}])')


def attempt(text: str) -> Attempt:
    return Attempt(raw=text, decision=AUTOGLM.read(text), timings_ms={"request": 5.0})


def first(prompt: str = "autoglm") -> Shown:
    return next(targets(1, FIRST_SEED, prompt))


@pytest.mark.parametrize("prompt", ["autoglm", "demo"])
def test_a_tap_on_the_middle_does_what_was_asked(prompt: str) -> None:
    for shown in targets(MANY, FIRST_SEED, prompt):
        phone = Phone(0)
        phone.reset(shown.seed, scatter=True)
        before = phone.state.model_copy(deep=True)
        tap = to_pixels(thousandths(shown), shown.frame)
        assert shown.target.holds(*tap)
        assert phone.scene().at(*tap)[0].name == shown.target.label
        phone.tap(*tap)
        assert phone.state != before or shown.target.kind == "button", shown.goal(prompt)
        if prompt == "demo" and shown.target.kind == "icon":
            assert phone.foreground.label == shown.target.label


@pytest.mark.parametrize(("prompt", "asked"), [("autoglm", KINDS), ("demo", ("icon", "switch"))])
def test_there_are_as_many_of_each_kind(prompt: str, asked: tuple[str, ...]) -> None:
    kinds = Counter(shown.target.kind for shown in targets(MANY, FIRST_SEED, prompt))
    assert kinds == dict.fromkeys(asked, MANY // len(asked))


def test_the_same_targets_come_each_time() -> None:
    def asked(seed: int) -> list[tuple[int, str]]:
        return [(s.seed, s.goal("autoglm")) for s in targets(20, seed, "autoglm")]

    assert asked(FIRST_SEED) == asked(FIRST_SEED)
    assert asked(FIRST_SEED) != asked(FIRST_SEED + 5000)


def test_a_label_stands_on_the_screen_once() -> None:
    for shown in targets(MANY, FIRST_SEED, "autoglm"):
        phone = Phone(0)
        phone.reset(shown.seed, scatter=True)
        names = [spot.name for spot in phone.scene().spots]
        assert names.count(shown.target.label) == 1


def test_the_demo_is_asked_what_it_was_taught() -> None:
    for shown in targets(MANY, FIRST_SEED, "demo"):
        goal = shown.goal("demo")
        if shown.target.kind == "icon":
            assert goal == f"Open {shown.target.label}"
        else:
            other = "off" if shown.target.value == "on" else "on"
            assert goal == f"Turn {other} {shown.target.label}"


def test_a_tap_is_held_against_its_target() -> None:
    shown = first()
    x, y = thousandths(shown)
    there = judged(shown, "goal", attempt(tapping(x, y)))
    assert (there.outcome, there.ms) == ("hit", 5.0)
    assert there.error is not None and there.error < 1
    beside = judged(shown, "goal", attempt(tapping(x, (y + 500) % 1000)))
    assert beside.outcome == "miss"
    assert beside.error is not None and beside.error > 450


def test_a_row_may_be_tapped_anywhere_in_it() -> None:
    shown = next(s for s in targets(MANY, FIRST_SEED, "autoglm") if s.target.kind == "row")
    _, y = thousandths(shown)
    answer = judged(shown, "goal", attempt(tapping(60, y)))
    assert (answer.outcome, answer.dx) == ("hit", None)
    assert answer.error is not None and answer.error < 1


def test_what_is_no_tap_is_told_apart() -> None:
    shown = first()
    assert judged(shown, "goal", attempt(said('do(action="Back")'))).outcome == "no tap"
    unreadable = Attempt(raw="I cannot", timings_ms={"request": 1.0})
    assert judged(shown, "goal", unreadable).outcome == "unreadable"


def remote(url: str, tmp_path: Path) -> Settings:
    return load_settings(
        (),
        {
            "engine.kind": "remote",
            "engine.url": url,
            "engine.alias": "stub",
            "service.data_dir": str(tmp_path),
        },
        {},
    )


async def test_a_bias_is_found_and_what_misses_is_drawn(tmp_path: Path) -> None:
    places = [thousandths(shown) for shown in targets(20, FIRST_SEED, "autoglm")]
    places[3] = (999, 999)
    shifted = itertools.cycle(tapping(min(x + 8, 999), max(y - 6, 0)) for x, y in places)
    async with stub_engine(lambda: next(shifted)) as stub:
        settings = remote(await stub.base_url(), tmp_path)
        lines: list[str] = []
        answers = await measure(settings, 20, save=tmp_path / "misses", progress=lines.append)
    figures = Figures.of(answers)
    assert (figures.count, figures.hits, figures.unreadable) == (20, 19, 0)
    assert figures.bias_x == pytest.approx(8, abs=0.6)
    assert figures.bias_y == pytest.approx(-6, abs=0.6)
    assert figures.median_error == pytest.approx(10, abs=0.8)
    assert sum(each.count for each in by_kind(answers).values()) == 20
    assert len(lines) == 20 and lines[3].startswith("4 of 20: miss")
    (picture,) = (tmp_path / "misses").iterdir()
    assert picture.name == "0004-miss.png"
    with Image.open(picture) as drawn:
        assert drawn.size == (1080, 2400)


async def test_replies_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    async with stub_engine(lambda: "I would rather not.") as stub:
        answers = await measure(remote(await stub.base_url(), tmp_path), 3)
    figures = Figures.of(answers)
    assert (figures.hits, figures.unreadable, figures.median_error) == (0, 3, None)


async def test_a_folder_that_cannot_be_made_is_told_first(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot be made"):
        await measure(remote("http://127.0.0.1:9", tmp_path), 1, save=tmp_path / "file" / "x")


def test_a_picture_shows_the_target_and_the_tap() -> None:
    screen = Image.new("RGB", (100, 200), (255, 255, 255))
    with Image.open(io.BytesIO(marked(screen, (10, 20, 60, 80), (80, 150)))) as drawn:
        assert drawn.getpixel((10, 20)) == drawn.getpixel((59, 79)) == (0, 160, 60)
        assert drawn.getpixel((80, 150)) == (220, 0, 40)
        assert drawn.getpixel((35, 50)) == (255, 255, 255)
    assert screen.getpixel((10, 20)) == (255, 255, 255)


@pytest.mark.timeout(120)
def test_the_demo_model_hits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHONEPILOT_ENGINE__KIND", "embedded")
    monkeypatch.setenv("PHONEPILOT_SERVICE__DATA_DIR", str(tmp_path))
    command = ["bench", "taps", "-c", "demo", "--count", "8", "--json"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["model"] == "demo-q4_k_s.gguf"
    assert len(told["rows"]) == told["figures"]["all"]["count"] == 8
    assert told["figures"]["all"]["hits"] == 8
    assert told["figures"]["all"]["median_error"] < 15
    assert told["figures"]["all"]["ms_per_reply"] > 0
