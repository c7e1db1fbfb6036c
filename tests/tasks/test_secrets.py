"""A secret goes into the field it is for, and into nothing that anybody reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.agent.screen import ShownText
from app.errors import (
    CommandFailed,
    DeviceDisconnected,
    ScreenshotUnavailable,
    SecretUnguarded,
    SecretUnknown,
    TextRefused,
)
from app.tasks.redaction import MASK
from app.tasks.secrets import DiscreetDevice, Secret, Secrets, names_in
from tests.agent.doubles import PlainFrame, RememberingDevice

SECRET = "hunter2-and-more"
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Shown:
    text: str
    box: Box = (0, 0, 10, 10)
    password: bool = False
    focused: bool = False
    clickable: bool = False


@dataclass(frozen=True)
class MaskedFrame(PlainFrame):
    boxes: tuple[Box, ...] | None = None

    def masked(self, boxes: Sequence[Box]) -> MaskedFrame:
        return MaskedFrame(boxes=tuple(boxes))


@dataclass
class TellingDevice(RememberingDevice):
    """Tells what stands on its screen; nothing where `shown` is None."""

    shown: list[Shown] | None = field(
        default_factory=lambda: [Shown("••", password=True, focused=True)]
    )

    async def shown_texts(self) -> Sequence[ShownText]:
        if self.shown is None:
            raise ScreenshotUnavailable("not told")
        return self.shown

    async def screenshot(self) -> MaskedFrame:
        return MaskedFrame()

    async def glimpse(self, max_age_s: float) -> MaskedFrame:
        return MaskedFrame()


def discreet(device: TellingDevice, *, anywhere: bool = False) -> DiscreetDevice:
    return DiscreetDevice(device, {"bank": Secret(SECRET, anywhere)})


async def test_the_placeholder_is_replaced_on_the_way_to_the_phone() -> None:
    device = TellingDevice()
    await discreet(device).type_text("{{secret:bank}}")
    await discreet(device).type_text("{{ secret:bank }} {{secret:other}} {{secret:bank}}")
    assert device.calls == [
        ("type_text", SECRET),
        ("type_text", f"{SECRET} {{{{secret:other}}}} {SECRET}"),
    ]


@pytest.mark.parametrize(
    "shown",
    [
        None,
        [],
        [Shown("Message", focused=True)],
        [Shown("••", password=True), Shown("Message", focused=True)],
    ],
)
async def test_a_secret_goes_into_no_other_field(shown: list[Shown] | None) -> None:
    device = TellingDevice(shown=shown)
    with pytest.raises(TextRefused) as refused:
        await discreet(device).type_text("{{secret:bank}}")
    assert device.calls == []
    assert SECRET not in f"{refused.value.message}{refused.value.hint}"
    await discreet(device, anywhere=True).type_text("{{secret:bank}}")
    assert device.calls == [("type_text", SECRET)]


async def test_where_it_stands_is_painted_over() -> None:
    device = TellingDevice()
    phone = discreet(device)
    assert (await phone.screenshot()).boxes is None  # type: ignore[attr-defined]
    await phone.type_text("{{secret:bank}}")
    device.shown = [
        Shown("Sign in", (0, 0, 1, 1)),
        Shown(f"Password: {SECRET}", (1, 1, 2, 2)),
        Shown(SECRET[:9] + "…", (2, 2, 3, 3)),
        Shown("hun", (3, 3, 4, 4)),
        Shown("", (4, 4, 5, 5), password=True),
    ]
    frame = await phone.screenshot()
    assert frame.boxes == ((1, 1, 2, 2), (2, 2, 3, 3), (4, 4, 5, 5))  # type: ignore[attr-defined]


async def test_those_who_watch_see_no_more_than_the_task() -> None:
    device = TellingDevice()
    phone = discreet(device)
    assert (await phone.glimpse(1)).boxes is None  # type: ignore[attr-defined]
    await phone.type_text("{{secret:bank}}")
    device.shown = [Shown(SECRET, (1, 1, 2, 2))]
    frame = await phone.screenshot()
    assert await phone.glimpse(1) is frame  # the task's own, which is masked already
    device.shown = [Shown(SECRET, (2, 2, 3, 3))]
    watched = discreet(device, anywhere=True)
    await watched.type_text("{{secret:bank}}")
    assert (await watched.glimpse(0)).boxes == ((2, 2, 3, 3),)  # type: ignore[attr-defined]
    device.shown = None
    unguarded = discreet(device, anywhere=True)
    await unguarded.type_text("{{secret:bank}}")
    with pytest.raises(SecretUnguarded):
        await unguarded.glimpse(0)


async def test_what_cannot_be_looked_through_is_not_shown() -> None:
    device = TellingDevice()
    phone = discreet(device)
    await phone.type_text("{{secret:bank}}")
    device.shown = None
    with pytest.raises(SecretUnguarded):
        await phone.screenshot()


async def test_a_text_that_moves_while_the_picture_is_taken_is_not_shown() -> None:
    class Moving(TellingDevice):
        async def shown_texts(self) -> Sequence[ShownText]:
            self.calls.append(("looked",))
            return [Shown(SECRET, (0, len(self.calls), 9, 9), True, True)]

    phone = discreet(Moving())
    await phone.type_text("{{secret:bank}}")
    with pytest.raises(SecretUnguarded):
        await phone.screenshot()


async def test_a_picture_that_was_begun_before_the_secret_was_typed_is_looked_through_too() -> None:
    class Slow(TellingDevice):
        async def screenshot(self) -> MaskedFrame:
            if not self.calls:
                await phone.type_text("{{secret:bank}}")
                self.shown = [Shown(SECRET, (1, 1, 2, 2))]
            return MaskedFrame()

    phone = discreet(Slow())
    assert (await phone.screenshot()).boxes == ((1, 1, 2, 2),)  # type: ignore[attr-defined]


async def test_what_an_earlier_run_may_have_typed_is_painted_over_from_the_first_look() -> None:
    device = TellingDevice(shown=[Shown(SECRET, (1, 1, 2, 2))])
    phone = DiscreetDevice(device, {"bank": Secret(SECRET, True)}, typed=True)
    assert (await phone.screenshot()).boxes == ((1, 1, 2, 2),)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (UnicodeEncodeError("utf-8", SECRET, 0, 1, "surrogates"), TextRefused),
        (TextRefused(f"the field took 3 of {SECRET!r}"), TextRefused),
        (CommandFailed(f"input text {SECRET}", 1, SECRET), TextRefused),
        (DeviceDisconnected(f"in the middle of {SECRET}"), DeviceDisconnected),
    ],
)
async def test_an_error_tells_nothing_of_the_text(fault: Exception, kind: type[Exception]) -> None:
    device = TellingDevice(faults={"type_text": fault})  # type: ignore[dict-item]
    with pytest.raises(kind) as told:
        await discreet(device).type_text("{{secret:bank}}")
    assert type(told.value) is kind
    assert SECRET not in f"{told.value!r} {told.value.__dict__}"
    assert told.value.__cause__ is None
    assert told.value.__suppress_context__


def test_a_goal_may_name_only_what_there_is() -> None:
    secrets = Secrets({"PHONEPILOT_SECRET_WI_FI": "from the environment"})
    goal = "Join {{secret:wi-fi}} and sign in with {{secret:bank}}"
    assert names_in(goal) == ["wi-fi", "bank"]
    for sent in ({}, {"bank": ""}):
        with pytest.raises(SecretUnknown, match="bank"):
            secrets.check(goal, sent)
    given = {"bank": SECRET}
    secrets.check(goal, given)
    assert secrets.of(goal, given) == {
        "wi-fi": Secret("from the environment"),
        "bank": Secret(SECRET),
    }
    assert Secrets({}).missing(goal, {}) == ["wi-fi", "bank"]  # after a restart
    assert secrets.missing(goal, {}) == ["bank"]


def test_a_caller_cannot_free_a_secret_of_the_environment() -> None:
    environ = {"PHONEPILOT_SECRET_WI_FI": "from the environment"}
    goal, given = "{{secret:wi-fi}} {{secret:bank}}", {"bank": SECRET}
    kept = Secrets(environ).of(goal, given, anywhere=True)
    assert (kept["wi-fi"].anywhere, kept["bank"].anywhere) == (False, True)
    freed = Secrets(environ, environment_anywhere=True).of(goal, given)
    assert (freed["wi-fi"].anywhere, freed["bank"].anywhere) == (True, False)


async def test_what_the_rules_and_others_read_of_the_screen_holds_no_secret() -> None:
    device = TellingDevice()
    phone = discreet(device)
    await phone.type_text("{{secret:bank}}")
    device.shown = [
        Shown("Sign in"),
        Shown(f"Pay with {SECRET.upper()}"),
        Shown("", password=True),
    ]
    masked = f"Pay with {MASK * len(SECRET)}"
    assert [each.text for each in await phone.shown_texts()] == ["Sign in", masked]


async def test_a_secret_that_is_part_of_another_leaves_nothing_readable() -> None:
    device = TellingDevice()
    phone = DiscreetDevice(
        device, {"pin": Secret("4821", True), "code": Secret("4821xy", True)}, typed=True
    )
    device.shown = [Shown("Code 4821xy sent")]
    assert [each.text for each in await phone.shown_texts()] == [f"Code {MASK * 6} sent"]


@given(st.text(), st.text(min_size=1))
async def test_only_the_placeholder_is_replaced(text: str, secret: str) -> None:
    device = TellingDevice()
    phone = DiscreetDevice(device, {"x": Secret(secret, True)})
    await phone.type_text(f"{text}{{{{secret:x}}}}")
    assert device.calls[-1] == ("type_text", text + secret)
