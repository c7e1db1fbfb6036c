"""Quirks of the screen, through an unmodified `adb`: other sizes, sides, panels, and secrets."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import pytest
from PIL import Image, ImageChops

from app.adb import parse
from app.virtual_phone.display import HEIGHT, NAVIGATION_BAR, STATUS_BAR, WIDTH
from app.virtual_phone.phone import Phone
from app.virtual_phone.shell.displays import COVER_ID, DISPLAY_ID
from tests.phones import PhoneProcess
from tests.virtual_phone.conftest import Adb
from tests.virtual_phone.touch import NOTES, SETTINGS, opened, spot


@pytest.fixture(autouse=True)
def _as_new(virtual_phone: PhoneProcess) -> Iterator[None]:
    virtual_phone.reset(7)
    yield
    assert virtual_phone.change_quirks({}) == {}


def picture(adb: Adb, *options: str) -> Image.Image:
    """What `screencap -p` prints over shell v2, where stderr goes its own way."""
    result = adb("shell", "screencap", "-p", *options)
    assert result.returncode == 0
    return Image.open(io.BytesIO(result.stdout)).convert("RGB")


def same(one: Image.Image, other: Image.Image) -> bool:
    return ImageChops.difference(one, other).getbbox() is None


def launch(adb: Adb, package: str) -> None:
    assert adb("shell", "monkey", "-p", package, "1").returncode == 0


@pytest.mark.parametrize(
    ("options", "size", "wm"),
    [
        (["size=720x1600"], (720, 1600), "Physical size: 720x1600\n"),
        (["size=1440x3200"], (1440, 3200), "Physical size: 1440x3200\n"),
        (
            ["override-size=720x1600"],
            (720, 1600),
            "Physical size: 1080x2400\nOverride size: 720x1600\n",
        ),
        (["rotation=90"], (2400, 1080), "Physical size: 1080x2400\n"),
        (["rotation=270", "size=720x1600"], (1600, 720), "Physical size: 720x1600\n"),
        (["size=1000x2400"], (1000, 2400), "Physical size: 1000x2400\n"),
    ],
)
def test_touches_land_where_the_picture_shows_them(
    adb: Adb, virtual_phone: PhoneProcess, options: list[str], size: tuple[int, int], wm: str
) -> None:
    launch(adb, SETTINGS)
    was_on = virtual_phone.state()["settings"]["wifi"]
    with virtual_phone.quirks(*options):
        assert adb("shell", "wm", "size").stdout.decode() == wm
        seen = picture(adb)
        assert seen.size == size
        # The upright screen fills the height or the width, in the middle.
        ratio = min(size[0] / WIDTH, size[1] / HEIGHT)
        left, top = ((size[n] - side * ratio) / 2 for n, side in enumerate((WIDTH, HEIGHT)))
        x, y = spot(opened(SETTINGS), "switch", "Wi-Fi").rect.center
        adb("shell", "input", "tap", str(round(left + x * ratio)), str(round(top + y * ratio)))
    assert virtual_phone.state()["settings"]["wifi"] != was_on


def test_a_touch_beside_the_upright_screen_does_nothing(
    adb: Adb, virtual_phone: PhoneProcess
) -> None:
    launch(adb, SETTINGS)
    before = virtual_phone.state()
    with virtual_phone.quirks("rotation=90"):
        assert picture(adb).crop((0, 0, 900, 1080)).getbbox() is None
        assert adb("shell", "input", "tap", "300", "540").returncode == 0
    assert virtual_phone.state() == before


def test_a_swipe_on_the_side(adb: Adb, virtual_phone: PhoneProcess) -> None:
    launch(adb, SETTINGS)
    with virtual_phone.quirks("rotation=90"):
        adb("shell", "input", "swipe", "1200", "800", "1200", "350")
    assert virtual_phone.state()["ui"]["stacks"][SETTINGS][-1]["scroll"] == 1000


def test_rotation_in_dumpsys(adb: Adb, virtual_phone: PhoneProcess) -> None:
    with virtual_phone.quirks("rotation=90"):
        text = adb("shell", "dumpsys", "window", "displays").stdout.decode()
    assert "init=1080x2400 420dpi cur=2400x1080 app=2400x1080\n" in text
    assert "mDisplayRotation=ROTATION_90 mCurrentRotation=ROTATION_90\n" in text


def test_density(adb: Adb, virtual_phone: PhoneProcess) -> None:
    with virtual_phone.quirks("density=560", "override-density=480"):
        answer = adb("shell", "wm", "density").stdout
        assert answer == b"Physical density: 560\nOverride density: 480\n"
        assert adb("shell", "getprop", "ro.sf.lcd_density").stdout == b"560\n"


def test_another_size_and_density_are_set_and_taken_back(
    adb: Adb, virtual_phone: PhoneProcess
) -> None:
    assert adb("shell", "wm size 720x1600; wm density 280").returncode == 0
    said = adb("shell", "wm size; wm density").stdout.decode()
    assert "Override size: 720x1600" in said and "Override density: 280" in said
    assert adb("exec-out", "screencap").stdout[:8] == struct.pack("<2I", 720, 1600)
    for bad in ("wm size 7x1600", "wm size big", "wm density 1"):
        assert adb("shell", bad).returncode == 255
    assert adb("shell", "wm size reset; wm density reset").returncode == 0
    said = adb("shell", "wm size; wm density").stdout.decode()
    assert said == "Physical size: 1080x2400\nPhysical density: 420\n"


def test_a_foldable_takes_the_black_panel_and_says_so(
    adb: Adb, virtual_phone: PhoneProcess
) -> None:
    expected = Phone(7).frame()
    with virtual_phone.quirks("displays"):
        apart = adb("shell", "screencap", "-p")
        assert (apart.returncode, apart.stdout[:4]) == (0, b"\x89PNG")
        assert apart.stderr.startswith(b"[Warning] Multiple displays were found")
        assert Image.open(io.BytesIO(apart.stdout)).convert("RGB").getbbox() is None
        mixed = adb("exec-out", "screencap", "-p").stdout
        assert mixed.startswith(b"[Warning]")
        assert mixed.endswith(apart.stdout)
        assert same(picture(adb, "-d", COVER_ID), expected)
        assert not adb("shell", "screencap", "-p", "-d", COVER_ID).stderr
        assert picture(adb, "-d", DISPLAY_ID).getbbox() is None
        listed = adb("shell", "dumpsys", "SurfaceFlinger", "--display-id").stdout.decode()
        assert [line.split()[:4] for line in listed.splitlines()] == [
            ["Display", DISPLAY_ID, "(HWC", "display"],
            ["Display", COVER_ID, "(HWC", "display"],
        ]
        states = adb("shell", "dumpsys", "display").stdout.decode().splitlines()[1:]
        assert [line.rpartition(" state ")[2] for line in states] == ["OFF}", "ON}"]
    assert len(adb("shell", "dumpsys", "SurfaceFlinger", "--display-id").stdout.splitlines()) == 1
    assert adb("shell", "screencap", "-d", COVER_ID).returncode == 1


@pytest.mark.parametrize("value", ["", f"={NOTES}"])
def test_a_secure_app_is_black_and_nothing_says_so(
    adb: Adb, virtual_phone: PhoneProcess, value: str
) -> None:
    with virtual_phone.quirks(f"secure{value}"):
        assert same(picture(adb), Phone(7).frame())
        launch(adb, NOTES)
        result = adb("shell", "screencap", "-p")
        assert (result.returncode, result.stderr) == (0, b"")
        seen = Image.open(io.BytesIO(result.stdout)).convert("RGB")
        middle = (0, STATUS_BAR, WIDTH, HEIGHT - NAVIGATION_BAR)
        assert seen.crop(middle).getbbox() is None
        assert same(
            seen.crop((0, 0, WIDTH, STATUS_BAR)),
            opened(NOTES).frame().crop((0, 0, WIDTH, STATUS_BAR)),
        )
        assert b"mWakefulness=Awake" in adb("shell", "dumpsys", "power").stdout
        person = virtual_phone.http.get("/screen.png").content
        assert same(Image.open(io.BytesIO(person)).convert("RGB"), opened(NOTES).frame())


@pytest.mark.parametrize(
    ("version", "flags"),
    [
        (8, " fl=#81812100}"),
        (9, "      fl=LAYOUT_IN_SCREEN SECURE LAYOUT_INSET_DECOR"),
        (14, "      fl=LAYOUT_IN_SCREEN SECURE LAYOUT_INSET_DECOR"),
        (16, "      fl=LAYOUT_IN_SCREEN SECURE LAYOUT_INSET_DECOR"),
    ],
)
def test_the_window_of_a_secure_app_has_the_flag(
    adb: Adb, virtual_phone: PhoneProcess, version: int, flags: str
) -> None:
    def windows(*section: str) -> str:
        return adb("shell", "dumpsys", "window", *section).stdout.decode()

    launch(adb, NOTES)
    with virtual_phone.quirks(f"android={version}"):
        assert parse.secure(windows()) is False
        with virtual_phone.quirks(f"secure={NOTES}"):
            assert flags in windows("windows")
            assert parse.secure(windows()) is True
            with virtual_phone.quirks("locked"):
                assert parse.secure(windows()) is False  # what covers it may be seen
            adb("shell", "input", "keyevent", "HOME")
            assert parse.secure(windows()) is False


@pytest.mark.parametrize(("version", "header"), [(8, 12), (9, 16), (16, 16)])
def test_the_header_of_raw_pictures(
    adb: Adb, virtual_phone: PhoneProcess, version: int, header: int
) -> None:
    with virtual_phone.quirks(f"android={version}"):
        raw = adb("exec-out", "screencap").stdout
    assert len(raw) == header + WIDTH * HEIGHT * 4
    assert struct.unpack_from("<3I", raw) == (WIDTH, HEIGHT, 1)
    assert raw[header:] == Phone(7).frame().convert("RGBA").tobytes()


def test_the_clock_jumps(adb: Adb, virtual_phone: PhoneProcess) -> None:
    before = int(adb("shell", "date", "+%s").stdout)
    clock = virtual_phone.state()["look"]["clock"]
    with virtual_phone.quirks("clock-jump=86460"):
        assert 86_460 <= int(adb("shell", "date", "+%s").stdout) - before < 86_520
        assert virtual_phone.state()["look"]["clock"] != clock
        written = adb("shell", "date +%F; echo > /sdcard/now; ls -l /sdcard/now; date +%F").stdout
        first, listed, last = written.decode().splitlines()
        assert listed.split()[-3] in (first, last)
    assert virtual_phone.state()["look"]["clock"] == clock
