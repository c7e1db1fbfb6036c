"""Installing apps with an unmodified `adb`, and what Android says of a file that is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.virtual_phone.apk import BadApk, package_name
from app.virtual_phone.seeding import ADB_KEYBOARD, LATIN_KEYBOARD
from tests.phones import PhoneProcess
from tests.virtual_phone.apks import ADB_KEYBOARD_PACKAGE, apk, archive, manifest
from tests.virtual_phone.conftest import Adb
from tests.virtual_phone.touch import NOTES


@pytest.fixture(autouse=True)
def _as_new(virtual_phone: PhoneProcess) -> Iterator[None]:
    virtual_phone.reset(7)
    yield
    assert virtual_phone.change_quirks({}) == {}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "app.apk"


def test_adb_install_streams_an_app(adb: Adb, virtual_phone: PhoneProcess, file: Path) -> None:
    file.write_bytes(apk("org.example.app", ballast=2_000_000))
    for options in ((), ("-r",)):
        result = adb("install", *options, str(file))
        assert (result.returncode, result.stdout.splitlines()[-1]) == (0, b"Success")
    assert virtual_phone.state()["installed"] == ["org.example.app"]
    assert b"package:org.example.app\n" in adb("shell", "pm", "list", "packages", "-3").stdout


def test_pm_installs_a_pushed_file(adb: Adb, virtual_phone: PhoneProcess, file: Path) -> None:
    file.write_bytes(apk())
    there = "/data/local/tmp/app.apk"
    with virtual_phone.quirks("adbkeyboard=missing"):
        assert adb("push", str(file), there).returncode == 0
        assert adb("shell", "ime", "list", "-a", "-s").stdout.decode() == f"{LATIN_KEYBOARD}\n"
        assert adb("shell", "pm", "install", "-r", there).stdout == b"Success\n"
        # It is listed, and a person, or `ime enable`, has yet to switch it on.
        assert ADB_KEYBOARD in adb("shell", "ime", "list", "-a", "-s").stdout.decode()
        assert ADB_KEYBOARD not in adb("shell", "ime", "list", "-s").stdout.decode()
        assert adb("shell", "ime", "enable", ADB_KEYBOARD).returncode == 0
    assert ADB_KEYBOARD in virtual_phone.state()["ime"]["enabled"]


NOT_APK = "INSTALL_PARSE_FAILED_NOT_APK: Failed to parse /data/app/vmdl"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no apk", NOT_APK),
        (b"", NOT_APK),
        (apk()[:-30], NOT_APK),
        (archive({"x": b""}), "UNEXPECTED_EXCEPTION: Failed to parse "),
        (archive({"AndroidManifest.xml": b"<manifest/>"}), "Corrupt XML binary file"),
        (archive({"AndroidManifest.xml": manifest("a b; c")}), "BAD_PACKAGE_NAME"),
        (apk(NOTES), "INSTALL_FAILED_UPDATE_INCOMPATIBLE"),
    ],
)
def test_what_is_not_installed(
    adb: Adb, virtual_phone: PhoneProcess, file: Path, content: bytes, said: str
) -> None:
    file.write_bytes(content)
    before = virtual_phone.state()
    assert adb("push", str(file), "/data/local/tmp/app.apk").returncode == 0
    pushed = adb("shell", "pm", "install", "/data/local/tmp/app.apk")
    assert pushed.returncode == 1
    assert pushed.stdout.startswith(b"Failure [INSTALL_")
    assert said in pushed.stdout.decode()
    if content:  # adb itself refuses an empty file
        assert said in adb("install", str(file)).stderr.decode()
    assert virtual_phone.state() == before


def test_an_install_that_a_person_must_allow(
    adb: Adb, virtual_phone: PhoneProcess, file: Path
) -> None:
    file.write_bytes(apk("org.example.app"))
    with virtual_phone.quirks("no-install"):
        result = adb("install", str(file))
    assert (result.returncode, b"INSTALL_FAILED_USER_RESTRICTED" in result.stderr) == (1, True)
    assert virtual_phone.state()["installed"] == []


@pytest.mark.parametrize(
    "arguments",
    ["", "-r", "/sdcard/nope.apk", "-i", "-S", "-S x", "-S 5", "-S 999999999999 -"],
)
def test_a_command_without_an_apk(adb: Adb, arguments: str) -> None:
    result = adb("shell", f"pm install {arguments}")
    assert (result.returncode, result.stdout) == (1, b"")
    assert result.stderr.startswith(b"Error: ")


@pytest.mark.parametrize("utf8", [False, True])
@pytest.mark.parametrize("package", [ADB_KEYBOARD_PACKAGE, "a.b" + "c" * 200])
def test_the_package_of_a_manifest(package: str, utf8: bool) -> None:
    data = archive({"AndroidManifest.xml": manifest(package, utf8=utf8)})
    assert package_name(data) == package


@given(st.data())
def test_a_spoiled_manifest_is_a_bad_apk_or_a_name(data: st.DataObject) -> None:
    spoiled = bytearray(manifest(ADB_KEYBOARD_PACKAGE, utf8=data.draw(st.booleans())))
    for _ in range(data.draw(st.integers(1, 4))):
        spoiled[data.draw(st.integers(0, len(spoiled) - 1))] = data.draw(st.integers(0, 255))
    cut = spoiled[: data.draw(st.integers(0, len(spoiled)))]
    try:
        name = package_name(archive({"AndroidManifest.xml": bytes(cut)}))
    except BadApk as exc:
        assert exc.code.startswith("INSTALL_")
    else:
        assert "." in name
