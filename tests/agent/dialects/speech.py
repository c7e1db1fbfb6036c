"""What the families say, so that one table of odd replies serves them all."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from app.agent.dialects import DIALECTS
from app.agent.dialects.base import Dialect
from app.agent.dialects.space import Size

SENT: Size = (1000, 1000)
"""The picture, so that pixels are thousandths but for the half pixel to the middle."""


@dataclass(frozen=True)
class Speech:
    """One way to write actions: `tap` and the others give one as it stands in a reply."""

    name: str
    dialect: Dialect
    tap: Callable[[object, object], str]
    types: Callable[[str], str]
    done: Callable[[], str]
    back: Callable[[], str]
    unknown: str
    twice: str
    """A call that gives an argument twice."""
    opens: str = "<think>"
    closes: str = "</think>"
    quotes: bool = True
    """Whether a text may hold anything: XML has no way to write its own tags, and fields no tab."""


def _json(**arguments: object) -> str:
    call = json.dumps({"name": "mobile_use", "arguments": arguments}, ensure_ascii=False)
    return f"<tool_call>\n{call}\n</tool_call>"


def _xml(function: str, **arguments: str) -> str:
    inner = "".join(f"<parameter={k}>\n{v}\n</parameter>\n" for k, v in arguments.items())
    return f"<tool_call>\n<function={function}>\n{inner}</function>\n</tool_call>"


def _flat(**arguments: object) -> str:
    return f"<tool_call>{json.dumps(arguments)}</tool_call>"


def quoted(text: str, quote: str = "'") -> str:
    escaped = text.replace("\\", "\\\\").replace(quote, f"\\{quote}")
    return quote + escaped.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r") + quote


def _tars(name: str, written: str = "") -> str:
    return f"Action: {name}({written})"


def _venus(written: str) -> str:
    return f"<action>{written}</action>"


def _glm(**fields: object) -> str:
    return f"Memory: None\nReason: next\nAction: {json.dumps(fields, ensure_ascii=False)}"


def _glm_python(**fields: object) -> str:
    inner = ", ".join(f"'{k}': {quoted(v) if isinstance(v, str) else v}" for k, v in fields.items())
    return f"Memory: None\nReason: next\nAction: {{{inner}}}"


def _step(action: str, **fields: object) -> str:
    parts = [f"{name}:{value}" for name, value in fields.items()]
    return "\t".join(["explain:next", f"action:{action}", *parts, "summary:did it"])


def _qwen(name: str) -> Speech:
    return Speech(
        name,
        DIALECTS[name],
        lambda x, y: _json(action="click", coordinate=[x, y]),
        lambda text: _json(action="type", text=text),
        lambda: _json(action="terminate", status="success"),
        lambda: _json(action="system_button", button="Back"),
        _json(action="fly"),
        '<tool_call>\n{"name": "mobile_use", "name": "mobile_use", "arguments": '
        '{"action": "click", "coordinate": [1, 2]}}\n</tool_call>',
    )


SPEECHES = (
    _qwen("qwen"),
    _qwen("gui-owl"),
    Speech(
        "qwen as XML",
        DIALECTS["qwen"],
        lambda x, y: _xml("mobile_use", action="click", coordinate=f"[{x}, {y}]"),
        lambda text: _xml("mobile_use", action="type", text=text),
        lambda: _xml("mobile_use", action="terminate", status="success"),
        lambda: _xml("mobile_use", action="system_button", button="back"),
        _xml("mobile_use", action="fly"),
        "<tool_call><function=mobile_use><parameter=action>click</parameter><parameter=action>wait"
        "</parameter></function></tool_call>",
        quotes=False,
    ),
    Speech(
        "mai-ui",
        DIALECTS["mai-ui"],
        lambda x, y: _json(action="click", coordinate=[x, y]),
        lambda text: _json(action="type", text=text),
        lambda: _json(action="terminate", status="success"),
        lambda: _json(action="system_button", button="back"),
        _json(action="fly"),
        '<tool_call>{"name": "mobile_use", "arguments": {"action": "wait", "action": "wait"}}'
        "</tool_call>",
        "<thinking>",
        "</thinking>",
    ),
    Speech(
        "mobileforge",
        DIALECTS["mobileforge"],
        lambda x, y: _flat(action="click", coordinate=[x, y]),
        lambda text: _flat(action="type", text=text),
        lambda: _flat(action="terminate", status="success"),
        lambda: _flat(action="system_button", button="Back"),
        _flat(action="fly"),
        '<tool_call>{"action": "wait", "action": "wait"}</tool_call>',
        "<thinking>",
        "</thinking>",
    ),
    Speech(
        "ui-tars",
        DIALECTS["ui-tars"],
        lambda x, y: _tars("click", f"start_box='({x},{y})'"),
        lambda text: _tars("type", f"content={quoted(text)}"),
        lambda: _tars("finished", "content='Done'"),
        lambda: _tars("press_back"),
        _tars("fly"),
        _tars("click", "point='<point>1 2</point>', point='<point>1 2</point>'"),
    ),
    Speech(
        "doubao-ui-tars",
        DIALECTS["doubao-ui-tars"],
        lambda x, y: _tars("click", f"point='<point>{x} {y}</point>'"),
        lambda text: _tars("type", "content=" + quoted(text, '"')),
        lambda: _tars("finished", "content='Done'"),
        lambda: _tars("press_back"),
        _tars("fly"),
        _tars("wait", "time=1, time=2"),
    ),
    Speech(
        "seed",
        DIALECTS["seed"],
        lambda x, y: _xml("click", point=f"<point>{x} {y}</point>"),
        lambda text: _xml("type", content=text),
        lambda: _xml("finished", content="Done"),
        lambda: _xml("press_back"),
        _xml("fly"),
        "<tool_call><function=wait><parameter=time>1</parameter><parameter=time>2</parameter>"
        "</function></tool_call>",
        quotes=False,
    ),
    Speech(
        "ui-venus",
        DIALECTS["ui-venus"],
        lambda x, y: _venus(f"Click(box=({x},{y}))"),
        lambda text: _venus(f"Type(content={quoted(text)})"),
        lambda: _venus("Finished(content='Done')"),
        lambda: _venus("PressBack()"),
        _venus("Fly()"),
        _venus("Click(box=(1,2), box=(3,4))"),
    ),
    Speech(
        "glmv",
        DIALECTS["glmv"],
        lambda x, y: _glm(action_type="click", box_2d=[[x, y, x, y]]),
        lambda text: _glm(action_type="input_text", text=text),
        lambda: _glm(action_type="status", goal_status="complete"),
        lambda: _glm(action_type="navigate_back"),
        _glm(action_type="fly"),
        'Action: {"action_type": "wait", "action_type": "wait"}',
    ),
    Speech(
        "glmv as Python",
        DIALECTS["glmv"],
        lambda x, y: _glm_python(action_type="click", box_2d=f"[[{x}, {y}, {x}, {y}]]"),
        lambda text: _glm_python(action_type="input_text", text=text),
        lambda: _glm_python(action_type="status", goal_status="complete"),
        lambda: _glm_python(action_type="navigate_back"),
        _glm_python(action_type="fly"),
        "Action: {'action_type': 'wait', 'action_type': 'wait'}",
    ),
    Speech(
        "step-gui",
        DIALECTS["step-gui"],
        lambda x, y: _step("CLICK", point=f"{x},{y}"),
        lambda text: _step("TYPE", value=text, point="1,2"),
        lambda: _step("COMPLETE", **{"return": "Done"}),
        lambda: _step("BACK"),
        _step("FLY"),
        _step("CLICK", point="1,2", point1="1,2") + "\taction:WAIT",
        "<THINK>",
        "</THINK>",
        quotes=False,
    ),
)
BY_NAME = {speech.name: speech for speech in SPEECHES}
