"""The picture that a model is sent: exact, or smaller in bytes where a host has a limit."""

from __future__ import annotations

import base64
import io
import random
from datetime import UTC, datetime

from PIL import Image

from app.adb.screen import Frame
from app.agent.dialects.base import image_part
from app.agent.picture import encoded

SIZE = (270, 600)


def frame(width: int, height: int, *, noisy: bool) -> Frame:
    if noisy:
        pixels = random.Random(1).randbytes(width * height * 3)
        image = Image.frombytes("RGB", (width, height), pixels)
    else:
        image = Image.new("RGB", (width, height), (30, 90, 160))
    return Frame(width, height, datetime.now(UTC), image)


def sent(picture: bytes) -> tuple[str, str, tuple[int, int]]:
    """The kind that the URL names, the kind that the picture is, and its size."""
    url = image_part(picture)["image_url"]["url"]
    head, _, data = url.partition(";base64,")
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    return head, str(image.format), image.size


def test_a_picture_within_the_limit_is_exact() -> None:
    seen = frame(*SIZE, noisy=False)
    assert encoded(seen, SIZE, 100_000) == seen.png()
    assert sent(encoded(seen, SIZE, 100_000)) == ("data:image/png", "PNG", SIZE)


def test_a_picture_above_the_limit_is_a_jpeg_of_the_same_size() -> None:
    seen = frame(*SIZE, noisy=True)
    for size in (SIZE, (252, 588)):
        picture = encoded(seen, size, 100_000)
        assert sent(picture) == ("data:image/jpeg", "JPEG", size)
        assert len(picture) < len(encoded(seen, size))


def test_without_a_limit_no_picture_loses_anything() -> None:
    seen = frame(*SIZE, noisy=True)
    assert encoded(seen, SIZE) == seen.png()
