"""A task in every dialect, through the whole service: a scripted engine speaks it, and the phone's
state shows what came of it."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.agent.dialects import DIALECTS
from app.virtual_phone.phone import Phone
from tests.e2e.conftest import Stack, service_process
from tests.e2e.scripted_engine import ScriptedEngine, scripted_engine
from tests.phones import phone_process

SEED = 7
WIDTH, HEIGHT = 1080, 2400


@dataclass(frozen=True)
class Speaker:
    """How one dialect says what the task needs; `tap` gets thousandths, or pixels of the picture
    of that size."""

    launch: Callable[[str], str]
    tap: Callable[[int, int], str]
    done: str
    give_up: str = ""
    answer: str = ""
    pixels: tuple[int, int] | None = None


def call(**arguments: object) -> str:
    written = json.dumps({"name": "mobile_use", "arguments": arguments})
    return f"<thinking>\nSo.\n</thinking>\n<tool_call>\n{written}\n</tool_call>"


def flat(**arguments: object) -> str:
    return f"<thinking>\nSo.\n</thinking>\n<tool_call>{json.dumps(arguments)}</tool_call>"


def tars(written: str) -> str:
    return f"Thought: So.\nAction: {written}"


def seed(name: str, **parameters: str) -> str:
    inner = "".join(f"<parameter={k}>{v}</parameter>" for k, v in parameters.items())
    return f"<think>So.</think><seed:tool_call><function={name}>{inner}</function></seed:tool_call>"


def venus(written: str) -> str:
    return f"<think>So.</think>\n<action>{written}</action>\n<conclusion>c</conclusion>"


def glm(**fields: object) -> str:
    return (
        "<think>So.</think>Memory: None\nReason: next\nAction: <|begin_of_box|>"
        f"{json.dumps(fields)}<|end_of_box|>"
    )


def step(written: str) -> str:
    return f"<THINK> So. </THINK>\nexplain:e\t{written}\tsummary:did it"


QWEN = Speaker(
    lambda app: call(action="open", text=app),
    lambda x, y: call(action="click", coordinate=[x, y]),
    call(action="terminate", status="success"),
    call(action="terminate", status="failure", text="It has none."),
    call(action="answer", text="It is on."),
)
SPEAKERS = {
    "autoglm": Speaker(
        lambda app: f'<think>So.</think><answer>do(action="Launch", app="{app}")</answer>',
        lambda x, y: f'<think>So.</think><answer>do(action="Tap", element=[{x},{y}])</answer>',
        '<think>So.</think><answer>finish(message="It is on.")</answer>',
    ),
    "qwen": QWEN,
    "gui-owl": QWEN,
    "mai-ui": QWEN,
    "mobileforge": Speaker(
        lambda app: flat(action="open", text=app),
        lambda x, y: flat(action="click", coordinate=[x, y]),
        flat(action="terminate", status="success"),
        flat(action="terminate", status="fail"),
    ),
    "ui-tars": Speaker(
        lambda app: tars(f"open_app(app_name='{app}')"),
        lambda x, y: tars(f"click(start_box='({x},{y})')"),
        tars("finished(content='It is on.')"),
        pixels=(1092, 2408),
    ),
    "doubao-ui-tars": Speaker(
        lambda app: tars(f"open_app(app_name='{app}')"),
        lambda x, y: tars(f"click(point='<point>{x} {y}</point>')"),
        tars("finished(content='It is on.')"),
    ),
    "seed": Speaker(
        lambda app: seed("open_app", app_name=app),
        lambda x, y: seed("click", point=f"<point>{x} {y}</point>"),
        seed("finished", content="It is on."),
    ),
    "ui-venus": Speaker(
        lambda app: venus(f"Launch(app='{app}')"),
        lambda x, y: venus(f"Click(box=({x},{y}))"),
        venus("Finished(content='')"),
        answer=venus("CallUser(content='It is on.')"),
    ),
    "glmv": Speaker(
        lambda app: glm(action_type="open_app", app_name=app),
        lambda x, y: glm(action_type="click", box_2d=[[x - 5, y - 5, x + 5, y + 5]]),
        glm(action_type="status", goal_status="complete"),
        glm(action_type="status", goal_status="infeasible"),
        glm(action_type="answer", text="It is on."),
    ),
    "step-gui": Speaker(
        lambda app: step(f"action:AWAKE\tvalue:{app}"),
        lambda x, y: step(f"action:CLICK\tpoint:{x},{y}"),
        step("action:COMPLETE\treturn:It is on."),
        step("action:ABORT\tvalue:It has none."),
    ),
}


@contextmanager
def speaking(folder: Path, dialect: str) -> Iterator[tuple[Stack, ScriptedEngine]]:
    config = folder / f"{dialect}.toml"
    with scripted_engine() as engine, phone_process(seed=SEED) as phone:
        config.write_text(
            f'[engine]\nurl = "{engine.url}"\n[profile]\ndialect = "{dialect}"\nprompt = ""\n'
            "image_width = 0\nimage_height = 0\nfeedback = true\n",
            encoding="utf-8",
        )
        with service_process(folder, "-c", str(config), kind="remote") as (url, process):
            stack = Stack(url, phone, process)
            stack.post("/devices/connect", {"address": phone.serial}).raise_for_status()
            yield stack, engine


def place_of(name: str, app: str, speaker: Speaker) -> tuple[int, int]:
    """Where something is in an app, in the numbers of the dialect."""
    twin = Phone(SEED)
    packages = {badge.label: badge.package for badge in twin.packages}
    assert twin.launch(packages[app])
    x, y = next(s.rect.center for s in twin.scene().spots if s.name == name and s.on_tap)
    width, height = speaker.pixels or (1000, 1000)
    return int(x * width / WIDTH), int(y * height / HEIGHT)


def run(
    stack: Stack, goal: str = "Turn on Bluetooth"
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    task = stack.run(goal, device=stack.phone.serial, confirm="deny")
    return task, stack.get(f"/tasks/{task['id']}/steps")["steps"]


def pictures(request: dict[str, Any]) -> list[tuple[int, int]]:
    """The sizes of a request's pictures, from their headers."""
    parts = [p for m in request["messages"] if isinstance(m["content"], list) for p in m["content"]]
    sizes = []
    for part in parts:
        if part["type"] == "image_url":
            data = base64.b64decode(part["image_url"]["url"].partition(",")[2])
            sizes.append(struct.unpack(">II", data[16:24]))
    return sizes


def test_every_dialect_has_a_speaker() -> None:
    assert set(SPEAKERS) == set(DIALECTS)


@pytest.mark.parametrize("name", SPEAKERS)
def test_a_task_in_every_dialect(name: str, tmp_path: Path) -> None:
    speaker, dialect = SPEAKERS[name], DIALECTS[name]
    switch = speaker.tap(*place_of("Bluetooth", "Settings", speaker))
    with speaking(tmp_path, name) as (stack, engine):
        engine.replies = ["I look at it first.", speaker.launch("Settings"), switch, speaker.done]
        task, steps = run(stack)
        assert (task["status"], task["stop_reason"]) == ("succeeded", "finished"), (task, steps)
        assert stack.phone.state()["settings"]["bluetooth"] is True
        assert [(s["action"] or {}).get("kind") for s in steps] == [None, "launch", "tap", "finish"]
        assert steps[0]["error"]["code"] == "reply_unparseable"
        assert "could not be used" in str(engine.requests[1]["messages"])
        sizes = pictures(engine.requests[-1])
        assert sizes == [dialect.sent_size(WIDTH, HEIGHT)] * min(4, dialect.pictures)
        assert "Turn on Bluetooth" in str(engine.requests[-1]["messages"])

        if speaker.answer:
            stack.phone.reset(SEED)
            engine.replies = [speaker.answer, speaker.done]
            task, steps = run(stack, goal="Is it on?")
            assert (task["status"], task["message"]) == ("succeeded", "It is on."), (task, steps)
            ends = name in ("gui-owl", "mai-ui")
            assert len(engine.replies) == (1 if ends else 0)
        if speaker.give_up:
            engine.replies = [speaker.give_up]
            task, steps = run(stack)
            assert (task["status"], task["stop_reason"]) == ("failed", "gave_up"), (task, steps)
            assert steps[-1]["action"]["kind"] == "give_up"


def test_keys_drags_and_texts_that_are_aimed_and_sent(tmp_path: Path) -> None:
    with speaking(tmp_path, "qwen") as (stack, engine):
        engine.replies = [
            call(action="drag", start_coordinate=[500, 500], end_coordinate=[500, 300]),
            call(action="long_press", coordinate=[500, 900], time=1),
            call(action="key", text="volume_up"),
            call(action="system_button", button="Menu"),
            call(action="click", coordinate=[1080, 2200]),
            call(action="terminate", status="failure"),
        ]
        _, steps = run(stack)
        kinds = [(step["action"] or {}).get("kind") for step in steps]
        assert kinds == ["drag", "long_press", "key", "key", None, "give_up"]
        assert [step["error"] and step["error"]["code"] for step in steps[:5]] == [
            None,
            None,
            None,
            None,
            "action_out_of_bounds",
        ]
        assert "outside the screen" in str(engine.requests[-1]["messages"])

        engine.replies = [call(action="key", text="power")]
        task, _ = run(stack)
        assert (task["status"], task["stop_reason"]) == ("failed", "refused"), task
        assert "Press the key power" in task["message"]
        assert stack.phone.state()["power"]["awake"] is True

        engine.replies = [
            call(action="open", text="Notes"),
            call(action="terminate", status="failure"),
        ]
        run(stack)


def test_an_answer_in_one_document_or_wholly_as_reasoning(tmp_path: Path) -> None:
    with speaking(tmp_path, "qwen") as (stack, engine):
        engine.documents = [
            {"message": {"role": "assistant", "content": QWEN.launch("Settings")}},
            {"message": {"role": "assistant", "content": "", "reasoning_content": QWEN.done}},
        ]
        task, steps = run(stack)
        assert [(s["action"] or {}).get("kind") for s in steps] == ["launch", "finish"], steps
        assert task["status"] == "succeeded"


def test_a_stream_that_ends_without_a_word_is_used_where_the_reply_is_closed(
    tmp_path: Path,
) -> None:
    with speaking(tmp_path, "qwen") as (stack, engine):
        engine.breaks_off = True
        engine.replies = [QWEN.launch("Settings"), QWEN.done]
        task, steps = run(stack)
        assert task["status"] == "succeeded", (task, steps)
        engine.requests.clear()
        engine.replies = ["Thought: I loo", QWEN.done]
        task, steps = run(stack)
        assert task["status"] == "succeeded", (task, steps)
        assert len(engine.requests) == 2  # asked again, after a pause
