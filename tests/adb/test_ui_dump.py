"""Which texts stand on a screen, by the phone's own list of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adb.device import Device
from app.adb.ui_dump import parse
from app.errors import ScreenshotUnavailable
from tests.phones import PhoneProcess

NODE = '<node index="0" text="{}" content-desc="" password="{}" focused="{}" bounds="{}" />'


def dump(*nodes: str) -> str:
    head = "<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>"
    return f'{head}<hierarchy rotation="0">{"".join(nodes)}</hierarchy>'


async def test_a_phone_tells_its_texts(device: Device, virtual_phone: PhoneProcess) -> None:
    await device.launch("Settings")
    shown = {each.text.partition("\n")[0]: each.box for each in await device.shown_texts()}
    left, top, right, bottom = shown["Bluetooth"]
    assert 0 <= left < right <= 1080
    assert 0 <= top < bottom <= 2400
    told = [event["command"] for event in virtual_phone.events() if event["kind"] == "shell"]
    assert told[-1].endswith("rm -f /data/local/tmp/phonepilot-ui.xml")


async def test_boxes_are_in_pixels_of_the_picture(
    device: Device, virtual_phone: PhoneProcess
) -> None:
    virtual_phone.change_quirks({"override-size": "720x1600"})
    frame = await device.screenshot()
    shown = await device.shown_texts()
    assert (frame.width, frame.height) == (720, 1600)
    assert max(each.box[2] for each in shown) <= 720
    virtual_phone.change_quirks({"override-size": None})


def test_passwords_and_the_focus_are_told() -> None:
    found = parse(
        dump(
            NODE.format("a &amp; &lt;b&gt;", "false", "false", "[0,0][10,20]"),
            NODE.format("", "true", "true", "[5,5][10,20]"),
            NODE.format("", "false", "true", "[5,5][10,20]"),
            NODE.format("off", "false", "false", "nowhere"),
        )
        + "\nUI hierchary dumped to: /dev/tty"
    )
    assert [(each.text, each.box, each.password, each.focused) for each in found] == [
        ("a & <b>", (0, 0, 10, 20), False, False),
        ("", (5, 5, 10, 20), True, True),
    ]


@pytest.mark.parametrize(
    "document",
    [
        "",
        "ERROR: could not get idle state.",
        dump(NODE.format("x", "false", "false", "[0,0][1,1]"))[:-20],
        "<?xml version='1.0'?><!DOCTYPE h [<!ENTITY a 'b'>]><hierarchy></hierarchy>",
        "<?xml version='1.0'?><hierarchy><node></hierarchy>",
    ],
)
def test_what_is_no_whole_list_is_refused(document: str) -> None:
    with pytest.raises(ScreenshotUnavailable):
        parse(document)


@given(st.text())
def test_any_text_is_a_list_or_refused(text: str) -> None:
    for document in (text, dump(text)):
        try:
            parse(document)
        except ScreenshotUnavailable as exc:
            assert exc.message
