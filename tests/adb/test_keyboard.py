"""Text arrives character for character, or is refused with a reason."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.adb import device as device_module
from app.adb.connection import Deadline
from app.adb.device import Device
from app.adb.fleet import Fleet
from app.adb.server import AdbServer
from app.adb.shell import MAX_TEXT, Completed, Shell
from app.adb.typing import keys
from app.adb.typing.arrival import Expected
from app.adb.typing.keyboard import Keyboard
from app.adb.typing.look import Look
from app.adb.typing.saved_keyboard import SavedKeyboard
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


class Hurried(Deadline):
    """Nothing is slept through: the clock that waits are measured by runs ahead instead. The
    virtual phone has done what it was told by the time it answers."""

    ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead

    def pause(self, seconds: float) -> None:
        self.left()
        self.ahead += seconds


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_module, "Deadline", Hurried)


async def open_note(device: Device) -> None:
    """A new note with the cursor in its title."""
    await device.launch("Notes")
    await device.tap(*NEW_NOTE)


def title(phone: PhoneProcess) -> str:
    return str(phone.state()["ui"]["drafts"]["notes.title"])


def type_blindly(shell: Shell, text: str, deadline: Deadline | None = None) -> None:
    """Type with `clear`, on a shell of its own and without pictures."""
    Keyboard(SavedKeyboard(None, shell.serial)).type_text(
        shell, text, clear=True, deadline=deadline or Hurried(20), look=lambda: None
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
    for _ in range(2):
        await device.type_text("")
        assert title(virtual_phone) == ""


@pytest.mark.parametrize("text", ["微信" * 2000, "\U0001f600" * 800, "a b " * 1000])
async def test_a_long_text_is_sent_in_pieces(
    device: Device, virtual_phone: PhoneProcess, text: str
) -> None:
    await open_note(device)
    await device.type_text(text)
    assert title(virtual_phone) == text
    assert max(map(len, virtual_phone.commands())) < 4096 - len("shell,v2,raw:")


async def test_typing_costs_four_commands_and_no_picture(
    device: Device, virtual_phone: PhoneProcess
) -> None:
    await open_note(device)
    await device.type_text("one")
    known = len(virtual_phone.commands())
    await device.type_text("another")
    commands = virtual_phone.commands()[known:]
    # what there is; our keyboard; the text and what became of it; the person's keyboard
    assert len(commands) == 4
    assert not [command for command in commands if "screencap" in command]


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

        def run(
            self, *commands: Sequence[str], deadline: Deadline, limit: int = MAX_TEXT
        ) -> Completed:
            if "ADB_INPUT_B64" in str(commands):
                deadline.abandon()
            return super().run(*commands, deadline=deadline, limit=limit)

    shell = Abandoning(adb_server.client(), virtual_phone.serial)
    with pytest.raises(Exception, match="no answer"):
        await asyncio.to_thread(type_blindly, shell, "hello", deadline)
    assert virtual_phone.state()["ime"]["current"] == LATIN


async def test_ascii_without_adb_keyboard(device: Device, virtual_phone: PhoneProcess) -> None:
    await open_note(device)
    text = "100%s sure; `id` $5 'q' \"d\" \\ -n\nsecond %%s line"
    with virtual_phone.quirks("adbkeyboard=missing"):
        await device.type_text(text)
        assert title(virtual_phone) == text
        for other in ("微信", "one\ttwo"):
            with pytest.raises(TextRefused, match="without ADBKeyboard"):
                await device.type_text(other)
        assert title(virtual_phone) == text
        # longer than what is deleted where nobody tells the length
        await device.type_text("long " * 100)
        await device.type_text("short")
        assert title(virtual_phone) == "short"


@pytest.mark.parametrize("quirks", [(), ("no-cursor",)], ids=["cursor", "pictures"])
@pytest.mark.parametrize("text", ["short", "two\nlines"])
async def test_a_long_field_is_emptied_with_keys_before_anything_is_typed(
    device: Device, virtual_phone: PhoneProcess, text: str, quirks: tuple[str, ...]
) -> None:
    await open_note(device)
    await device.type_text("many words " * 90)
    with virtual_phone.quirks("adbkeyboard=missing", *quirks):
        await device.type_text(text)
        assert title(virtual_phone) == text


@pytest.mark.parametrize("android", [(), ("android=12",)], ids=["ctrl-end", "old"])
@pytest.mark.parametrize("cursor", [(), ("no-cursor",)], ids=["cursor", "pictures"])
@pytest.mark.parametrize("old", ["many words " * 30, "a list\nof\n\nlines", ""])
async def test_what_stands_behind_the_cursor_is_deleted_too(
    device: Device,
    virtual_phone: PhoneProcess,
    old: str,
    cursor: tuple[str, ...],
    android: tuple[str, ...],
) -> None:
    await open_note(device)
    await device.type_text(old)
    with virtual_phone.quirks("adbkeyboard=missing", "cursor-first", *cursor, *android):
        await device.tap(540, 320)  # into the title again
        await device.type_text("milk", clear=False)
        assert title(virtual_phone) == f"milk{old}"
        await device.type_text("short")
        assert title(virtual_phone) == "short"


async def test_a_field_that_keys_cannot_empty_is_left_as_it_is(
    device: Device, virtual_phone: PhoneProcess
) -> None:
    await open_note(device)
    full = "0123456789" * 2000
    await device.type_text(full)
    with virtual_phone.quirks("adbkeyboard=missing"):
        for text in ("x" * len(full), "x", "x\n"):
            with pytest.raises(TextRefused, match="20000 characters are too many"):
                await device.type_text(text)
    assert title(virtual_phone) == full


async def test_keys_that_delete_nothing_are_told(
    device: Device, virtual_phone: PhoneProcess, adb_server: AdbServer
) -> None:
    class Deaf(Shell):
        """The same phone, whose app ignores the delete key."""

        def run(
            self, *commands: Sequence[str], deadline: Deadline, limit: int = MAX_TEXT
        ) -> Completed:
            if any("67" in command for command in commands):
                return Completed(b"", b"", 0)
            return super().run(*commands, deadline=deadline, limit=limit)

    await open_note(device)
    await device.type_text("stays")
    shell = Deaf(adb_server.client(), virtual_phone.serial)
    with (
        virtual_phone.quirks("adbkeyboard=missing"),
        pytest.raises(TextRefused, match="could not be emptied"),
    ):
        await asyncio.to_thread(type_blindly, shell, "new")
    assert title(virtual_phone) == "stays"


@pytest.mark.parametrize("text", ["'" * 10_000, "x" * 20_000, "%s" * 3_000, "a'\\" * 4_000])
async def test_a_long_text_is_typed_as_keys_in_lines_that_fit(
    device: Device, virtual_phone: PhoneProcess, text: str
) -> None:
    await open_note(device)
    seen = virtual_phone.events()[-1]["seq"]
    with virtual_phone.quirks("adbkeyboard=missing"):
        await device.type_text(text)
    assert title(virtual_phone) == text
    assert max(len(command) for command in virtual_phone.commands(seen)) <= 4096


TOLD = pytest.mark.parametrize("told", [(), ("no-cursor",)], ids=["cursor", "pictures"])
"""What shows that a text arrived: where the cursor is, or else what the screen shows."""


@TOLD
@pytest.mark.parametrize("quirk", ["adbkeyboard=inactive", "adbkeyboard=api33"])
async def test_swallowed_text_goes_by_the_other_route(
    device: Device, virtual_phone: PhoneProcess, quirk: str, told: tuple[str, ...]
) -> None:
    await open_note(device)
    with virtual_phone.quirks(quirk, *told):
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
    quirk = virtual_phone.quirks("adbkeyboard=inactive", "no-cursor")
    with quirk, pytest.raises(TextRefused, match="swallowed"):
        await device.type_text("two", clear=False)
    assert title(virtual_phone) == "one"


async def test_what_is_surely_swallowed_is_typed_once(
    device: Device, virtual_phone: PhoneProcess
) -> None:
    await open_note(device)
    await device.type_text("one")
    with virtual_phone.quirks("adbkeyboard=inactive"):
        await device.type_text("two", clear=False)
    assert title(virtual_phone) == "onetwo"


async def test_a_keyboard_that_cannot_be_chosen_gives_way_to_keys(
    device: Device, virtual_phone: PhoneProcess, adb_server: AdbServer
) -> None:
    class Managed(Shell):
        """The same phone, under an administrator who forbids other keyboards."""

        def run(
            self, *commands: Sequence[str], deadline: Deadline, limit: int = MAX_TEXT
        ) -> Completed:
            if commands[0][:2] == ["ime", "enable"]:
                return Completed(b"", b"java.lang.SecurityException: not allowed", 255)
            return super().run(*commands, deadline=deadline, limit=limit)

    await open_note(device)
    shell = Managed(adb_server.client(), virtual_phone.serial)
    await asyncio.to_thread(type_blindly, shell, "plain")
    assert title(virtual_phone) == "plain"
    with pytest.raises(TextRefused, match="not allowed"):
        await asyncio.to_thread(type_blindly, shell, "微信")
    assert title(virtual_phone) == "plain"


@TOLD
async def test_the_same_text_again_is_not_taken_for_swallowed(
    device: Device, virtual_phone: PhoneProcess, told: tuple[str, ...]
) -> None:
    await open_note(device)
    with virtual_phone.quirks(*told):
        for text in ("微信微信", "微信微信", "信微信微", "  ", "  "):
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


@pytest.mark.parametrize(
    ("most", "text", "kept", "said"),
    [
        (10, "0123456789ABC", "0123456789", "10 of 13"),
        (10, "\U0001f600" * 6, "\U0001f600" * 5, "10 of 12"),
        (9, "\U0001f600" * 6, "\U0001f600" * 4, "8 of 12"),
        (0, "x", "", "none of the text"),
        (0, "微", "", "swallowed"),
    ],
)
async def test_a_field_that_cuts_the_text_says_how_much_arrived(
    device: Device, virtual_phone: PhoneProcess, most: int, text: str, kept: str, said: str
) -> None:
    await open_note(device)
    with virtual_phone.quirks(f"max-length={most}"):
        with pytest.raises(TextRefused, match=said):
            await device.type_text(text)
        assert title(virtual_phone) == kept
        if kept:
            await device.type_text(kept)
    assert title(virtual_phone) == kept
    assert virtual_phone.state()["ime"]["current"] == LATIN


@pytest.mark.parametrize("quirks", [(), ("adbkeyboard=missing",)])
async def test_a_field_that_is_full_takes_no_more(
    device: Device, virtual_phone: PhoneProcess, quirks: tuple[str, ...]
) -> None:
    await open_note(device)
    with virtual_phone.quirks("max-length=4", *quirks):
        with pytest.raises(TextRefused, match="4 of 5"):
            await device.type_text("abcde")
        with pytest.raises(TextRefused, match="none of the text"):
            await device.type_text("f", clear=False)
        await device.type_text("ab")
        with pytest.raises(TextRefused, match="2 of 3"):
            await device.type_text("cde", clear=False)
    assert title(virtual_phone) == "abcd"


def test_a_line_that_leaves_newlines_out_took_the_text() -> None:
    expected = Expected.of("a\nb", True, (7, 7))
    expected.check_length((2, 2))
    expected.check_length((5, 5))  # a field that adds spaces
    with pytest.raises(TextRefused, match="1 of 3"):
        expected.check_length((1, 1))


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

        def run(
            self, *commands: Sequence[str], deadline: Deadline, limit: int = MAX_TEXT
        ) -> Completed:
            if "ADB_INPUT_B64" in str(commands) or "ime set org" in " ".join(commands[0]):
                raise SystemExit
            return super().run(*commands, deadline=deadline, limit=limit)

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
    keys = {"66": "\n"}
    return "".join(
        keys[command[2]] if command[1] == "keyevent" else command[2].replace("%s", " ")
        for command in commands
    )


@given(ASCII)
def test_ascii_commands_say_the_text_or_refuse(text: str) -> None:
    printable = all(" " <= char <= "~" or char == "\n" for char in text)
    try:
        commands = keys.ascii_commands(text)
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

    @settings(max_examples=25, suppress_health_check=list(HealthCheck))
    @given(HOSTILE)
    def check(text: str) -> None:
        if "\0" in text:
            with pytest.raises(TextRefused):
                type_blindly(shell, text)
            return
        type_blindly(shell, text)
        assert title(virtual_phone) == text.replace("\r\n", "\n").replace("\r", "\n")

    await asyncio.to_thread(check)
