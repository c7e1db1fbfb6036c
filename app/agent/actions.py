"""The actions that a model may ask for, as types shared by all dialects.

Coordinates are thousandths of the screen, from 0 to below 1000. They are whole numbers if the model
counts in thousandths, and have up to three decimals if it counts in a finer unit, such as the
pixels of the picture it was sent. This gives every pixel of a screen a coordinate of its own.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Coordinate = Annotated[int | float, Field(ge=0, lt=1000)]
Point = tuple[Coordinate, Coordinate]
MAX_WAIT_S = 30.0
KeyName = Literal[
    "enter", "recents", "menu", "delete", "volume_up", "volume_down", "power", "camera"
]
"""The keys that a model may press, besides back and home."""
Millis = Annotated[int, Field(ge=300, le=10_000)]


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
    """Holds the finger down for `ms` milliseconds."""

    kind: Literal["long_press"] = "long_press"
    element: Point
    ms: Millis = 800

    def describe(self) -> str:
        return f"Long press {_at(self.element)}"


class Swipe(_Action):
    kind: Literal["swipe"] = "swipe"
    start: Point
    end: Point

    def describe(self) -> str:
        return f"Swipe from {_place(self.start)} to {_place(self.end)}"


class Drag(_Action):
    """Holds the item at `start` before it moves, unlike a swipe."""

    kind: Literal["drag"] = "drag"
    start: Point
    end: Point

    def describe(self) -> str:
        return f"Drag from {_place(self.start)} to {_place(self.end)}"


class TypeText(_Action):
    """Types into the focused field, or into the field at `element`, which is tapped first.

    `clear` empties the field first, `submit` presses Enter after the text.
    """

    kind: Literal["type"] = "type"
    text: str
    clear: bool = True
    submit: bool = False
    element: Point | None = None

    def describe(self) -> str:
        where = f" {_at(self.element)}" if self.element else ""
        return f"Type {self.text!r}{where}{' and press Enter' if self.submit else ''}"


class Key(_Action):
    kind: Literal["key"] = "key"
    key: KeyName

    def describe(self) -> str:
        return f"Press the key {self.key.replace('_', ' ')}"


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


class Answer(_Action):
    """An answer to the person's question. The task continues until the model finishes it."""

    kind: Literal["answer"] = "answer"
    message: str

    def describe(self) -> str:
        return f"Answer: {self.message}"


class GiveUp(_Action):
    """The model reports that it cannot reach the goal."""

    kind: Literal["give_up"] = "give_up"
    message: str = ""

    def describe(self) -> str:
        return f"Give up: {self.message}" if self.message else "Give up"


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
    | Drag
    | TypeText
    | Key
    | Launch
    | Back
    | Home
    | Wait
    | Note
    | CallApi
    | Interact
    | TakeOver
    | Answer
    | GiveUp
    | Finish,
    Field(discriminator="kind"),
]


def _at(point: Point) -> str:
    return f"at {_place(point)}"


def _place(point: Point) -> str:
    return f"{int(point[0])}, {int(point[1])}"
