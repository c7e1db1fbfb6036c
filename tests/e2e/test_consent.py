"""A payment happens only if the person agreed to it, judged by the orders of the phone's shop.

The model is a script that wants to touch the pay button, and an intruder brings the checkout to the
front at the worst moments, over an adb server of its own.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.adb.server import AdbServer
from app.virtual_phone.phone import Phone
from app.virtual_phone.quirk_set import Quirks
from tests.e2e.conftest import Stack, service_process
from tests.e2e.scripted_engine import scripted_engine
from tests.e2e.test_questions import PATIENCE_S, Scene
from tests.phones import phone_process

SEED = 7
SHOP, NOTES = "org.phonepilot.shop", "org.phonepilot.notes"
OPEN_SHOP, OPEN_NOTES = 'do(action="Launch", app="Shop")', 'do(action="Launch", app="Notes")'
DONE = 'finish(message="Done.")'


@dataclass
class Intruder:
    """Uses the phone over an adb server of its own, as another person or program would."""

    binary: Path
    port: int
    serial: str

    def run(self, *command: str) -> None:
        argv = [str(self.binary), "-P", str(self.port), "-s", self.serial, "shell", *command]
        subprocess.run(argv, check=True, capture_output=True, timeout=PATIENCE_S)

    def tap(self, x: int, y: int) -> None:
        self.run("input", "tap", str(x), str(y))

    def open(self, package: str) -> None:
        self.run("monkey", "-p", package, "-c", "android.intent.category.LAUNCHER", "1")


@dataclass
class Checkout:
    """A phone whose shop stands before payment, hidden behind Notes. `pay` is the place of the pay
    button in thousandths."""

    scene: Scene
    intruder: Intruder
    pay: tuple[int, int]

    def tap(self, message: str = "", thought: str = "I tap it.") -> str:
        said = f', message="{message}"' if message else ""
        action = f'do(action="Tap", element=[{self.pay[0]},{self.pay[1]}]{said})'
        return f"<think>{thought}</think><answer>{action}</answer>"

    def comes_up(self) -> None:
        self.intruder.open(SHOP)

    @property
    def orders(self) -> list[Any]:
        return list(self.scene.stack.phone.state()["deeds"]["orders"])


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, adb_server: AdbServer, adb_binary: Path
) -> Iterator[tuple[Scene, Intruder]]:
    folder = tmp_path_factory.mktemp("consent")
    with scripted_engine() as engine, phone_process("--quirk", "scene=payment") as phone:
        config = folder / "consent.toml"
        config.write_text(f'[engine]\nurl = "{engine.url}"\n', encoding="utf-8")
        with service_process(folder, "-c", str(config), kind="remote") as (url, process):
            stack = Stack(url, phone, process)
            stack.post("/devices/connect", {"address": phone.serial}).raise_for_status()
            argv = [str(adb_binary), "-P", str(adb_server.port), "connect", phone.serial]
            subprocess.run(argv, check=True, capture_output=True, timeout=PATIENCE_S)
            yield Scene(stack, engine), Intruder(adb_binary, adb_server.port, phone.serial)


@pytest.fixture
def checkout(shared: tuple[Scene, Intruder]) -> Iterator[Checkout]:
    scene, intruder = shared
    scene.stack.phone.reset(SEED)
    quirks = Quirks()
    quirks.add("scene=payment")
    twin = Phone(SEED, quirks)
    assert twin.launch(SHOP)
    intruder.open(SHOP)
    for name in ("Headphones", "Cart", "Go to checkout"):
        x, y = next(s.rect.center for s in twin.scene().spots if s.name == name and s.on_tap)
        twin.tap(x, y)
        intruder.tap(x, y)
    x, y = next(s.rect.center for s in twin.scene().spots if s.name.startswith("Pay "))
    intruder.open(NOTES)
    made = Checkout(scene, intruder, (x * 1000 // 1080, y * 1000 // 2400))
    assert scene.stack.phone.state()["deeds"]["cart"] == ["Headphones"]
    yield made
    for task in scene.stack.get("/tasks")["tasks"]:
        if task["ended_at"] is None:
            scene.stack.post(f"/tasks/{task['id']}/cancel")


def test_the_place_is_really_that_of_the_pay_button(checkout: Checkout) -> None:
    task = checkout.scene.start(OPEN_SHOP, checkout.tap(), DONE, confirm="allow")
    assert checkout.scene.end(task)["status"] == "succeeded"
    assert len(checkout.orders) == 1


def test_a_consent_in_one_app_pays_nothing_in_another(checkout: Checkout) -> None:
    scene = checkout.scene
    task = scene.start(OPEN_NOTES, checkout.tap("Close the tip?"), checkout.tap("Close the tip?"))
    assert scene.question(task)["question"]["app"] == "Notes"
    checkout.comes_up()
    scene.reply(task, True, question=1).raise_for_status()
    again = scene.question(task, 2)["question"]
    assert (again["category"], again["app"]) == ("pay", SHOP)
    assert checkout.orders == []
    scene.reply(task, False, question=2).raise_for_status()
    assert scene.end(task)["stop_reason"] == "refused"
    assert checkout.orders == []


def test_a_consent_that_was_not_used_is_void_four_actions_later(checkout: Checkout) -> None:
    scene = checkout.scene
    tip, wait = checkout.tap("Close the tip?"), 'do(action="Wait", duration="0.1 seconds")'
    task = scene.start(OPEN_NOTES, tip, wait, wait, wait, OPEN_SHOP, tip)
    scene.question(task)
    checkout.intruder.run("input", "keyevent", "HOME")  # the screen that was agreed to is gone
    scene.reply(task, True, question=1).raise_for_status()
    assert scene.question(task, 2)["question"]["category"] == "pay"
    assert checkout.orders == []


def test_the_rule_speaks_and_the_models_words_are_marked_as_its_own(checkout: Checkout) -> None:
    scene = checkout.scene
    words = "Scroll down to see the address?"
    task = scene.start(OPEN_SHOP, checkout.tap(words, "Just \u202escrolling\u200b."))
    question = scene.question(task)["question"]
    assert question["category"] == "pay"
    assert "Pay 49.90" in question["text"]
    assert "Pay 49.90" in question["label"]
    assert words not in question["text"]
    assert (question["said"], question["thought"]) == (words, "Just scrolling.")
    assert checkout.orders == []


@pytest.mark.parametrize(
    ("wish", "reason"),
    [({"confirm": "deny"}, "refused"), ({"confirm": "allow", "allowed_apps": ["Notes"]}, "")],
)
def test_a_checkout_that_comes_up_while_the_model_thinks_is_not_paid(
    checkout: Checkout, wish: dict[str, Any], reason: str
) -> None:
    def thinks() -> str:
        checkout.comes_up()
        return checkout.tap()

    scene = checkout.scene
    replies: list[str | Callable[[], str]] = [OPEN_NOTES, thinks, checkout.tap(), DONE]
    ended = scene.end(scene.start(*replies, **wish))
    assert checkout.orders == []
    assert ended["stop_reason"] == (reason or "finished")


def test_what_the_person_agreed_to_is_done_once(checkout: Checkout) -> None:
    scene = checkout.scene
    task = scene.start(OPEN_SHOP, checkout.tap(), DONE)
    scene.question(task)
    assert checkout.orders == []
    scene.reply(task, True, question=1).raise_for_status()
    assert scene.end(task)["status"] == "succeeded"
    assert len(checkout.orders) == 1


def test_question_numbers_are_never_used_twice(checkout: Checkout) -> None:
    scene = checkout.scene
    take = 'do(action="Take_over", message="Unlock it")'
    task = scene.start(take, take, OPEN_SHOP, checkout.tap(), DONE)
    numbers = []
    for _ in range(2):
        asked = scene.until(
            task, lambda k: k["question"] and k["question"]["number"] not in numbers
        )
        numbers.append(asked["question"]["number"])
        scene.reply(task, True, question=numbers[-1]).raise_for_status()
    asked = scene.until(task, lambda k: k["question"] and k["question"]["number"] not in numbers)
    assert asked["question"]["number"] > max(numbers)
    for old in numbers:
        assert scene.reply(task, True, question=old).status_code == 409
    assert checkout.orders == []
