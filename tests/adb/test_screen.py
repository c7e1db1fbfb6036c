"""Screenshots are whole or refused, and reach the model as the same pixels."""

from __future__ import annotations

import io
import struct
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from app.adb.screen import decode_png, decode_raw, scale
from app.errors import ScreenshotUnavailable

PICTURE = Image.linear_gradient("L").resize((40, 60)).convert("RGB")


def raw(
    image: Image.Image, kind: int = 1, layout: str = "RGBA", *, colorspace: bool = True
) -> bytes:
    extra = struct.pack("<I", 1) if colorspace else b""
    pixels = image.convert(layout).tobytes() if layout in ("RGBA", "RGB") else b""
    return struct.pack("<3I", *image.size, kind) + extra + pixels


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("colorspace", [True, False])
@pytest.mark.parametrize(("kind", "layout"), [(1, "RGBA"), (2, "RGBA"), (3, "RGB")])
def test_raw_pixels_survive(kind: int, layout: str, colorspace: bool) -> None:
    frame = decode_raw(raw(PICTURE, kind, layout, colorspace=colorspace))
    assert (frame.width, frame.height) == PICTURE.size
    assert frame.taken_at.tzinfo is UTC
    assert frame.image.tobytes() == PICTURE.tobytes()
    assert decode_png(frame.png()).image.tobytes() == PICTURE.tobytes()
    assert frame.png() is frame.png()


def test_rgb_565_has_red_in_the_high_bits() -> None:
    red, blue = 0b11111 << 11, 0b11111
    pixels = struct.pack("<10H", *[red] * 5, *[blue] * 5)
    frame = decode_raw(struct.pack("<4I", 5, 2, 4, 1) + pixels)
    assert frame.image.getpixel((0, 0)) == (255, 0, 0)
    assert frame.image.getpixel((0, 1)) == (0, 0, 255)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"Status: -1",
        b"java.lang.SecurityException: no permission to read the frame buffer",
        raw(PICTURE)[:-1],
        raw(PICTURE) + b"\0",
        raw(PICTURE, 0x2B),
        struct.pack("<4I", 0, 0, 1, 1),
        struct.pack("<4I", 2**31, 2**31, 1, 1),
    ],
)
def test_what_is_no_whole_raw_screenshot_is_refused(data: bytes) -> None:
    with pytest.raises(ScreenshotUnavailable):
        decode_raw(data)


def test_the_phones_own_png_passes_through() -> None:
    data = png(PICTURE)
    assert decode_png(data).png() == data
    assert decode_png(b"[Warning] Multiple displays were found\n" + data).png() == data


@pytest.mark.parametrize("cut", [1, 12, 60])
def test_a_cut_png_is_refused(cut: int) -> None:
    with pytest.raises(ScreenshotUnavailable):
        decode_png(png(PICTURE)[:-cut])


def test_a_png_with_damaged_pixels_is_refused() -> None:
    data = bytearray(png(PICTURE))
    start = data.index(b"IDAT") + 4
    data[start : start + 8] = bytes(8)
    with pytest.raises(ScreenshotUnavailable):
        decode_png(bytes(data))


@given(st.binary(max_size=200))
def test_no_bytes_make_the_decoders_fail_otherwise(noise: bytes) -> None:
    whole = png(PICTURE)
    for data in (noise, whole[:40] + noise, whole[:40] + noise + whole[-12:]):
        for decode in (decode_raw, decode_png):
            try:
                decode(data)
            except ScreenshotUnavailable:
                continue


def test_the_model_sees_what_training_saw() -> None:
    frame = decode_raw(raw(PICTURE))
    sent = Image.open(io.BytesIO(frame.scaled_png(28, 56)))
    assert sent.mode == "RGB"
    assert sent.tobytes() == scale(PICTURE, 28, 56).tobytes()


def test_jpeg_keeps_the_shape_and_never_grows() -> None:
    frame = decode_raw(raw(PICTURE))
    assert Image.open(io.BytesIO(frame.jpeg(30))).size == (20, 30)
    assert Image.open(io.BytesIO(frame.jpeg(5000))).size == PICTURE.size


def test_black_below_a_status_bar_is_black() -> None:
    image = Image.new("RGB", (100, 200))
    assert decode_raw(raw(image)).is_black()
    image.paste((255, 255, 255), (0, 0, 100, 8))
    assert decode_raw(raw(image)).is_black()
    image.putpixel((50, 100), (255, 255, 255))
    assert not decode_raw(raw(image)).is_black()


def test_a_picture_that_is_the_last_one_byte_for_byte_is_the_same_screen_at_a_later_time() -> None:
    first = decode_png(png(PICTURE))
    later = decode_png(png(PICTURE), last=first)
    assert later.image is first.image
    assert later.taken_at >= first.taken_at
    assert later.fingerprint() == first.fingerprint()
    other = PICTURE.copy()
    other.putpixel((3, 3), (1, 2, 3))
    assert decode_png(png(other), last=first).image.tobytes() == other.tobytes()
