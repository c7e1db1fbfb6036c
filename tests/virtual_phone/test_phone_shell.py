"""Android's commands on the virtual phone: what they print, how they end, and what they change."""

from __future__ import annotations

import base64
import struct

import pytest

from app.virtual_phone.filesystem import FileTree
from app.virtual_phone.phone import Phone
from app.virtual_phone.shell.android import COMMANDS
from app.virtual_phone.shell.interpreter import Result, Shell

ADB_KEYBOARD = "com.android.adbkeyboard/.AdbIME"
NOTES = "org.phonepilot.notes"


class Line:
    """A phone and its files, with a new shell for each command line, as over the wire."""

    def __init__(self) -> None:
        self.phone = Phone(7)
        self.files = FileTree()

    async def __call__(self, text: str) -> Result:
        return await Shell(self.phone, self.files, COMMANDS).run(text)

    async def out(self, text: str) -> str:
        result = await self(text)
        assert (result.stderr, result.exit_code) == (b"", 0)
        return result.stdout.decode()


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.mark.parametrize(
    ("text", "output", "code"),
    [
        ("echo a; echo b", "a\nb\n", 0),
        ("true && echo a || echo b", "a\n", 0),
        ("false && echo a || echo b", "b\n", 0),
        ("false; echo $?; echo $?", "1\n0\n", 0),
        ("export X='a b'; Y=c; echo $X-${Y}-$Z", "a b-c-\n", 0),
        ("foo 2>/dev/null; echo $?", "127\n", 0),
        ("foo 2>&1 | grep found", "/system/bin/sh: foo: inaccessible or not found\n", 0),
        ("echo one > /sdcard/x; echo two >> /sdcard/x; cat /sdcard/x", "one\ntwo\n", 0),
        ("cat < /sdcard/nope", "", 1),
        ("echo a; exit 3; echo b", "a\n", 3),
        ("echo 'unclosed", "", 2),
        ("echo a | grep -v a", "", 1),
        ("dumpsys -l | head -n 1", "Currently running services:\n", 0),
        ("/system/bin/echo a", "a\n", 0),
        ("", "", 1),
    ],
)
async def test_the_shell(line: Line, text: str, output: str, code: int) -> None:
    result = await line(text)
    assert (result.stdout.decode(), result.exit_code) == (output, code)


async def test_every_command_is_logged_with_its_exit_code(line: Line) -> None:
    await line("echo a; foo")
    event = line.phone.events[-1]
    assert (event["kind"], event["command"], event["exit_code"]) == ("shell", "echo a; foo", 127)


async def test_an_event_tells_how_long_the_command_took(line: Line) -> None:
    await line("sleep 0.05")
    assert 50 <= line.phone.events[-1]["ms"] < 5000


async def test_screencap_raw_and_png(line: Line) -> None:
    raw = (await line("screencap")).stdout
    assert struct.unpack_from("<4I", raw) == (1080, 2400, 1, 1)
    assert raw[16:] == line.phone.frame().convert("RGBA").tobytes()
    png = (await line("screencap -p")).stdout
    assert png.startswith(b"\x89PNG")
    await line.out("screencap -p /sdcard/a; screencap /sdcard/b.png")
    assert (await line("cat /sdcard/a")).stdout == (await line("cat /sdcard/b.png")).stdout == png


@pytest.mark.parametrize("text", ["screencap -d 7", "screencap -x", "screencap /system/x.png"])
async def test_screencap_fails_without_a_picture(line: Line, text: str) -> None:
    result = await line(text)
    assert (result.stdout, result.exit_code) == (b"", 1)
    assert result.stderr


async def test_input_reaches_the_phone(line: Line) -> None:
    await line.out("input tap 10.7 20; input touchscreen swipe 1 2 3 4; input swipe 5 5 5 5 800")
    events = [event for event in line.phone.events if event["kind"] in ("tap", "swipe")]
    assert (events[0]["x"], events[0]["y"]) == (10, 20)
    assert [event["duration_ms"] for event in events[1:]] == [300, 800]


async def test_keys_by_name_and_number_and_several_at_once(line: Line) -> None:
    await line.out("input keyevent 4 HOME KEYCODE_ENTER keycode_del --longpress nonsense")
    assert [event["code"] for event in line.phone.events if event["kind"] == "key"] == [
        4,
        3,
        66,
        67,
    ]


@pytest.mark.parametrize(
    "arguments",
    ["", "tap", "tap 1", "tap a b", "tap nan 1", "swipe 1 2 3", "keyevent", "text", "fly 1 2"]
    + ["keycombination", "keycombination CTRL_LEFT", "keycombination -t 100 CTRL_LEFT"],
)
async def test_bad_input_is_refused(line: Line, arguments: str) -> None:
    result = await line(f"input {arguments}")
    assert result.exit_code == 255
    assert result.stderr
    assert not [event for event in line.phone.events if event["kind"] != "shell"]


async def open_note(line: Line) -> None:
    await line.out(f"am start -n {NOTES}/.MainActivity; input tap 928 2176")


def title(line: Line) -> str:
    return line.phone.state.ui.drafts["notes.title"]


async def test_keys_pressed_together_are_known_from_android_13_on(line: Line) -> None:
    await open_note(line)
    assert await line.out("input keycombination -t 50 CTRL_LEFT MOVE_END") == ""
    assert [e["codes"] for e in line.phone.events if e["kind"] == "keys"] == [[113, 123]]
    line.phone.quirks.add("android=12")
    result = await line("input keycombination CTRL_LEFT MOVE_END")
    assert (result.exit_code, result.stderr) == (255, b"Unknown command: keycombination\n")


async def test_text_through_the_key_map(line: Line) -> None:
    await open_note(line)
    await line.out("input text 'a%sb%%c'")
    assert title(line) == "a b%%c"
    result = await line("input text 'é'")
    assert b"NullPointerException" in result.stderr
    assert title(line) == "a b%%c"


async def test_broadcasts_act_only_for_the_current_keyboard(line: Line) -> None:
    await open_note(line)
    message = base64.b64encode("微信 😀".encode()).decode()
    broadcast = f"am broadcast -a ADB_INPUT_B64 --es msg {message}"
    assert "Broadcast completed: result=0" in await line.out(broadcast)
    assert title(line) == ""
    await line.out(f"ime enable {ADB_KEYBOARD}; ime set {ADB_KEYBOARD}")
    assert "Broadcast completed: result=0" in await line.out(broadcast)
    assert title(line) == "微信 😀"
    await line.out(f"{broadcast} -p com.example.other")
    await line.out("am broadcast -a ADB_INPUT_B64 --es msg '***'")
    assert title(line) == "微信 😀"
    await line.out("am broadcast -a ADB_CLEAR_TEXT -p com.android.adbkeyboard")
    assert title(line) == ""


async def test_am_start(line: Line) -> None:
    answer = await line.out(f"am start -W -n {NOTES}/{NOTES}.MainActivity")
    assert f"Activity: {NOTES}/.MainActivity" in answer
    assert line.phone.foreground.package == NOTES
    again = await line(f"am start -n {NOTES}/.MainActivity")
    assert (again.exit_code, b"brought to the front" in again.stderr) == (0, True)
    await line.out(f"am force-stop {NOTES}")
    assert line.phone.foreground.package == "org.phonepilot.launcher"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("-n com.nope/.Main", "Error type 3"),
        (f"-n {NOTES}/.Other", "does not exist"),
        ("-a android.intent.action.VIEW -d https://example.org", "unable to resolve"),
        ("", "unable to resolve"),
        ("-n", 'Argument expected after "-n"'),
        ("--bogus x", "Unknown option"),
    ],
)
async def test_am_start_of_what_cannot_be(line: Line, arguments: str, message: str) -> None:
    result = await line(f"am start {arguments}")
    assert result.exit_code != 0
    assert message in result.stderr.decode()
    assert line.phone.foreground.package == "org.phonepilot.launcher"


async def test_monkey_starts_apps_and_turns_auto_rotate_on(line: Line) -> None:
    await line.out("settings put system accelerometer_rotation 0")
    await line.out(f"monkey -p {NOTES} -c android.intent.category.LAUNCHER 1")
    assert line.phone.foreground.package == NOTES
    assert line.phone.state.settings.auto_rotate
    result = await line("monkey -p com.nope -c android.intent.category.LAUNCHER 1")
    assert (result.exit_code, b"No activities found" in result.stderr) == (252, True)


async def test_packages(line: Line) -> None:
    everything = (await line.out("pm list packages")).split()
    own = (await line.out("pm list packages -3")).split()
    system = (await line.out("cmd package list packages -s")).split()
    assert sorted(own + system) == everything
    assert "package:com.android.settings" in system
    assert f"package:{NOTES}" in own
    assert (await line.out("pm list packages notes")).split() == [f"package:{NOTES}"]


async def test_activities(line: Line) -> None:
    query = "-a android.intent.action.MAIN -c android.intent.category.LAUNCHER"
    answer = await line.out(f"cmd package resolve-activity --brief {query} {NOTES}")
    assert answer.splitlines()[-1] == f"{NOTES}/.MainActivity"
    assert await line.out(f"cmd package resolve-activity --brief {query} x.y") == (
        "No activity found\n"
    )
    found = await line.out(f"cmd package query-activities --brief {query}")
    assert found.startswith(f"{len(line.phone.packages)} activities found:\n")


async def test_dumpsys_follows_the_phone(line: Line) -> None:
    await open_note(line)
    window = await line.out("dumpsys window displays")
    assert f"mCurrentFocus=Window{{41b3757 u0 {NOTES}/{NOTES}.MainActivity}}" in window
    assert f"u0 {NOTES}/.MainActivity t57}}" in await line.out("dumpsys activity activities")
    assert "mInputShown=true" in await line.out("dumpsys input_method")
    await line.out("input keyevent BACK SLEEP")
    assert "mInputShown=false" in await line.out("dumpsys input_method")
    assert "mWakefulness=Asleep" in await line.out("dumpsys power")
    assert "NotificationShade" in await line.out("dumpsys window")


async def test_settings(line: Line) -> None:
    await line.out("settings put global bluetooth_on 1; settings put secure own_key 'a b'")
    assert line.phone.state.settings.bluetooth
    assert await line.out("settings get global bluetooth_on") == "1\n"
    assert await line.out("settings get secure own_key") == "a b\n"
    assert await line.out("settings get system nothing") == "null\n"
    for bad in ("get", "get moon x", "drop system x", "put system screen_brightness 999"):
        assert (await line(f"settings {bad}")).exit_code == 255


async def test_what_the_phone_is(line: Line) -> None:
    assert await line.out("wm size") == "Physical size: 1080x2400\n"
    assert await line.out("wm density") == "Physical density: 420\n"
    assert await line.out("getprop ro.product.model") == "Virtual_Phone\n"
    assert await line.out("getprop nothing fallback") == "fallback\n"
    assert "[ro.build.version.sdk]: [34]\n" in await line.out("getprop")
    assert (await line("wm size 1x1")).exit_code == 255


async def test_keyboards(line: Line) -> None:
    before = line.phone.revision
    assert ADB_KEYBOARD in await line.out("ime list -s -a")
    await line.out(f"ime disable {ADB_KEYBOARD}")
    assert ADB_KEYBOARD not in await line.out("ime list -s")
    assert (await line(f"ime set {ADB_KEYBOARD}")).exit_code == 255
    assert (await line("ime set com.nope/.Ime")).exit_code == 255
    assert "now enabled" in await line.out(f"ime enable {ADB_KEYBOARD}")
    assert "selected" in await line.out(f"ime set {ADB_KEYBOARD}")
    assert await line.out("settings get secure default_input_method") == f"{ADB_KEYBOARD}\n"
    assert line.phone.revision > before
    await line.out("ime reset")
    assert line.phone.state.ime.current != ADB_KEYBOARD


@pytest.mark.parametrize(
    ("text", "stderr"),
    [
        ("ls /nope", "ls: /nope: No such file or directory\n"),
        ("cat /sdcard", "cat: /sdcard: Is a directory\n"),
        ("rm /nope", "rm: /nope: Permission denied\n"),
        ("rm /sdcard/nope", "rm: /sdcard/nope: No such file or directory\n"),
        ("rm /sdcard/DCIM", "rm: /sdcard/DCIM: Is a directory\n"),
        ("mkdir /system/x", "mkdir: '/system/x': Read-only file system\n"),
    ],
)
async def test_file_errors(line: Line, text: str, stderr: str) -> None:
    result = await line(text)
    assert (result.exit_code, result.stderr.decode()) == (1, stderr)


async def test_files(line: Line) -> None:
    await line.out("mkdir -p /sdcard/a/b; echo hi > /sdcard/a/b/c.txt")
    assert await line.out("ls /storage/emulated/0/a/b") == "c.txt\n"
    assert "c.txt" in await line.out("ls -l /sdcard/a/b/c.txt")
    await line.out("rm -r /sdcard/a; rm -f /sdcard/a")
    assert "a\n" not in await line.out("ls /sdcard")
