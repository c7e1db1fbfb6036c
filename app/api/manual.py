"""Manual input on a phone: typed, validated, and rejected while a task works with the phone."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from app.api.ports import HandyDevice, Phones
from app.request_body import RequestBody
from app.tasks.runner import Runner

Pixel = Annotated[int, Field(ge=0, le=20_000)]
MAX_TEXT = 10_000


class TapInput(RequestBody):
    kind: Literal["tap"]
    x: Pixel
    y: Pixel

    async def do(self, device: HandyDevice) -> None:
        await device.tap(self.x, self.y)


class LongPressInput(RequestBody):
    kind: Literal["long_press"]
    x: Pixel
    y: Pixel
    ms: Annotated[int, Field(ge=300, le=5_000)] = 800

    async def do(self, device: HandyDevice) -> None:
        await device.long_press(self.x, self.y, self.ms)


class SwipeInput(RequestBody):
    kind: Literal["swipe"]
    x1: Pixel
    y1: Pixel
    x2: Pixel
    y2: Pixel
    ms: Annotated[int, Field(ge=50, le=10_000)] = 300

    async def do(self, device: HandyDevice) -> None:
        await device.swipe(self.x1, self.y1, self.x2, self.y2, self.ms)


class TextInput(RequestBody):
    kind: Literal["text"]
    text: Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
    clear: bool = False

    async def do(self, device: HandyDevice) -> None:
        await device.type_text(self.text, self.clear)


class KeyInput(RequestBody):
    kind: Literal["key"]
    key: Annotated[str, Field(min_length=1, max_length=40)]

    async def do(self, device: HandyDevice) -> None:
        await device.press(self.key)


class LaunchInput(RequestBody):
    kind: Literal["launch"]
    app: Annotated[str, Field(min_length=1, max_length=200)]

    async def do(self, device: HandyDevice) -> None:
        await device.launch(self.app)


Input = Annotated[
    TapInput | LongPressInput | SwipeInput | TextInput | KeyInput | LaunchInput,
    Field(discriminator="kind"),
]


class Hand:
    """Lends a phone for one input at a time."""

    def __init__(self, fleet: Phones, runner: Runner) -> None:
        self._fleet = fleet
        self._runner = runner

    async def do(self, serial: str, wanted: Input) -> None:
        """Perform one input. Raises DeviceError, InputError, and DeviceBusy if a task is working.

        A task that is paused or waits for an answer leaves the phone to the person. It resumes
        after the input, with a fresh look.
        """
        async with self._runner.by_hand(serial):
            await wanted.do(await self._fleet.get(serial))
