"""The control messages, byte for byte as `ControlMessageReader.java` reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adb.scrcpy import messages
from app.adb.scrcpy.messages import ClipboardSet, ClipboardText, DeviceMessages, UnknownMessage


def test_a_touch_has_32_bytes() -> None:
    sent = messages.touch(messages.DOWN, 540, 1200)
    assert sent == bytes.fromhex(
        "02 00 fffffffffffffffe 0000021c 000004b0 0000 0000 ffff" + 16 * "0"
    )


def test_a_lifted_finger_has_no_pressure() -> None:
    assert messages.touch(messages.UP, 1, 2)[22:24] == b"\0\0"
    assert messages.touch(messages.CANCEL, 1, 2)[22:24] == b"\0\0"
    assert messages.touch(messages.MOVE, 1, 2)[22:24] == b"\xff\xff"


def test_a_key_goes_down_and_up_with_its_meta_state() -> None:
    sent = messages.press(29, messages.META_CTRL)
    assert sent == bytes.fromhex(
        "00 00 0000001d 00000000 00003000 00 01 0000001d 00000000 00003000"
    )


def test_a_text_is_preceded_by_its_bytes() -> None:
    assert messages.text("a é") == b"\x01\0\0\0\x04a \xc3\xa9"


def test_the_clipboard_is_set_with_a_sequence_and_not_pasted() -> None:
    sent = messages.set_clipboard(7, "你")
    assert sent == bytes.fromhex("09 0000000000000007 00 00000003 e4bda0")
    assert messages.set_clipboard(7, "") == bytes.fromhex("09 0000000000000007 00 00000000")
    assert messages.get_clipboard() == b"\x08\0"


@given(st.lists(st.text() | st.integers(0, 2**64 - 1)), st.integers(1, 9))
def test_messages_are_read_however_they_are_split(said: list[str | int], size: int) -> None:
    stream, expected = b"", list[ClipboardText | ClipboardSet]()
    for each in said:
        if isinstance(each, int):
            stream += b"\x01" + each.to_bytes(8)
            expected.append(ClipboardSet(each))
        else:
            stream += b"\0" + len(each.encode()).to_bytes(4) + each.encode()
            expected.append(ClipboardText(each))
    parser = DeviceMessages()
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    assert [message for piece in pieces for message in parser.feed(piece)] == expected


@pytest.mark.parametrize("data", [b"\x02", b"\xff", b"\0\xff\xff\xff\xff", b"\0\0\x04\0\x01"])
def test_anything_else_is_refused_before_it_is_kept(data: bytes) -> None:
    with pytest.raises(UnknownMessage):
        list(DeviceMessages().feed(data))
