"""What AutoGLM cannot say, from the reply to the phone: answers, giving up, aimed texts."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from app.agent.conduct import Conduct
from app.agent.dialects import DIALECTS, dialect_named
from app.agent.guard import Category, Guard
from app.agent.ports import Nobody
from app.agent.step import Answer
from tests.agent.doubles import RememberingDevice, Scene, ScriptedChat, ScriptedPerson

QWEN = DIALECTS["qwen"]
PAY = Category("pay", "a payment", words={"en": ("pay",)})
LOGIN = Category("accounts", "signing in", fields={"en": ("password",)})


@dataclass(frozen=True)
class Shown:
    text: str
    box: tuple[int, int, int, int]
    password: bool = False
    focused: bool = False
    clickable: bool = True


def call(**arguments: object) -> str:
    written = json.dumps({"name": "mobile_use", "arguments": arguments})
    return f"Thought: So.\n<tool_call>\n{written}\n</tool_call>"


DONE = call(action="terminate", status="success")


def scene(*replies: str, **fields: object) -> Scene:
    fields = {"dialect": QWEN} | fields
    return Scene(ScriptedChat(*replies), **fields)  # type: ignore[arg-type]


async def test_an_answer_goes_on_and_is_the_last_word_of_the_task() -> None:
    asked = scene(call(action="answer", text="42"), call(action="answer", text="43"), DONE)
    outcome = await asked.run()
    assert (outcome.reason, outcome.message) == ("finished", "42\n43")
    assert asked.device.calls == []
    said = json.dumps(asked.chat.requests[1])
    assert "The person has read your answer" in said


async def test_an_answer_that_the_end_repeats_is_said_once() -> None:
    last = call(action="terminate", status="success", message="It is 42.")
    assert (await scene(call(action="answer", text="42"), last).run()).message == "It is 42."


async def test_an_answer_ends_the_task_where_the_profile_says_so() -> None:
    dialect = dialect_named("qwen", answer_ends=True)
    outcome = await scene(call(action="answer", text="42"), dialect=dialect).run()
    assert (outcome.reason, outcome.message) == ("finished", "42")


async def test_giving_up_is_never_a_success() -> None:
    given = await scene(call(action="terminate", status="failure", text="No such app.")).run()
    assert (given.reason, given.message) == ("gave_up", "No such app.")
    assert (await scene(call(action="terminate", status="fail")).run()).reason == "gave_up"


async def test_only_the_first_of_several_actions_reaches_the_phone() -> None:
    done = scene(
        call(action="click", coordinate=[500, 500]) + "\n" + call(action="type", text="x"), DONE
    )
    assert (await done.run()).reason == "finished"
    assert done.device.calls == [("tap", 540, 1200)]


async def test_a_text_with_a_place_is_typed_there() -> None:
    typed = scene(call(action="type", text="hi", clear=True, coordinate=[500, 500]), DONE)
    await typed.run()
    assert typed.device.calls == [("tap", 540, 1200), ("type_text", "hi")]


@pytest.mark.parametrize(
    ("shown", "category"),
    [
        (Shown("Pay now", (500, 1150, 600, 1250)), "pay"),
        (Shown("", (500, 1150, 600, 1250), password=True), "accounts"),
    ],
)
async def test_a_text_with_a_place_is_judged_by_what_is_there(shown: Shown, category: str) -> None:
    typing = call(action="type", text="hi", coordinate=[500, 500])
    person = ScriptedPerson([Answer(False)])
    device = RememberingDevice(texts=[shown])
    conduct = Conduct(person=person, guard=Guard([PAY, LOGIN]))
    outcome = await scene(typing, device=device, conduct=conduct).run()
    assert outcome.reason == "refused"
    assert [question.category for question in person.asked] == [category]
    assert device.calls == []


@pytest.mark.parametrize("key", ["power", "camera"])
async def test_a_key_of_the_case_is_not_pressed_without_consent(key: str) -> None:
    pressing = call(action="key", text=key)
    refused = scene(pressing, conduct=Conduct(person=Nobody(), guard=Guard([PAY])))
    assert (await refused.run()).reason == "refused"
    assert refused.device.calls == []
    person = ScriptedPerson([Answer(True)])
    device = RememberingDevice(screens=[b"still"])
    allowed = scene(
        pressing, DONE, device=device, conduct=Conduct(person=person, guard=Guard([PAY]))
    )
    assert (await allowed.run()).reason == "finished"
    assert device.calls == [("press", key)]


async def test_a_place_outside_the_screen_is_told_to_the_model_and_not_touched() -> None:
    out = scene(call(action="click", coordinate=[1080, 2200]), DONE)
    assert (await out.run()).reason == "finished"
    assert out.device.calls == []
    assert "is outside the screen" in json.dumps(out.chat.requests[1])
