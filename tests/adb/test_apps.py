"""Names people use, and the shipped table."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence

import pytest

from app.adb.apps import AppTable, is_package, open_url, web_address
from app.adb.connection import Deadline, ExactClient
from app.adb.shell import MAX_TEXT, Completed, Shell
from app.errors import CommandFailed, InputError
from tests.phones import ROOT

TABLE = AppTable(
    [
        ("Clock", ["Alarm"], "org.phonepilot.clock"),
        ("WeChat", ["微信"], "com.tencent.mm"),
        ("Google Clock", ["Clock"], "com.google.android.deskclock"),
    ]
)


@pytest.mark.parametrize("name", ["wechat", " WeChat ", "微信", "com.tencent.mm", "COM.TENCENT.MM"])
def test_lookup(name: str) -> None:
    assert TABLE.packages(name) == ("com.tencent.mm",)


def test_a_word_may_mean_several_apps() -> None:
    assert TABLE.packages("clock") == ("org.phonepilot.clock", "com.google.android.deskclock")


def test_part_of_a_name_is_no_match() -> None:
    assert TABLE.packages("chat") == ()
    assert TABLE.label("com.tencent.mmfoo") is None
    assert TABLE.similar("wechta") == ["wechat"]


@pytest.mark.parametrize("name", ["a", "-n", "a b.c", "a.b;c", "1a.b", "a..b", "a.b\n", "é.b"])
def test_what_is_no_package(name: str) -> None:
    assert not is_package(name)


def test_the_shipped_table() -> None:
    apps = tomllib.loads((ROOT / "configs" / "apps.toml").read_text("utf-8"))["app"]
    names = [app["name"] for app in apps]
    packages = [app["package"] for app in apps]
    assert len(set(names)) == len(names)
    assert len(set(packages)) == len(packages)
    assert all(map(is_package, packages))


def test_a_misspelt_word_means_one_app_or_none() -> None:
    assert TABLE.misspelt("WeChatt") == ("com.tencent.mm",)
    assert TABLE.misspelt("Chat") == ()
    table = AppTable([("Maps A", [], "a.maps"), ("Maps B", [], "b.maps")])
    assert table.misspelt("Maps C") == ()


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org",
        "HTTP://example.org:8080/a?b=c#d",
        "https://[::1]/",
        "https://例え.jp/天気",
        "https://example.org/$(reboot)'",
    ],
)
def test_web_addresses(url: str) -> None:
    assert web_address(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org",
        "file:///sdcard/x",
        "intent://x#Intent;end",
        "javascript:alert(1)",
        "tel:110",
        "https://",
        "https:///path",
        "https://user:secret@example.org",
        "https://example.org:0",
        "https://example.org:99999",
        "https://example.org/a b",
        "https://example.org/\n",
        "https://example.org/\0",
        "https://example.org/\x85",
        " https://example.org",
        "-d https://example.org",
        "https://example.org/" + "a" * 2000,
    ],
)
def test_what_is_no_web_address(url: str) -> None:
    with pytest.raises(InputError):
        web_address(url)


class Told(Shell):
    """A phone that answers each command with the same."""

    def __init__(self, answer: Completed) -> None:
        super().__init__(ExactClient(), "told")
        self.answer = answer
        self.ran: list[Sequence[str]] = []

    def run(
        self,
        *commands: Sequence[str],
        deadline: Deadline,
        limit: int = MAX_TEXT,
    ) -> Completed:
        self.ran += commands
        return self.answer


STARTING = b"Starting: Intent { act=android.intent.action.VIEW dat=https://example.org/... }\n"


@pytest.mark.parametrize(
    "answer",
    [
        Completed(STARTING + b"Status: ok\nComplete\n", b"", 0),
        Completed(
            STARTING,
            b"Warning: Activity not started, its current task has been brought to the front\n",
            0,
        ),
        Completed(
            STARTING,
            b"Warning: Activity not started, intent has been delivered to currently running "
            b"top-most instance.\n",
            0,
        ),
    ],
)
def test_a_page_that_something_opens(answer: Completed) -> None:
    shell = Told(answer)
    open_url(shell, "https://example.org/a", Deadline(1))
    assert [command[-1] for command in shell.ran] == ["https://example.org/a"]


@pytest.mark.parametrize(
    "answer",
    [
        Completed(STARTING, b"Error: Activity not started, unable to resolve Intent\n", 1),
        Completed(STARTING + b"Error: Activity not started, unable to resolve Intent\n", b"", 0),
        Completed(b"", b"java.lang.SecurityException: Permission Denial: starting Intent\n", 0),
        Completed(b"", b"", 255),
    ],
)
def test_a_page_that_nothing_opens(answer: Completed) -> None:
    with pytest.raises(CommandFailed, match="no app opens"):
        open_url(Told(answer), "https://example.org/a", Deadline(1))
