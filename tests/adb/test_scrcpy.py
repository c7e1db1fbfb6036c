"""Touches, keys and texts through scrcpy's server, on a virtual phone behind a real adb server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.adb import gestures
from app.adb.apps import AppTable
from app.adb.connection import Deadline
from app.adb.device import Device
from app.adb.fleet import Fleet
from app.adb.hands import Hands
from app.adb.scrcpy.hand import Hand, NotListening
from app.adb.scrcpy.session import Session, Unavailable
from app.adb.scrcpy.sessions import PAUSES_S, Sessions
from app.adb.server import AdbServer
from app.adb.shell import Shell
from app.adb.typing.keyboard import Keyboard
from app.adb.typing.saved_keyboard import SavedKeyboard
from app.errors import DeviceBusy, DeviceDisconnected, DeviceTimeout, InputRefused, TextRefused
from tests.phones import PhoneProcess, phone_process
from tests.scrcpy_jar import scrcpy_jar

START_S = 20.0
NOTES, NEW_NOTE = "org.phonepilot.notes", (928, 2176)
TOUCHES = ("tap", "hold", "swipe", "touch")
"""The events of fingers; `touch` tells what no finger can do, such as going down twice."""


def jar() -> bytes:
    return scrcpy_jar().read_bytes()


@pytest.fixture
async def device(
    adb_server: AdbServer, app_table: AppTable, virtual_phone: PhoneProcess
) -> AsyncIterator[Device]:
    """The module's phone, as new, with scrcpy running."""
    virtual_phone.reset(7)
    fleet = Fleet(adb_server.client(), app_table, jar=jar)
    device = await fleet.connect(virtual_phone.serial)
    assert await device.await_scrcpy(START_S) == ""
    yield device
    await fleet.disconnect(virtual_phone.serial)


@contextmanager
def connected(adb_server: AdbServer, phone: PhoneProcess) -> Iterator[Shell]:
    """The shell of a phone that the adb server knows while the block runs."""
    client = adb_server.client()
    client.query(f"host:connect:{phone.serial}", Deadline(5))
    yield Shell(client, phone.serial)
    client.query(f"host:disconnect:{phone.serial}", Deadline(5))


@pytest.fixture
def shell(adb_server: AdbServer, virtual_phone: PhoneProcess) -> Iterator[Shell]:
    with connected(adb_server, virtual_phone) as shell:
        yield shell


def happened(phone: PhoneProcess, *kinds: str, after: int = 0) -> list[dict[str, Any]]:
    return [event for event in phone.events(after) if event["kind"] in kinds]


def last(phone: PhoneProcess) -> int:
    events = phone.events()
    return int(events[-1]["seq"]) if events else 0


def title(phone: PhoneProcess) -> str:
    return str(phone.state()["ui"]["drafts"]["notes.title"])


async def open_note(device: Device) -> None:
    await device.launch("Notes")
    await device.tap(*NEW_NOTE)


async def test_a_tap_is_one_touch_and_no_command(
    device: Device, virtual_phone: PhoneProcess
) -> None:
    before = last(virtual_phone)
    assert await device.tap(540, 800) == "scrcpy"
    taps = happened(virtual_phone, "tap", "swipe", "touch", "shell", after=before)
    assert [(each["kind"], each["x"], each["y"]) for each in taps] == [("tap", 540, 800)]


async def test_a_double_tap_is_two_taps(device: Device, virtual_phone: PhoneProcess) -> None:
    before = last(virtual_phone)
    assert await device.double_tap(540, 800) == "scrcpy"
    assert len(happened(virtual_phone, "tap", after=before)) == 2


async def test_keys_go_through_too(device: Device, virtual_phone: PhoneProcess) -> None:
    await device.launch("Settings")
    before = last(virtual_phone)
    assert await device.home() == "scrcpy"
    assert virtual_phone.state()["ui"]["foreground"] == "org.phonepilot.launcher"
    assert not happened(virtual_phone, "shell", after=before)


async def test_a_list_follows_the_finger_and_stops_where_it_is_lifted(
    device: Device, virtual_phone: PhoneProcess
) -> None:
    await device.launch("Settings")
    await device.screenshot()
    assert await device.swipe(540, 1600, 540, 1100, 400) == "scrcpy"
    (route,) = virtual_phone.state()["ui"]["stacks"]["com.android.settings"]
    assert route["scroll"] == 500
    swipe = happened(virtual_phone, "swipe")[-1]
    assert swipe["duration_ms"] >= 390


async def test_a_finger_that_stays_is_a_long_press_while_it_is_down(
    device: Device, virtual_phone: PhoneProcess
) -> None:
    before = last(virtual_phone)
    assert await device.long_press(540, 420, 800) == "scrcpy"
    events = happened(virtual_phone, "hold", "swipe", "tap", "touch", after=before)
    assert [event["kind"] for event in events] == ["hold", "swipe"]
    assert events[1]["duration_ms"] >= 790


async def test_a_cancelled_gesture_leaves_no_finger_on_the_screen(
    device: Device, virtual_phone: PhoneProcess
) -> None:
    before = last(virtual_phone)
    gesture = asyncio.create_task(device.long_press(540, 420, 10_000))
    async with asyncio.timeout(20):
        while not await asyncio.to_thread(happened, virtual_phone, "hold", after=before):
            pass  # the finger is not down yet
    gesture.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gesture
    await device.drained()
    assert await device.tap(540, 1200) == "scrcpy"
    kinds = [event["kind"] for event in happened(virtual_phone, *TOUCHES, after=before)]
    assert kinds == ["hold", "tap"]  # no finger went down twice, and the long press never ended


async def test_plain_text_is_typed_as_keys(device: Device, virtual_phone: PhoneProcess) -> None:
    await open_note(device)
    text = "it costs $5; `id` 100%s \"x\" 'y' \\ " + "long " * 100
    assert await device.type_text(text) == "scrcpy keys"
    assert title(virtual_phone) == text


async def test_any_other_text_is_pasted_and_the_clipboard_put_back(
    device: Device, virtual_phone: PhoneProcess
) -> None:
    await open_note(device)
    assert await device.type_text("what the person copied") == "scrcpy keys"
    with OtherHand(device, virtual_phone) as hand:
        hand.set_clipboard("the person's", Deadline(5))
    text = "Grüße, 微信 😀\n100%s"
    assert await device.type_text(text) == "scrcpy clipboard"
    assert title(virtual_phone) == text
    assert virtual_phone.state()["clipboard"] == "the person's"
    assert await device.type_text("!", clear=False) == "scrcpy keys"
    assert title(virtual_phone) == text + "!"


async def test_text_needs_no_app_on_the_phone(device: Device, virtual_phone: PhoneProcess) -> None:
    with virtual_phone.quirks("adbkeyboard=missing"):
        await open_note(device)
        assert await device.type_text("你好") == "scrcpy clipboard"
        assert title(virtual_phone) == "你好"


async def test_the_setup_of_a_phone_then_wants_no_app(
    device: Device, virtual_phone: PhoneProcess
) -> None:
    with virtual_phone.quirks("adbkeyboard=missing"):
        found = {finding.name: finding for finding in await device.set_up()}
    assert (found["scrcpy"].status, found["keyboard"].status) == ("ok", "ok")
    assert "not needed" in found["keyboard"].message


async def test_the_same_text_again_is_the_text_once(
    device: Device, virtual_phone: PhoneProcess
) -> None:
    await open_note(device)
    for text in ("same", "same", "微信", "微信", ""):
        await device.type_text(text)
        assert title(virtual_phone) == text


async def test_a_private_text_never_gets_into_the_clipboard(
    device: Device, virtual_phone: PhoneProcess
) -> None:
    await open_note(device)
    before = last(virtual_phone)
    assert await device.type_text("pässword", private=True) == "ADBKeyboard"
    assert title(virtual_phone) == "pässword"
    assert await device.type_text("password", private=True) == "scrcpy keys"
    assert not happened(virtual_phone, "clipboard", after=before)


async def test_a_field_that_refuses_to_be_pasted_into_is_typed_into_otherwise(
    device: Device, virtual_phone: PhoneProcess
) -> None:
    with virtual_phone.quirks("no-paste"):
        await open_note(device)
        assert await device.type_text("微信") == "ADBKeyboard"
        assert title(virtual_phone) == "微信"


async def test_what_the_person_copied_is_never_pasted_instead(
    device: Device, virtual_phone: PhoneProcess
) -> None:
    await open_note(device)
    with OtherHand(device, virtual_phone) as hand:
        hand.set_clipboard("a secret of the person", Deadline(5))
    with virtual_phone.quirks("scrcpy=clipboard", "adbkeyboard=missing"):
        with pytest.raises(TextRefused):
            await device.type_text("微信")
        assert title(virtual_phone) == ""


async def test_a_text_that_the_field_cuts_is_told(
    device: Device, virtual_phone: PhoneProcess
) -> None:
    with virtual_phone.quirks("max-length=10"):
        await open_note(device)
        for text in ("a longer text", "更长的文字更长的文字更长"):
            with pytest.raises(TextRefused, match="only 10 of"):
                await device.type_text(text)


async def test_without_a_cursor_pictures_show_whether_it_arrived(
    device: Device, virtual_phone: PhoneProcess
) -> None:
    with virtual_phone.quirks("no-cursor"):
        await open_note(device)
        assert await device.type_text("微信 and more", clear=False) == "scrcpy clipboard"
        assert title(virtual_phone) == "微信 and more"


async def test_a_phone_that_refuses_input_is_told_at_once(
    device: Device, virtual_phone: PhoneProcess
) -> None:
    before = last(virtual_phone)
    with virtual_phone.quirks("no-inject"):
        for _ in range(2):  # the second time by `input`: scrcpy tells only once in three seconds
            with pytest.raises(InputRefused):
                await device.tap(540, 800)
        assert "refuses" in device.without_scrcpy
    assert not happened(virtual_phone, *TOUCHES, after=before)


async def test_a_server_that_does_not_answer_is_replaced_without_a_second_touch(
    device: Device, virtual_phone: PhoneProcess
) -> None:
    before = last(virtual_phone)
    with virtual_phone.quirks("scrcpy=deaf"):
        assert await device.tap(540, 800) == "input"
        assert "does not answer" in device.without_scrcpy
    assert len(happened(virtual_phone, "tap", after=before)) == 1


async def test_the_end_of_a_lease_is_the_end_of_its_touches(
    adb_server: AdbServer, app_table: AppTable, virtual_phone: PhoneProcess
) -> None:
    virtual_phone.reset(7)
    fleet = Fleet(adb_server.client(), app_table, jar=jar)
    await fleet.connect(virtual_phone.serial)
    async with fleet.hold(virtual_phone.serial) as lease:
        held = await lease.device()
        assert await held.await_scrcpy(START_S) == ""
        assert await held.tap(540, 800) == "scrcpy"
    before = last(virtual_phone)
    for act in (held.tap(540, 800), held.home(), held.swipe(1, 2, 3, 4)):
        with pytest.raises(DeviceBusy):
            await act
    assert not happened(virtual_phone, "tap", "key", "swipe", after=before)
    await fleet.disconnect(virtual_phone.serial)


@pytest.mark.parametrize(
    ("quirk", "reason"), [("scrcpy=fails", "Exception on thread"), ("scrcpy=dies", "ended")]
)
async def test_without_scrcpy_input_does_it_and_the_reason_is_told(
    adb_server: AdbServer, virtual_phone: PhoneProcess, quirk: str, reason: str
) -> None:
    virtual_phone.reset(7)
    fleet = Fleet(adb_server.client(), jar=jar)
    device = await fleet.connect(virtual_phone.serial)
    with virtual_phone.quirks(quirk):
        told, by = await device.await_scrcpy(START_S), ""
        before, done, unsure = last(virtual_phone), 0, 0
        while by != "input":
            try:
                by = await device.tap(540, 800)
                done += 1
            except DeviceDisconnected as exc:
                assert "may be done or not" in exc.message
                unsure += 1
        assert reason in (told or device.without_scrcpy)
    taps = len(happened(virtual_phone, "tap", after=before))
    assert done <= taps <= done + unsure
    assert unsure <= 1
    await fleet.disconnect(virtual_phone.serial)


async def test_without_the_jar_nothing_is_tried(
    adb_server: AdbServer, virtual_phone: PhoneProcess
) -> None:
    fleet = Fleet(adb_server.client(), jar=lambda: None)
    device = await fleet.connect(virtual_phone.serial)
    before = last(virtual_phone)
    assert "not on this computer" in await device.await_scrcpy(START_S)
    assert await device.tap(540, 800) == "input"
    assert not [c for c in virtual_phone.commands(before) if "app_process" in c]
    await fleet.disconnect(virtual_phone.serial)


@pytest.mark.parametrize("text", ["one\ntwo", "微信"])
@pytest.mark.parametrize("used", range(10))
def test_a_server_that_dies_in_the_middle_of_a_text_never_doubles_it(
    shell: Shell, virtual_phone: PhoneProcess, used: int, text: str
) -> None:
    virtual_phone.reset(7)
    shell.run(["am", "start", "-n", f"{NOTES}/.MainActivity"], deadline=Deadline(5)).check("start")
    shell.run(["input", "tap", *map(str, NEW_NOTE)], deadline=Deadline(5)).check("tap")
    sessions = Sessions(shell, jar)
    with virtual_phone.quirks("scrcpy=dies"):  # after ten messages, of which starting takes one
        session = sessions.get(Deadline(20), 15)
        assert session is not None
        for _ in range(used):
            session.confirm(Deadline(5))
        try:
            Keyboard(SavedKeyboard(None, shell.serial)).type_text(
                shell,
                text,
                clear=False,
                deadline=Deadline(20),
                look=lambda: None,
                hands=Hands(sessions),
            )
            allowed = [text]
        except DeviceDisconnected:  # it is unknown how much was typed
            allowed = [text[:length] for length in range(len(text) + 1)]
    assert virtual_phone.state()["ui"]["drafts"].get("notes.title", "") in allowed
    sessions.close()


def test_a_failure_is_remembered_for_a_while_and_not_for_good(
    shell: Shell, virtual_phone: PhoneProcess
) -> None:
    now = [0.0]
    sessions = Sessions(shell, jar, lambda: now[0] + time.monotonic() * 1e-3)
    with virtual_phone.quirks("scrcpy=fails"):
        assert sessions.get(Deadline(20), 15) is None
        assert sessions.get(Deadline(20), 15) is None  # not even tried
    assert "Exception" in sessions.reason
    now[0] += PAUSES_S[0] + 1
    assert sessions.get(Deadline(20), 15) is not None
    assert sessions.reason == ""
    sessions.close()
    assert sessions.get(Deadline(20), 15) is None


def test_another_jar_is_told(shell: Shell) -> None:
    with pytest.raises(Unavailable, match="did not start"):
        Session(shell, b"another jar")


def test_a_session_that_is_closed_does_nothing_more(
    shell: Shell, virtual_phone: PhoneProcess
) -> None:
    session = Session(shell, jar())
    hand = Hand(session, None)
    hand.play(gestures.tap(540, 800), Deadline(5))
    session.close()
    before = last(virtual_phone)
    with pytest.raises(NotListening):
        hand.play(gestures.tap(540, 800), Deadline(5))
    assert not happened(virtual_phone, "tap", after=before)


def test_a_gesture_ends_with_its_deadline(shell: Shell, virtual_phone: PhoneProcess) -> None:
    session = Session(shell, jar())
    with pytest.raises(DeviceTimeout):
        Hand(session, None).play(gestures.long_press(540, 800, 9000), Deadline(0.3))
    session.close()


class OtherHand:
    """A hand of its own for the phone of a device, as another program would have."""

    def __init__(self, device: Device, phone: PhoneProcess) -> None:
        self._device = device
        self._session: Session | None = None

    def __enter__(self) -> Hand:
        self._session = Session(self._device._shell, jar())
        return Hand(self._session, None)

    def __exit__(self, *_: object) -> None:
        assert self._session is not None
        self._session.close()


@pytest.fixture(scope="module")
def hostile_hand(adb_server: AdbServer) -> Any:
    with phone_process() as phone, connected(adb_server, phone) as shell:
        session = Session(shell, jar())
        yield phone, Hand(session, None)
        session.close()


@settings(max_examples=200)
@given(text=st.text(max_size=200))
def test_a_clipboard_is_the_text_byte_for_byte(hostile_hand: Any, text: str) -> None:
    phone, hand = hostile_hand
    hand.set_clipboard(text, Deadline(10))
    assert hand.clipboard(Deadline(10)) == text
    assert phone.state()["clipboard"] == text
