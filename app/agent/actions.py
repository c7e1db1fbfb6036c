"""What a model may ask for, as types. Coordinates are thousandths of the screen, 0 to 999.

The names and fields follow the AutoGLM-Phone protocol: `do(action="Tap", element=[x,y])` becomes
`Tap`, `finish(message="...")` becomes `Finish`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Coordinate = Annotated[int, Field(ge=0, le=999)]
Point = tuple[Coordinate, Coordinate]
MAX_WAIT_S = 30.0


class _Action(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Tap(_Action):
    kind: Literal["tap"] = "tap"
    element: Point
    message: str = ""

    def describe(self) -> str:
        return f"Tap {_at(self.element)}"


class DoubleTap(_Action):
    kind: Literal["double_tap"] = "double_tap"
    element: Point

    def describe(self) -> str:
        return f"Double tap {_at(self.element)}"


class LongPress(_Action):
    kind: Literal["long_press"] = "long_press"
    element: Point

    def describe(self) -> str:
        return f"Long press {_at(self.element)}"


class Swipe(_Action):
    kind: Literal["swipe"] = "swipe"
    start: Point
    end: Point

    def describe(self) -> str:
        return f"Swipe from {_place(self.start)} to {_place(self.end)}"


class TypeText(_Action):
    kind: Literal["type"] = "type"
    text: str

    def describe(self) -> str:
        return f"Type {self.text!r}"


class Launch(_Action):
    kind: Literal["launch"] = "launch"
    app: str

    def describe(self) -> str:
        return f"Open the app {self.app!r}"


class Back(_Action):
    kind: Literal["back"] = "back"

    def describe(self) -> str:
        return "Go back"


class Home(_Action):
    kind: Literal["home"] = "home"

    def describe(self) -> str:
        return "Go to the home screen"


class Wait(_Action):
    kind: Literal["wait"] = "wait"
    seconds: Annotated[float, Field(ge=0, le=MAX_WAIT_S)]

    def describe(self) -> str:
        return f"Wait {self.seconds:g} s"


class Note(_Action):
    kind: Literal["note"] = "note"
    message: str = ""

    def describe(self) -> str:
        return "Note what is on the screen"


class CallApi(_Action):
    kind: Literal["call_api"] = "call_api"
    instruction: str = ""

    def describe(self) -> str:
        return f"Think about the notes: {self.instruction!r}"


class Interact(_Action):
    kind: Literal["interact"] = "interact"
    message: str = ""

    def describe(self) -> str:
        return "Ask the person to choose"


class TakeOver(_Action):
    kind: Literal["take_over"] = "take_over"
    message: str = ""

    def describe(self) -> str:
        return f"Hand over to the person: {self.message!r}"


class Finish(_Action):
    kind: Literal["finish"] = "finish"
    message: str = ""

    def describe(self) -> str:
        return f"Finish: {self.message}" if self.message else "Finish"


Action = Annotated[
    Tap
    | DoubleTap
    | LongPress
    | Swipe
    | TypeText
    | Launch
    | Back
    | Home
    | Wait
    | Note
    | CallApi
    | Interact
    | TakeOver
    | Finish,
    Field(discriminator="kind"),
]


def _at(point: Point) -> str:
    return f"at {_place(point)}"


def _place(point: Point) -> str:
    return f"{point[0]}, {point[1]}"
