"""A careless model in each scene, through the whole service: what is stopped, and what is not."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.virtual_phone.phone import KEY_BACK, Phone
from app.virtual_phone.quirk_set import Quirks
from app.virtual_phone.scenes.advert import AGAIN_S
from tests.e2e.conftest import Stack, service_process
from tests.e2e.scene_rows import NO, ROWS, SceneRow
from tests.e2e.scripted_engine import ScriptedEngine, scripted_engine
from tests.phones import ROOT, PhoneProcess, phone_process

SEED = 7
PATIENCE_S = 30.0
PAGE = ROOT / "docs" / "measurements" / "scenes.md"
STATUS = {"confirmation": "needs_confirmation"}
"""By the kind of question; a task with any other one needs a human."""

Reply = str | Callable[[], str]


class Rehearsal:
    """Makes replies from lines, by playing them on a phone in this process.

    `open APP`, `tap NAME` and `back` do what they say, and the model says so; `try NAME` is a tap
    or a launch that is expected to be stopped; `tap below NAME` aims at what an advert hides.
    """

    def __init__(self, scene: str, phone: PhoneProcess) -> None:
        self._quirks = Quirks()
        self._quirks.add(f"scene={scene}")
        self._twin = Phone(SEED, self._quirks)
        self._phone = phone

    def reply(self, line: str) -> Reply:
        verb, _, rest = line.partition(" ")
        match verb:
            case "open":
                return self._open(rest, done=True)
            case "tap" | "try":
                return self._tap(rest, done=verb == "tap")
            case "type":
                self._twin.type_text(rest)
                return f'do(action="Type", text={json.dumps(rest)})'
            case "back":
                self._twin.press_key(KEY_BACK)
                return 'do(action="Back")'
            case "swipe":
                self._twin.swipe(540, 1680, 540, 720, 600)
                return 'do(action="Swipe", start=[500,700], end=[500,300])'
            case "wait":
                return 'do(action="Wait", duration="0.1 seconds")'
            case "take":
                return f'do(action="Take_over", message={json.dumps(rest)})'
            case "finish":
                return f"finish(message={json.dumps(rest)})"
            case "judge":
                return f"{rest}. The screen does not show it."
        raise AssertionError(f"no such line: {line}")

    def _open(self, app: str, *, done: bool) -> str:
        badges = {badge.label: badge.package for badge in self._twin.packages}
        if done:
            assert self._twin.launch(badges[app])
        return f'do(action="Launch", app="{app}")'

    def _tap(self, name: str, *, done: bool) -> str:
        name, below = name.removeprefix("below "), name.startswith("below ")
        if not done and name in {badge.label for badge in self._twin.packages}:
            return self._open(name, done=False)
        scene = self._twin.scene()
        if below:
            uncovered = Phone(SEED)
            uncovered.launch(self._twin.ui.foreground)
            scene = uncovered.scene()
        x, y = next(s.rect.center for s in scene.spots if s.name == name and s.on_tap)
        if done:
            self._twin.tap(x, y)
        return f'do(action="Tap", element=[{x * 1000 // 1080},{y * 1000 // 2400}])'

    def replies(self, lines: tuple[str, ...]) -> list[Reply]:
        found: list[Reply] = []
        for position, line in enumerate(lines):
            if line == "later":
                continue
            reply = self.reply(line)
            if position and lines[position - 1] == "later":
                self._later(self._twin)
                reply = self._when_later(reply)
            found.append(reply)
        return found

    def _when_later(self, reply: Reply) -> Callable[[], str]:
        """The reply, said when so much time has passed that the next advert is due."""

        def say() -> str:
            self._phone.change_quirks({"clock-jump": round(AGAIN_S) + 1})
            assert isinstance(reply, str)
            return reply

        return say

    def _later(self, phone: Phone) -> None:
        phone.quirks.change({"clock-jump": str(round(AGAIN_S) + 1)})


@contextmanager
def scripted_service(folder: Path, second_look: str) -> Iterator[tuple[Stack, ScriptedEngine]]:
    config = folder / "scenes.toml"
    with scripted_engine() as engine, phone_process(seed=SEED) as phone:
        config.write_text(
            f'[engine]\nurl = "{engine.url}"\n[profile]\nfeedback = true\n'
            f'[agent]\nsecond_look = "{second_look}"\n',
            encoding="utf-8",
        )
        with service_process(folder, "-c", str(config), kind="remote") as (url, process):
            stack = Stack(url, phone, process)
            stack.post("/devices/connect", {"address": phone.serial}).raise_for_status()
            yield stack, engine


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, ScriptedEngine]]:
    with scripted_service(tmp_path_factory.mktemp("plain"), "off") as service:
        yield service


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, ScriptedEngine]]:
    with scripted_service(tmp_path_factory.mktemp("judged"), "judge") as service:
        yield service


def until_asked_or_ended(stack: Stack, task: dict[str, Any], answered: int) -> dict[str, Any]:
    """The task with a question that is not answered yet, or with its end."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        task = stack.get(f"/tasks/{task['id']}")
        if task["stop_reason"] or (task["question"] and task["question"]["number"] > answered):
            return task
        time.sleep(0.01)
    raise AssertionError(f"neither asked nor ended in {PATIENCE_S:g} s: {task}")


def play(stack: Stack, row: SceneRow) -> tuple[dict[str, Any], list[str]]:
    """The ended task, and the kinds of the questions that the person answered."""
    body = {
        "goal": row.goal,
        "device": stack.phone.serial,
        "max_steps": 40,
        "confirm": row.confirm or ("ask" if row.answers else "deny"),
        "allowed_apps": list(row.allowed_apps),
    }
    task: dict[str, Any] = stack.post("/tasks", body).raise_for_status().json()
    asked: list[str] = []
    answers = iter(row.answers)
    while not (task := until_asked_or_ended(stack, task, len(asked)))["stop_reason"]:
        kind = task["question"]["kind"]
        assert task["status"] == STATUS.get(kind, "needs_human")
        asked.append(kind)
        answer, _, text = next(answers).partition(" ")
        reply = {"allow": answer != NO, "text": text.strip("()"), "question": len(asked)}
        stack.post(f"/tasks/{task['id']}/reply", reply).raise_for_status()
    return task, asked


def expected(before: dict[str, Any], row: SceneRow) -> dict[str, Any]:
    """The lasting state of the phone after the row's task."""
    after = {key: value for key, value in before.items() if key != "ui"}
    for name, value in row.changed.items():
        part, dot, key = name.rpartition(".")
        if dot:
            after[part] = {**after[part], key: value}
        elif name in after["deeds"]:
            after["deeds"] = {**after["deeds"], name: value}
        else:
            after[name] = value
    return after


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.scene}: {row.does}, {row.who}")
def test_a_careless_model(
    row: SceneRow,
    plain: tuple[Stack, ScriptedEngine],
    request: pytest.FixtureRequest,
) -> None:
    stack, engine = request.getfixturevalue("judged") if row.judged else plain
    phone = stack.phone
    phone.reset(SEED)
    before = phone.state()
    assert not before["settings"]["bluetooth"]
    assert not before["settings"]["airplane_mode"]
    scene = "injection,payment" if row.scene == "injection" else row.scene
    replies = Rehearsal(scene, phone).replies(row.lines)
    engine.requests.clear()
    engine.replies = replies[: len(replies) - row.habit]
    engine.habit = [str(reply) for reply in replies[len(replies) - row.habit :]]
    try:
        with phone.quirks(f"scene={scene}"):
            task, asked = play(stack, row)
            after = phone.state()
    finally:
        phone.change_quirks({"clock-jump": None})
    assert (task["status"], task["stop_reason"]) == (row.status, row.reason), task
    assert asked == list(row.asked)
    state = {key: value for key, value in after.items() if key != "ui"}
    if "later" in row.lines:
        state["look"] = before["look"]  # its clock
        assert any("came to the front by itself" in text for text in engine.told())
    assert state == expected(before, row)
    typed = {name: text for name, text in after["ui"]["drafts"].items() if text}
    assert "logins" in row.changed or not typed, "something was typed"
    stopped = sum("is not allowed in this task" in text for text in engine.told())
    assert stopped == 0 if not row.allowed_apps else stopped > 0


def test_the_page_shows_the_rows_that_are_played() -> None:
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    missing = [row.markdown() for row in ROWS if row.markdown() not in page]
    assert not missing, "add to docs/measurements/scenes.md:\n" + "\n".join(missing)
