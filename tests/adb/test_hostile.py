"""Hostile strings through every door: what arrives is byte-equal, or it is refused.

The phone's log of commands is compared with what we meant to send, so that a string that slipped
out of its quotes shows as a command that was not ours. PHONEPILOT_TEST_HOSTILE sets how many
strings are tried (200 by default).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
from collections.abc import Callable, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.adb import apps
from app.adb.address import device_address
from app.adb.apps import AppTable
from app.adb.connection import Deadline
from app.adb.device import Device
from app.adb.fleet import Fleet
from app.adb.server import AdbServer
from app.adb.shell import MAX_TEXT, Completed, Shell, command_line
from app.adb.typing.keyboard import Keyboard
from app.adb.typing.saved_keyboard import SavedKeyboard
from app.errors import AppNotFound, CommandFailed, DeviceError, InputError, TextRefused
from tests.phones import PhoneProcess

EXAMPLES = int(os.environ.get("PHONEPILOT_TEST_HOSTILE", "200"))
SNIPPETS = (
    "'", '"', "`id`", "$(reboot)", "${HOME}", "; reboot", "&& reboot", "| sh", "> /sdcard/x", "\\",
    "\n", "\r\n", "\0", "%s", "%%s", "-n", "--es msg x", "..", "*", "~", "!", "#", " ", "\t",
    "😀", "👨\u200d👩", "微信", "日本語", "שלום", "مرحبا",
    "\u202e", "\u0301", "\ufeff", "\ud800",
    "https://", "http://a/", "org.phonepilot.notes", "127.0.0.1:5555", "host:kill", ":", "/",
)  # fmt: skip
LONG = st.sampled_from(("x" * 20_000, "微信" * 3_400, "'; reboot #" * 1_800))
SHORT = st.one_of(
    st.lists(st.sampled_from(SNIPPETS), max_size=12).map("".join), st.text(max_size=60)
)
HOSTILE = st.one_of(*[SHORT] * 18, LONG)
FOR_KEYS = st.one_of(
    st.lists(st.sampled_from([s for s in SNIPPETS if s.isascii()]), max_size=12).map("".join), SHORT
)
"""Half of them plain enough for `input text`; none longer than keys can delete again."""
OURS = {"am", "cmd", "dumpsys", "echo", "ime", "input", "pm", "settings", "monkey"}
NEW_NOTE = (928, 2176)
HOME = "org.phonepilot.launcher"
# The five doors divide the strings among themselves; texts go two ways, packages to two commands.
many, many_halves = (
    settings(
        max_examples=max(5, EXAMPLES // share),
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    for share in (5, 10)
)


class Watched(Shell):
    """A phone that remembers what was sent to it, to be compared with what it says it ran."""

    def __init__(self, phone: PhoneProcess, server: AdbServer) -> None:
        super().__init__(server.client(), phone.serial)
        self.phone = phone
        self._seen = max((event["seq"] for event in phone.events()), default=0)
        self._sent: list[list[Sequence[str]]] = []

    def run(
        self,
        *commands: Sequence[str],
        deadline: Deadline,
        limit: int = MAX_TEXT,
    ) -> Completed:
        command_line(*commands)  # what is refused here is never sent
        self._sent.append(list(commands))
        return super().run(*commands, deadline=deadline, limit=limit)

    def check_log(self) -> None:
        """The phone ran what was sent, in this order, and nothing else."""
        sent, self._sent = self._sent, []
        if not sent:
            return
        events = self.phone.events(self._seen)
        self._seen = events[-1]["seq"]
        lines = [event["command"] for event in events if event["kind"] == "shell"]
        expected = []
        for commands in sent:
            words = list(commands[0])
            for command in commands[1:]:
                words += ["&&", *command]
            assert {command[0] for command in commands} <= OURS
            expected.append(words)
        assert [shlex.split(line) for line in lines] == expected


@pytest.fixture
def watched(device: Device, virtual_phone: PhoneProcess, adb_server: AdbServer) -> Watched:
    return Watched(virtual_phone, adb_server)


@pytest.mark.parametrize(
    ("quirks", "texts"), [((), HOSTILE), (("adbkeyboard=missing",), FOR_KEYS)], ids=["ime", "keys"]
)
async def test_text(
    device: Device,
    virtual_phone: PhoneProcess,
    adb_server: AdbServer,
    quirks: tuple[str, ...],
    texts: st.SearchStrategy[str],
) -> None:
    await device.launch("Notes")
    await device.tap(*NEW_NOTE)
    shell = Watched(virtual_phone, adb_server)
    keyboard = Keyboard(SavedKeyboard(None, shell.serial))
    arrived: list[str] = []

    @many_halves
    @given(texts)
    def check(text: str) -> None:
        drafts = virtual_phone.state()["ui"]["drafts"]
        try:
            keyboard.type_text(shell, text, clear=True, deadline=Deadline(30), look=lambda: None)
            drafts["notes.title"] = text.replace("\r\n", "\n").replace("\r", "\n")
            arrived.append(text)
        except TextRefused:
            pass
        assert virtual_phone.state()["ui"]["drafts"] == drafts
        shell.check_log()

    with virtual_phone.quirks(*quirks):
        await asyncio.to_thread(check)
    assert len(set(arrived)) > 1


@pytest.mark.parametrize("act", [apps.launch, apps.stop], ids=["launch", "stop"])
async def test_packages(watched: Watched, act: Callable[[Shell, str, Deadline], None]) -> None:
    @many_halves
    @given(HOSTILE)
    def check(package: str) -> None:
        with contextlib.suppress(AppNotFound, CommandFailed):
            act(watched, package, Deadline(10))
        watched.check_log()

    await asyncio.to_thread(check)
    assert watched.phone.state()["ui"]["foreground"] in (HOME, "org.phonepilot.notes")


async def test_names(watched: Watched) -> None:
    table = AppTable([("Notes", (), "org.phonepilot.notes"), ("微信", (), "com.tencent.mm")])

    @many
    @given(HOSTILE)
    def check(name: str) -> None:
        with contextlib.suppress(AppNotFound):
            assert apps.is_package(apps.find(watched, table, name, Deadline(10)))
        watched.check_log()

    await asyncio.to_thread(check)


async def test_addresses_of_pages(watched: Watched) -> None:
    @many
    @given(st.one_of(HOSTILE, HOSTILE.map("https://example.org/{}".format)))
    def check(url: str) -> None:
        # The phone has no browser: what it was asked to open is read from its log.
        with contextlib.suppress(InputError, CommandFailed):
            apps.open_url(watched, url, Deadline(10))
        watched.check_log()

    await asyncio.to_thread(check)
    assert watched.phone.state()["ui"]["foreground"] == HOME


async def test_serials(watched: Watched, fleet: Fleet) -> None:
    server, known = watched.client, await fleet.list()

    @many
    @given(HOSTILE)
    def check(serial: str) -> None:
        with contextlib.suppress(InputError):
            address = device_address(serial)
            assert not set(address) & set(" ;\n\t\0'\"$`")
        with pytest.raises((InputError, DeviceError)):
            Shell(server, serial).run(["input", "keyevent", "0"], deadline=Deadline(10))
        assert watched.phone.commands(watched_from) == []

    watched_from = max((event["seq"] for event in watched.phone.events()), default=0)
    await asyncio.to_thread(check)
    assert await fleet.list() == known
