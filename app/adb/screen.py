"""Decodes the phone's screenshots to frames, and validates them; pure.

Raw `screencap` output is a header of little-endian u32 `width, height, format[, colorspace]` (12
bytes before Android 9, 16 since; AOSP `frameworks/base/cmds/screencap`) and the pixels, without row
padding. Anything that is not a complete screenshot raises ScreenshotUnavailable; nothing is filled
in.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from PIL import Image

from app.errors import ScreenshotUnavailable

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"IEND\xaeB`\x82"
_PNG_SIZE = struct.Struct(">2I")
_PNG_HEAD = 33  # signature and IHDR
_MAX_SIDE = 16_384
_MAX_PIXELS = 16_000_000
"""Twice a 4K display; no phone or tablet has more."""
MAX_BYTES = 4 * _MAX_PIXELS + 2**16
"""Most bytes of a screenshot, raw or PNG, with any text around it."""
_RAW_HEADER = struct.Struct("<3I")
_HEADER_SIZES = (12, 16)
# android.graphics.PixelFormat: bytes per pixel, Pillow's name of the layout
_FORMATS = {1: (4, "RGBX"), 2: (4, "RGBX"), 3: (3, "RGB"), 4: (2, "BGR;16")}
_MASK = (96, 96, 96)
_BLACK = 10
"""The brightest channel value that counts as black."""
_SAMPLE = (16, 32)
_BARS = 0.06
"""The share of the height, at top and bottom, where status and navigation bars may be lit."""


FINGERPRINT_STEP = 16
"""Screen pixels per fingerprint pixel: coarse enough to be cheap, fine enough to see text."""


def scale(image: Image.Image, width: int, height: int) -> Image.Image:
    """Return the image as a model sees it: RGB, `width` x `height`, with the Hamming filter."""
    return image.convert("RGB").resize((width, height), Image.Resampling.HAMMING)


def _encode_png(image: Image.Image) -> bytes:
    """Encode an RGB image as PNG, with filter 0 on every row.

    This takes half the time of Pillow's encoder, which tries five filters on each row, and the
    result is no larger for pictures of user interfaces.
    """
    row = 3 * image.width
    pixels = image.tobytes()
    rows = b"".join([b"\0" + pixels[at : at + row] for at in range(0, len(pixels), row)])
    header = struct.pack(">2I5B", image.width, image.height, 8, 2, 0, 0, 0)  # 8 bits, RGB
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b""))
    return PNG_SIGNATURE + b"".join(
        len(data).to_bytes(4) + name + data + zlib.crc32(name + data).to_bytes(4)
        for name, data in chunks
    )


@dataclass(frozen=True, eq=False)
class Frame:
    """One screenshot; `width` and `height` in pixels, `taken_at` in UTC."""

    width: int
    height: int
    taken_at: datetime
    image: Image.Image = field(repr=False)
    """The pixels as RGB; not to be modified."""
    phone_png: bytes | None = field(default=None, repr=False)
    """The picture as the phone sent it, if it sent a PNG."""
    _worked_out: dict[str, bytes] = field(default_factory=dict, repr=False)

    def again(self, taken_at: datetime) -> Frame:
        """Return the same pixels at another time; derived data is not computed again."""
        return replace(self, taken_at=taken_at)

    def png(self) -> bytes:
        """Return the phone's own PNG, or the raw pixels encoded once."""
        return self.phone_png or self._once("png", lambda: _encode_png(self.image))

    def _once(self, name: str, work: Callable[[], bytes]) -> bytes:
        # Two threads may both compute it; the results are the same.
        if name not in self._worked_out:
            self._worked_out[name] = work()
        return self._worked_out[name]

    def scaled_png(self, width: int, height: int) -> bytes:
        return _encode_png(scale(self.image, width, height))

    def scaled_jpeg(self, width: int, height: int, quality: int) -> bytes:
        buffer = io.BytesIO()
        scale(self.image, width, height).save(buffer, "JPEG", quality=quality)
        return buffer.getvalue()

    def jpeg(self, max_side: int, quality: int = 80) -> bytes:
        """Encode a JPEG whose longer side is at most `max_side`."""
        ratio = min(1.0, max_side / max(self.width, self.height))
        size = max(1, round(self.width * ratio)), max(1, round(self.height * ratio))
        half = self.image.reduce(2) if ratio <= 0.5 else self.image  # a fifth of resize's time
        image = half if half.size == size else half.resize(size, Image.Resampling.HAMMING)
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        return buffer.getvalue()

    def masked(self, boxes: Sequence[tuple[int, int, int, int]]) -> Frame:
        """Return the screen with these boxes (left, top, right, bottom in pixels) painted over."""
        image = self.image.copy()
        for left, top, right, bottom in boxes:
            box = (max(0, left), max(0, top), min(self.width, right), min(self.height, bottom))
            if box[0] < box[2] and box[1] < box[3]:
                image.paste(_MASK, box)
        return Frame(self.width, self.height, self.taken_at, image)

    def fingerprint(self) -> bytes:
        """Return the screen without its status bar as a small picture in 32 greys, row by row."""
        return self._once("fingerprint", self._small_picture)

    def _small_picture(self) -> bytes:
        below_clock = (0, self.height // 24, self.width, self.height)
        small = self.image.reduce(FINGERPRINT_STEP, box=below_clock)
        return small.convert("L").point([value & 0xF8 for value in range(256)]).tobytes()

    def is_black(self) -> bool:
        """Whether everything between the two bars is black: screen off, or a secure window."""
        bar = int(self.height * _BARS)
        box = (0, bar, self.width, max(self.height - bar, bar + 1))
        # A few hundred pixels decide for nearly every screen that is not black.
        sample = self.image.resize(_SAMPLE, Image.Resampling.NEAREST, box=box)
        if max(sample.convert("L").tobytes()) > _BLACK:
            return False
        middle = self.image.crop(box)
        return middle.convert("L").point(lambda value: 255 * (value > _BLACK)).getbbox() is None


def decode_raw(data: bytes, taken_at: datetime | None = None) -> Frame:
    """Decode the output of `screencap` without `-p`; raises ScreenshotUnavailable."""
    if len(data) < max(_HEADER_SIZES):
        raise ScreenshotUnavailable(f"screenshot of {len(data)} bytes: {_excerpt(data)}")
    width, height, kind = _RAW_HEADER.unpack_from(data)
    if not (0 < width <= _MAX_SIDE and 0 < height <= _MAX_SIDE and width * height <= _MAX_PIXELS):
        raise ScreenshotUnavailable(f"not a screenshot: {_excerpt(data)}")
    if kind not in _FORMATS:
        raise ScreenshotUnavailable(f"pixel format {kind:#x} is not supported")
    depth, layout = _FORMATS[kind]
    header = len(data) - width * height * depth
    if header not in _HEADER_SIZES:
        raise ScreenshotUnavailable(
            f"{len(data)} bytes are not a whole screenshot of {width}x{height}"
        )
    pixels = memoryview(data)[header:]
    image = Image.frombytes("RGB", (width, height), pixels, "raw", layout)
    return Frame(width, height, taken_at or datetime.now(UTC), image)


def decode_png(data: bytes, taken_at: datetime | None = None, last: Frame | None = None) -> Frame:
    """Decode the output of `screencap -p`; raises ScreenshotUnavailable.

    A warning printed before the picture (phones with two displays) is cut off. A picture that
    equals `last` byte for byte is not decoded again, so an unchanged screen costs only a
    comparison.
    """
    start = data.find(PNG_SIGNATURE, 0, 4096)
    if start < 0:
        raise ScreenshotUnavailable(f"not a screenshot: {_excerpt(data)}")
    data = bytes(data[start:])
    if last is not None and last.phone_png == data:
        return last.again(taken_at or datetime.now(UTC))
    if len(data) < _PNG_HEAD or not data.endswith(_PNG_END):
        raise ScreenshotUnavailable("the screenshot ends too early")
    width, height = _PNG_SIZE.unpack_from(data, len(PNG_SIGNATURE) + 8)
    if not (0 < width <= _MAX_SIDE and 0 < height <= _MAX_SIDE and width * height <= _MAX_PIXELS):
        raise ScreenshotUnavailable(f"not a screenshot but a picture of {width}x{height}")
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            pixels = image.convert("RGB")
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error) as exc:
        raise ScreenshotUnavailable(f"broken screenshot: {exc}") from exc
    return Frame(width, height, taken_at or datetime.now(UTC), pixels, data)


def _excerpt(data: bytes) -> str:
    text = data[:120].decode("utf-8", "replace").strip()
    return text if text and text.isprintable() else repr(bytes(data[:24]))
