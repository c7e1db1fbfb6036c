"""Text arrives character for character, or is refused with a reason."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.adb import keyboard
from app.adb.connection import Deadline, ExactClient
from app.adb.device import Device
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


async def test_a_long_text_is_sent_in_pieces(device: Device, virtual_phone: PhoneProcess) -> None:
    await open_note(device)
    text = "微信" * 2000
    await device.type_text(text)
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
        await asyncio.to_thread(keyboard.type_text, shell, "hello", clear=True, deadline=deadline)
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
        keyboard.type_text(shell, text, clear=True, deadline=Deadline(20))

    text = "100%s sure; `id` $5 'q' \"d\" \\ -n\nsecond %%s line"
    await asyncio.to_thread(type_text, text)
    assert title(virtual_phone) == text
    with pytest.raises(TextRefused, match="without ADBKeyboard"):
        await asyncio.to_thread(type_text, "微信")
    assert title(virtual_phone) == text


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
        keyboard.type_text(shell, text, clear=True, deadline=Deadline(20))
        assert title(virtual_phone) == text.replace("\r\n", "\n").replace("\r", "\n")

    await asyncio.to_thread(check)
