"""Text arrives character for character, or is refused with a reason."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.adb import keyboard
from app.adb.connection import Deadline, ExactClient
from app.adb.device import Device
from app.adb.fleet import Fleet
from app.adb.keyboard import Keyboard, Look
from app.adb.saved_keyboard import SavedKeyboard
from app.adb.server import AdbServer
from app.adb.shell import Completed, Shell
from app.errors import TextRefused
from tests.phones import PhoneProcess

NEW_NOTE = (928, 2176)
LATIN = "org.phonepilot.keyboard/.LatinIME"
HOSTILE = st.text(
    st.one_of(
        st.sampled_from("%s'\"\\$`;&|<>(){} \n\t~é微\U0001f600"),
        st.characters(exclude_categories=["Cs"]),
    ),
    min_size=1,
    max_size=80,
)
ASCII = st.text(
    st.one_of(st.sampled_from("%s \n'\"\\$`;"), st.characters(codec="ascii")), max_size=80
)


async def open_note(device: Device) -> None:
    """A new note with the cursor in its title."""
    await device.launch("Notes")
    await device.tap(*NEW_NOTE)


def title(phone: PhoneProcess) -> str:
    return str(phone.state()["ui"]["drafts"]["notes.title"])


def type_blindly(shell: Shell, text: str, deadline: Deadline | None = None) -> None:
    """Type with `clear` where the screen shows nothing to compare."""
    Keyboard(SavedKeyboard(None, shell.serial)).type_text(
        shell, text, clear=True, deadline=deadline or Deadline(20), look=lambda: None
    )


async def test_any_text_through_adb_keyboard(device: Device, virtual_phone: PhoneProcess) -> None:
    await open_note(device)
    text = "Grüße, 微信 😀\n100%s `id` $(reboot) 'x' \"y\" \\"
    await device.type_text(text)
    assert title(virtual_phone) == text
    assert virtual_phone.state()["ime"]["current"] == LATIN


async def test_clear_or_append(device: Device, virtual_phone: PhoneProcess) -> None:
    await open_note(device)
    await device.type_text("one")
    await device.type_text(" two", clear=False)
    assert title(virtual_phone) == "one two"
    await device.type_text("three")
    assert title(virtual_phone) == "three"
    await device.type_text("")
    assert title(virtual_phone) == ""


async def test_a_long_text_is_sent_in_pieces(
    device: Device, virtual_phone: PhoneProcess, adb_server: AdbServer
) -> None:
    await open_note(device)
    text = "微信" * 2000
    shell = Shell(adb_server.client(), virtual_phone.serial)
    await asyncio.to_thread(type_blindly, shell, text)  # the phone takes minutes to draw it
    assert title(virtual_phone) == text
    assert max(map(len, virtual_phone.commands())) < 4096 + 100


async def test_no_field_has_the_keyboard(device: Device, virtual_phone: PhoneProcess) -> None:
    await device.launch("Notes")
    with pytest.raises(TextRefused, match="no text field"):
        await device.type_text("hello")
    assert virtual_phone.state()["ime"]["current"] == LATIN


async def test_lone_surrogates_are_refused(device: Device) -> None:
    await open_note(device)
    with pytest.raises(TextRefused, match="Unicode"):
        await device.type_text("\ud800")


async def test_the_keyboard_comes_back_when_typing_is_abandoned(
    device: Device, virtual_phone: PhoneProcess, adb_server: AdbServer
) -> None:
    await open_note(device)
    deadline = Deadline(10)

    class Abandoning(Shell):
        """Its caller gives up while the text is being sent."""

        def run(self, *commands: object, deadline: Deadline) -> Completed:
            if "ADB_INPUT_B64" in str(commands):
                deadline.abandon()
            return super().run(*commands, deadline=deadline)  # type: ignore[arg-type]

    shell = Abandoning(adb_server.client(), virtual_phone.serial)
    with pytest.raises(Exception, match="no answer"):
        await asyncio.to_thread(type_blindly, shell, "hello", deadline)
    assert virtual_phone.state()["ime"]["current"] == LATIN


class WithoutAdbKeyboard(Shell):
    """The same phone, taken for one where ADBKeyboard is not installed."""

    def __init__(self, client: ExactClient, serial: str) -> None:
        super().__init__(client, serial)

    def run(self, *commands: object, deadline: Deadline) -> Completed:
        result = super().run(*commands, deadline=deadline)  # type: ignore[arg-type]
        return Completed(f"{LATIN}\n".encode(), b"", 0) if "list" in str(commands) else result


async def test_ascii_without_adb_keyboard(
    device: Device, virtual_phone: PhoneProcess, adb_server: AdbServer
) -> None:
    await open_note(device)
    shell = WithoutAdbKeyboard(adb_server.client(), virtual_phone.serial)

    def type_text(text: str) -> None:
        type_blindly(shell, text)

    text = "100%s sure; `id` $5 'q' \"d\" \\ -n\nsecond %%s line"
    await asyncio.to_thread(type_text, text)
    assert title(virtual_phone) == text
    with pytest.raises(TextRefused, match="without ADBKeyboard"):
        await asyncio.to_thread(type_text, "微信")
    assert title(virtual_phone) == text


@pytest.mark.parametrize("quirk", ["adbkeyboard=inactive", "adbkeyboard=api33"])
async def test_swallowed_text_goes_by_the_other_route(
    device: Device, virtual_phone: PhoneProcess, quirk: str
) -> None:
    await open_note(device)
    with virtual_phone.quirks(quirk):
        await device.type_text("Buy milk, 100%s")
        assert title(virtual_phone) == "Buy milk, 100%s"
        await device.type_text("")
        assert title(virtual_phone) == ""
        with pytest.raises(TextRefused, match="ADBKeyboard"):
            await device.type_text("微信")
    assert title(virtual_phone) == ""
    assert virtual_phone.state()["ime"]["current"] == LATIN


async def test_a_doubtful_text_is_never_typed_twice(
    device: Device, virtual_phone: PhoneProcess
) -> None:
    await open_note(device)
    await device.type_text("one")
    quirk = virtual_phone.quirks("adbkeyboard=inactive")
    with quirk, pytest.raises(TextRefused, match="swallowed"):
        await device.type_text("two", clear=False)
    assert title(virtual_phone) == "one"


async def test_the_same_text_again_is_not_taken_for_swallowed(
    device: Device, virtual_phone: PhoneProcess
) -> None:
    await open_note(device)
    for text in ("微信微信", "微信微信", "  ", "  "):
        await device.type_text(text)
        assert title(virtual_phone) == text
    assert "input" not in {command.split()[0] for command in virtual_phone.commands()[-20:]}


async def test_without_adb_keyboard_on_the_phone(
    device: Device, virtual_phone: PhoneProcess
) -> None:
    await open_note(device)
    with virtual_phone.quirks("adbkeyboard=missing"):
        await device.type_text("plain")
        assert title(virtual_phone) == "plain"
        with pytest.raises(TextRefused, match="without ADBKeyboard"):
            await device.type_text("é")


class Told(Shell):
    """The same phone, whose `dumpsys input_method` also tells where the cursor is."""

    cursors: list[int]

    def run(self, *commands: Sequence[str], deadline: Deadline) -> Completed:
        result = super().run(*commands, deadline=deadline)
        if commands[0] == ["dumpsys", "input_method"]:
            at = self.cursors.pop(0) if len(self.cursors) > 1 else self.cursors[0]
            line = f"  mCursorSelStart={at} mCursorSelEnd={at} mCursorCandStart=-1\n"
            return Completed(result.stdout + line.encode(), b"", 0)
        return result


@pytest.mark.parametrize(
    ("cursors", "clear", "typed"),
    [
        ([0, 0, 3], False, "one"),  # before, with ADBKeyboard, after: arrived
        ([0], False, "one"),  # never moved: typed as keys, which is safe
        ([3, 3, 3, 3, 0], True, "one"),
    ],
)
async def test_the_cursor_tells_what_arrived(
    device: Device,
    virtual_phone: PhoneProcess,
    adb_server: AdbServer,
    cursors: list[int],
    clear: bool,
    typed: str,
) -> None:
    await open_note(device)
    shell = Told(adb_server.client(), virtual_phone.serial)
    shell.cursors = list(cursors)
    with virtual_phone.quirks(*["adbkeyboard=inactive"] * (len(cursors) == 1)):
        await asyncio.to_thread(
            lambda: Keyboard(SavedKeyboard(None, "x")).type_text(
                shell, "one", clear=clear, deadline=Deadline(20), look=never
            )
        )
    assert title(virtual_phone) == typed


def never() -> Look | None:
    raise AssertionError("no picture is needed where the cursor tells")


def test_a_blinking_cursor_is_no_text() -> None:
    field = Look(bytes(40), 10)
    blink = Look(bytes([*[0] * 13, 8, *[0] * 9, 8, *[0] * 16]), 10)
    text = Look(bytes([*[0] * 12, 8, 8, 8, *[0] * 25]), 10)
    assert blink.differs(field)
    assert not blink.differs(field, wider_than=2)
    assert text.differs(field, wider_than=2)
    assert not field.differs(field)
    assert field.differs(Look(bytes(20), 10), wider_than=2)


async def test_the_keyboard_comes_back_after_a_crash(
    device: Device,
    fleet: Fleet,
    virtual_phone: PhoneProcess,
    adb_server: AdbServer,
    tmp_path: Path,
) -> None:
    await open_note(device)

    class Dying(Shell):
        """Its process ends while ADBKeyboard is the keyboard: nothing more is run."""

        def run(self, *commands: Sequence[str], deadline: Deadline) -> Completed:
            if "ADB_INPUT_B64" in str(commands) or "ime set org" in " ".join(commands[0]):
                raise SystemExit
            return super().run(*commands, deadline=deadline)

    shell = Dying(adb_server.client(), virtual_phone.serial)
    dying = Keyboard(SavedKeyboard(tmp_path / "state", virtual_phone.serial))
    with pytest.raises(SystemExit):
        dying.type_text(shell, "x", clear=False, deadline=Deadline(9), look=lambda: None)
    assert virtual_phone.state()["ime"]["current"] != LATIN

    started_again = Fleet(fleet._client, state_dir=tmp_path / "state")
    again = await started_again.get(virtual_phone.serial)
    assert virtual_phone.state()["ime"]["current"] == LATIN
    assert list((tmp_path / "state").iterdir()) == []
    await again.type_text("微信")
    assert title(virtual_phone) == "微信"
    assert list((tmp_path / "state").iterdir()) == []


def test_the_file_of_a_serial_stays_in_its_folder(tmp_path: Path) -> None:
    for serial in ("../../x", "127.0.0.1:5555", "..", "a/b"):
        saved = SavedKeyboard(tmp_path / "state", serial)
        saved.keep("org.example/.Ime")
        assert SavedKeyboard(tmp_path / "state", serial).value == "org.example/.Ime"
        saved.forget()
        saved.keep("")
        assert SavedKeyboard(tmp_path / "state", serial).value == ""
    assert {path.parent for path in tmp_path.rglob("*.*")} == {tmp_path / "state"}


def as_typed(commands: list[list[str]]) -> str:
    """What Android's `input` makes of the commands."""
    keys = {"66": "\n", "61": "\t"}
    return "".join(
        keys[command[2]] if command[1] == "keyevent" else command[2].replace("%s", " ")
        for command in commands
    )


@given(ASCII)
def test_ascii_commands_say_the_text_or_refuse(text: str) -> None:
    printable = all(" " <= char <= "~" or char in "\n\t" for char in text)
    try:
        commands = keyboard.ascii_commands(text)
    except TextRefused:
        assert not printable
    else:
        assert printable
        assert as_typed(commands) == text


async def test_hostile_text_arrives_character_for_character(
    device: Device, virtual_phone: PhoneProcess, adb_server: AdbServer
) -> None:
    await open_note(device)
    shell = Shell(adb_server.client(), virtual_phone.serial)

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(HOSTILE)
    def check(text: str) -> None:
        if "\0" in text:
            with pytest.raises(TextRefused):
                type_blindly(shell, text)
            return
        type_blindly(shell, text)
        assert title(virtual_phone) == text.replace("\r\n", "\n").replace("\r", "\n")

    await asyncio.to_thread(check)
