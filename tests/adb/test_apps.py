"""Names people use, and the shipped table."""

from __future__ import annotations

import tomllib

import pytest

from app.adb.apps import AppTable, is_package
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
