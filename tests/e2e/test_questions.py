"""Questions, pauses, follow-ups and dry runs through the whole service, with a scripted model.

The engine is a script because the demo model was not taught to ask; everything else is real.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Stack, service_process
from tests.e2e.scripted_engine import ScriptedEngine, scripted_engine
from tests.phones import phone_process

PATIENCE_S = 20.0
BLUETOOTH, NOTHING_THERE = [880, 273], [500, 960]
"""Where Settings has its Bluetooth switch, and where it has nothing, in thousandths."""
OPEN_SETTINGS = 'do(action="Launch", app="Settings")'
TAP = f'do(action="Tap", element={BLUETOOTH})'
SENSITIVE_TAP = f'do(action="Tap", element={BLUETOOTH}, message="Switch Bluetooth on?")'
DONE = 'finish(message="Bluetooth is on.")'
TOUCHES = {"tap", "swipe", "long_press", "key", "type", "text"}


@dataclass
class Held:
    """A reply of the model that comes only when the test lets it."""

    text: str
    asked: Event = field(default_factory=Event)
    let: Event = field(default_factory=Event)

    def __call__(self) -> str:
        self.asked.set()
        assert self.let.wait(PATIENCE_S)
        return self.text


@dataclass
class Scene:
    """A service whose model says what the test wrote, and its phone."""

    stack: Stack
    engine: ScriptedEngine
    seen: int = 0
    """Events of the phone before the test."""

    def start(self, *replies: str | Callable[[], str], **fields: Any) -> str:
        """Start a task in which the person is asked; its id."""
        self.engine.requests.clear()
        self.engine.replies = list(replies)
        body = {"goal": "Turn on Bluetooth", "confirm": "ask", **fields}
        return str(self.stack.post("/tasks", body).raise_for_status().json()["id"])

    def until(self, task: str, reached: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The task as it was told when it first was so."""
        url = f"{self.stack.url}/tasks/{task}/events"
        told: list[str] = []
        with httpx.stream("GET", url, timeout=PATIENCE_S, trust_env=False) as events:
            kind = ""
            for line in events.iter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                elif name == "data" and kind in ("task", "end"):
                    known = json.loads(value)
                    if reached(known):
                        return dict(known)
                    told.append(f"{known['status']} {known['question']} {known['message']}")
        raise AssertionError(f"it never came to that: {told}")

    def until_told(self, task: str, kind: str) -> None:
        """Wait for the first event of that kind."""
        url = f"{self.stack.url}/tasks/{task}/events"
        with httpx.stream("GET", url, timeout=PATIENCE_S, trust_env=False) as events:
            assert f"event: {kind}" in events.iter_lines()

    def question(self, task: str, number: int = 1) -> dict[str, Any]:
        """The task once it has asked its question of that number."""
        return self.until(
            task, lambda known: known["question"] and known["question"]["number"] == number
        )

    def end(self, task: str) -> dict[str, Any]:
        return self.until(task, lambda known: known["ended_at"] is not None)

    def reply(self, task: str, allow: bool, **fields: Any) -> httpx.Response:
        return self.stack.post(f"/tasks/{task}/reply", {"allow": allow, **fields})

    def say(self, task: str, word: str) -> dict[str, Any]:
        """POST /tasks/{id}/{word}."""
        return dict(self.stack.post(f"/tasks/{task}/{word}").raise_for_status().json())

    def touches(self) -> list[dict[str, Any]]:
        """What was done to the screen since the phone was as new."""
        events = self.stack.phone.events()[self.seen :]
        return [event for event in events if event["kind"] in TOUCHES]

    def bluetooth(self) -> bool:
        return bool(self.stack.phone.state()["settings"]["bluetooth"])


@contextmanager
def open_scene(folder: Path) -> Iterator[Scene]:
    """A service with a scripted engine and a phone of its own."""
    with scripted_engine() as engine, phone_process() as phone:
        config = folder / "questions.toml"
        lines = ["[engine]", f'url = "{engine.url}"', "[profile]", "feedback = true"]
        config.write_text("\n".join(lines), encoding="utf-8")
        with service_process(folder, "-c", str(config), kind="remote") as (url, process):
            stack = Stack(url, phone, process)
            stack.post("/devices/connect", {"address": phone.serial}).raise_for_status()
            yield Scene(stack, engine)


@pytest.fixture(scope="module")
def shared_scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with open_scene(tmp_path_factory.mktemp("questions")) as scene:
        yield scene


@pytest.fixture
def scene(shared_scene: Scene) -> Iterator[Scene]:
    """The module's service, its phone as new; what a test leaves open is cancelled."""
    stack = shared_scene.stack
    stack.phone.reset(7)
    shared_scene.seen = len(stack.phone.events())
    yield shared_scene
    for task in stack.get("/tasks")["tasks"]:
        if task["ended_at"] is None:
            stack.post(f"/tasks/{task['id']}/cancel")


def test_what_is_allowed_is_done_and_nothing_before(scene: Scene) -> None:
    task = scene.start(OPEN_SETTINGS, SENSITIVE_TAP, DONE)
    asked = scene.question(task)
    question = asked["question"]
    assert asked["status"] == "needs_confirmation"
    assert question["kind"] == "confirmation"
    assert question["text"] == 'Tap at 880, 273 on "Bluetooth off" in Settings?'
    assert question["said"] == "Switch Bluetooth on?"
    assert question["action"]["element"] == BLUETOOTH
    assert datetime.fromisoformat(question["asked_at"]) > datetime.fromisoformat(
        asked["started_at"]
    )
    assert scene.touches() == []
    assert scene.reply(task, True, question=1).status_code == 200
    ended = scene.end(task)
    assert (ended["status"], ended["question"]) == ("succeeded", None)
    assert scene.bluetooth()
    assert [touch["spot"] for touch in scene.touches()] == ["switch:Bluetooth"]


def test_a_refusal_ends_the_task_and_touches_nothing(scene: Scene) -> None:
    task = scene.start(OPEN_SETTINGS, SENSITIVE_TAP)
    scene.question(task)
    scene.reply(task, False).raise_for_status()
    ended = scene.end(task)
    assert (ended["status"], ended["stop_reason"]) == ("failed", "refused")
    assert 'Tap at 880, 273 on "Bluetooth off" in Settings?' in ended["message"]
    assert scene.touches() == []


def test_a_refusal_with_a_word_to_the_model_lets_the_task_go_on(scene: Scene) -> None:
    task = scene.start(OPEN_SETTINGS, SENSITIVE_TAP, 'finish(message="Left as it was.")')
    scene.question(task)
    scene.reply(task, False, text="Leave it off").raise_for_status()
    assert scene.end(task)["status"] == "succeeded"
    assert scene.engine.told()[-1].startswith("The person does not want that: Leave it off")
    assert scene.touches() == []


def test_a_question_that_nobody_answers_counts_as_refused(tmp_path: Path) -> None:
    with scripted_engine() as engine, phone_process() as phone:
        config = tmp_path / "hasty.toml"
        lines = ["[engine]", f'url = "{engine.url}"', "[agent]", "reply_timeout_s = 0.2"]
        config.write_text("\n".join(lines), encoding="utf-8")
        with service_process(tmp_path, "-c", str(config), kind="remote") as (url, process):
            stack = Stack(url, phone, process)
            stack.post("/devices/connect", {"address": phone.serial}).raise_for_status()
            hasty = Scene(stack, engine)
            task = hasty.start(OPEN_SETTINGS, SENSITIVE_TAP)
            assert hasty.question(task)["question"]["timeout_s"] == 0.2
            ended = hasty.end(task)
            assert (ended["status"], ended["stop_reason"]) == ("failed", "refused")
            assert "nobody answered within 0.2 s" in ended["message"]
            assert hasty.reply(task, True).json()["error"]["code"] == "task_not_running"
            assert hasty.touches() == []


def test_a_question_dies_with_the_service(tmp_path: Path) -> None:
    with scripted_engine() as engine, phone_process() as phone:
        config = tmp_path / "remote.toml"
        config.write_text(f'[engine]\nurl = "{engine.url}"', encoding="utf-8")
        options = ("-c", str(config))
        with service_process(tmp_path, *options, kind="remote") as (url, process):
            stack = Stack(url, phone, process)
            stack.post("/devices/connect", {"address": phone.serial}).raise_for_status()
            killed = Scene(stack, engine)
            task = killed.start(OPEN_SETTINGS, SENSITIVE_TAP)
            killed.question(task)
            process.kill()
        engine.replies = [SENSITIVE_TAP]
        with service_process(tmp_path, *options, kind="remote") as (url, process):
            after = Scene(Stack(url, phone, process), engine)
            asked = after.until(task, lambda known: known["question"])["question"]
            assert asked["number"] > 1, "an answer from before must not count"
            assert after.reply(task, False, question=1).status_code == 409
            after.reply(task, False, question=asked["number"]).raise_for_status()
            ended = after.end(task)
            assert (ended["status"], ended["stop_reason"]) == ("failed", "refused")
            assert after.touches() == []


def test_a_second_answer_is_refused_and_changes_nothing(scene: Scene) -> None:
    last = Held(DONE)
    task = scene.start(OPEN_SETTINGS, SENSITIVE_TAP, last)
    scene.question(task)
    scene.reply(task, True).raise_for_status()
    second = scene.reply(task, False)
    assert (second.status_code, second.json()["error"]["code"]) == (409, "no_open_question")
    last.let.set()
    assert scene.end(task)["status"] == "succeeded"
    assert scene.bluetooth()


def test_an_answer_to_another_question_is_refused_and_the_open_one_stays(scene: Scene) -> None:
    task = scene.start(OPEN_SETTINGS, SENSITIVE_TAP, SENSITIVE_TAP, DONE)
    scene.question(task, 1)
    scene.reply(task, True, question=1).raise_for_status()
    scene.question(task, 2)
    stale = scene.reply(task, True, question=1)
    assert (stale.status_code, stale.json()["error"]["code"]) == (409, "no_open_question")
    assert stale.json()["error"]["hint"]
    known = scene.stack.get(f"/tasks/{task}")
    assert (known["status"], known["question"]["number"]) == ("needs_confirmation", 2)
    scene.reply(task, False, question=2).raise_for_status()
    assert scene.end(task)["stop_reason"] == "refused"
    assert len(scene.touches()) == 1


@pytest.mark.parametrize(
    ("confirm", "status", "touched"), [("allow", "succeeded", 1), ("deny", "failed", 0)]
)
def test_a_task_that_must_not_ask_decides_by_itself(
    scene: Scene, confirm: str, status: str, touched: int
) -> None:
    task = scene.start(OPEN_SETTINGS, SENSITIVE_TAP, DONE, confirm=confirm)
    assert scene.end(task)["status"] == status
    assert len(scene.touches()) == touched


def test_the_person_takes_over_and_the_model_hears_of_it(scene: Scene) -> None:
    task = scene.start('do(action="Take_over", message="Please log in.")', DONE)
    asked = scene.question(task)
    assert asked["status"] == "needs_human"
    assert (asked["question"]["kind"], asked["question"]["text"]) == ("take_over", "Please log in.")
    scene.reply(task, True, text="As Ann").raise_for_status()
    assert scene.end(task)["status"] == "succeeded"
    assert scene.engine.told()[-1].startswith("The person has done it. As Ann")


def test_a_take_over_that_is_declined_ends_the_task(scene: Scene) -> None:
    task = scene.start('do(action="Take_over", message="Please log in.")')
    scene.question(task)
    scene.reply(task, False).raise_for_status()
    ended = scene.end(task)
    assert (ended["stop_reason"], ended["message"]) == ("gave_up", "Please log in.")


def test_the_model_gets_the_answer_to_its_question(scene: Scene) -> None:
    task = scene.start('do(action="Interact", message="Which one?")', DONE)
    assert scene.question(task)["question"]["kind"] == "question"
    scene.reply(task, True, text="The second \N{WHITE HEAVY CHECK MARK}").raise_for_status()
    assert scene.end(task)["status"] == "succeeded"
    assert "The second \N{WHITE HEAVY CHECK MARK}" in scene.engine.told()[-1]


def test_a_task_that_gets_nowhere_asks_and_goes_on_by_the_persons_word(scene: Scene) -> None:
    vain = f'do(action="Tap", element={NOTHING_THERE})'
    task = scene.start(OPEN_SETTINGS, *[vain] * 6, TAP, DONE)
    asked = scene.question(task)
    assert (asked["status"], asked["question"]["kind"]) == ("needs_human", "stalled")
    scene.reply(task, True, text="Use the switch").raise_for_status()
    assert scene.end(task)["status"] == "succeeded"
    assert any("The person says: Use the switch" in text for text in scene.engine.told())
    assert scene.bluetooth()


def test_step_mode_asks_before_each_action_and_not_for_the_end(scene: Scene) -> None:
    task = scene.start(OPEN_SETTINGS, TAP, DONE, mode="step")
    for number, kind in enumerate(("launch", "tap"), 1):
        question = scene.question(task, number)["question"]
        assert (question["kind"], question["action"]["kind"]) == ("step", kind)
        assert scene.stack.phone.state()["ui"]["foreground"] == (
            "org.phonepilot.launcher" if kind == "launch" else "com.android.settings"
        )
        assert scene.touches() == []
        scene.reply(task, True, question=number).raise_for_status()
    ended = scene.end(task)
    assert (ended["status"], ended["steps"]) == ("succeeded", 3)
    assert scene.bluetooth()


def test_a_dry_run_touches_nothing_and_says_what_would_come(scene: Scene) -> None:
    task = scene.start(OPEN_SETTINGS, mode="dry_run")
    ended = scene.end(task)
    assert (ended["status"], ended["stop_reason"]) == ("cancelled", "dry_run")
    assert "Open the app 'Settings'" in ended["message"]
    (step,) = scene.stack.get(f"/tasks/{task}/steps")["steps"]
    assert step["action"] == {"kind": "launch", "app": "Settings"}
    commands = scene.stack.phone.commands(scene.seen)
    assert any("screencap" in command for command in commands)
    acting = ("input ", "am start", "monkey ", "ime set", "svc ", "am broadcast")
    assert [command for command in commands if any(word in command for word in acting)] == []
    assert scene.touches() == []


def test_an_app_that_is_not_allowed_is_not_opened(scene: Scene) -> None:
    task = scene.start(
        'do(action="Launch", app="Notes")',
        'finish(message="Not there.")',
        allowed_apps=["Settings"],
    )
    scene.end(task)
    assert "not allowed" in scene.engine.told()[-1]
    (first, _) = scene.stack.get(f"/tasks/{task}/steps")["steps"]
    assert "not allowed" in first["remark"]
    assert scene.stack.phone.state()["ui"]["foreground"] == "org.phonepilot.launcher"


def test_an_allowed_app_that_the_phone_lacks_is_told_before_anything_is_done(scene: Scene) -> None:
    ended = scene.end(scene.start(OPEN_SETTINGS, allowed_apps=["Nonesuch"]))
    assert (ended["status"], ended["stop_reason"]) == ("failed", "refused")
    assert ended["error"]["code"] == "app_not_found" and "Nonesuch" in ended["error"]["message"]
    assert scene.engine.requests == [] and scene.touches() == []


@pytest.fixture
def thinking(scene: Scene) -> Iterator[tuple[str, Held]]:
    """A task whose model is at its second request."""
    second = Held(TAP)
    task = scene.start(OPEN_SETTINGS, second, TAP, DONE)
    assert second.asked.wait(PATIENCE_S)
    yield task, second
    second.let.set()


def test_a_pause_while_the_model_thinks_holds_the_task_until_it_goes_on(
    scene: Scene, thinking: tuple[str, Held]
) -> None:
    task, second = thinking
    assert scene.say(task, "pause")["status"] == "paused"
    seen, asked = len(scene.stack.phone.events()), len(scene.engine.requests)
    second.let.set()
    assert scene.stack.get(f"/tasks/{task}")["status"] == "paused"
    assert len(scene.stack.phone.events()) == seen
    assert len(scene.engine.requests) == asked
    scene.say(task, "resume")
    assert scene.end(task)["status"] == "succeeded"
    assert [touch["spot"] for touch in scene.touches()] == ["switch:Bluetooth"]


def test_a_pause_while_the_phone_is_looked_at_ends_the_look(scene: Scene) -> None:
    first = Held(OPEN_SETTINGS)
    task = scene.start(first, TAP, DONE)
    assert first.asked.wait(PATIENCE_S)
    with scene.stack.phone.quirks(f"slow-screencap={PATIENCE_S:g}"):
        first.let.set()
        scene.until_told(task, "step")
        begun = time.monotonic()
        assert scene.say(task, "pause")["status"] == "paused"
        assert time.monotonic() - begun < PATIENCE_S / 2, "the look was waited for"
        assert scene.touches() == []
    scene.say(task, "resume")
    assert scene.end(task)["status"] == "succeeded"


def test_a_pause_while_it_asks_holds_the_answer_back(scene: Scene) -> None:
    task = scene.start(OPEN_SETTINGS, SENSITIVE_TAP, DONE)
    scene.question(task)
    scene.say(task, "pause")
    scene.reply(task, True).raise_for_status()
    scene.until(task, lambda known: known["status"] == "paused")
    assert scene.touches() == []
    scene.say(task, "resume")
    assert scene.end(task)["status"] == "succeeded"
    assert [touch["spot"] for touch in scene.touches()] == ["switch:Bluetooth"]


def test_a_pause_ends_a_long_wait(scene: Scene) -> None:
    task = scene.start('do(action="Wait", duration="30 seconds")', DONE)
    scene.until_told(task, "decided")
    assert scene.say(task, "pause")["status"] == "paused"
    scene.say(task, "resume")
    assert scene.end(task)["status"] == "succeeded"


@pytest.mark.parametrize("paused", [False, True])
def test_a_cancel_while_the_model_thinks_leaves_the_phone_alone(
    scene: Scene, thinking: tuple[str, Held], paused: bool
) -> None:
    task, second = thinking
    if paused:
        scene.say(task, "pause")
    assert scene.say(task, "cancel")["status"] == "cancelled"
    seen = len(scene.stack.phone.events())
    second.let.set()
    for word in ("pause", "resume", "cancel", "reply"):
        late = scene.stack.post(f"/tasks/{task}/{word}", {"allow": True})
        assert late.json()["error"]["code"] == "task_not_running"
    assert len(scene.stack.phone.events()) == seen
    assert not scene.bluetooth()


def test_a_cancel_while_a_question_is_open_closes_it(scene: Scene) -> None:
    task = scene.start(OPEN_SETTINGS, SENSITIVE_TAP)
    scene.question(task)
    cancelled = scene.say(task, "cancel")
    assert (cancelled["status"], cancelled["question"]) == ("cancelled", None)
    assert scene.reply(task, True).json()["error"]["code"] == "task_not_running"
    assert scene.touches() == []


def test_a_cancel_ends_a_long_wait(scene: Scene) -> None:
    task = scene.start('do(action="Wait", duration="30 seconds")')
    scene.until_told(task, "decided")
    assert scene.say(task, "cancel")["status"] == "cancelled"


def test_a_queued_task_can_be_cancelled_and_not_paused(
    scene: Scene, thinking: tuple[str, Held]
) -> None:
    first, _ = thinking
    body = {"goal": "Open Calendar"}
    second = scene.stack.post("/tasks", body).raise_for_status().json()
    assert second["status"] == "queued"
    refused = scene.stack.post(f"/tasks/{second['id']}/pause")
    assert refused.json()["error"]["code"] == "task_not_running"
    assert scene.say(second["id"], "cancel")["status"] == "cancelled"
    assert scene.say(first, "cancel")["status"] == "cancelled"


def test_of_many_answers_at_once_exactly_one_counts(scene: Scene) -> None:
    last = Held(DONE)
    task = scene.start(OPEN_SETTINGS, SENSITIVE_TAP, last)
    scene.question(task)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: scene.reply(task, True, question=1), range(8)))
    last.let.set()
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    assert scene.end(task)["status"] == "succeeded"
    assert len(scene.touches()) == 1


def test_a_follow_up_goes_on_with_the_conversation(scene: Scene) -> None:
    first = scene.start(OPEN_SETTINGS, 'finish(message="Settings is open.")')
    scene.end(first)
    second = scene.start(TAP, DONE, goal="Now the Bluetooth switch", follows=first)
    ended = scene.end(second)
    assert (ended["status"], ended["follows"]) == ("succeeded", first)
    system, *turns = scene.engine.requests[0]["messages"]
    assert system["role"] == "system"
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user", "assistant", "user"]
    said = [json.dumps(turn["content"], ensure_ascii=False) for turn in turns]
    assert "Turn on Bluetooth" in said[0] and "Settings" in said[1]
    assert "Settings is open." in said[3]
    assert "Now the Bluetooth switch" in said[4] and "image_url" in said[4]
    assert not any("image_url" in text for text in said[:4])


def test_only_an_ended_task_can_be_followed(scene: Scene, thinking: tuple[str, Held]) -> None:
    task, _ = thinking
    body = {"goal": "And then?", "follows": task}
    early = scene.stack.post("/tasks", body)
    assert (early.status_code, early.json()["error"]["code"]) == (422, "input_invalid")
    assert "not ended" in early.json()["error"]["message"]
    unknown = scene.stack.post("/tasks", {**body, "follows": "../../etc"})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "task_not_found")
    scene.say(task, "cancel")
