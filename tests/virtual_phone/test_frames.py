"""The virtual phone looks as it did when the demo model was trained on it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from app.virtual_phone.phone import Phone
from tests.virtual_phone.frames import SHEET, SIZE, screens, small
from tests.virtual_phone.touch import SETTINGS, opened, tap

SCREENS = screens()
MEAN = 0.1
"""Of 255. Other releases of Pillow and FreeType move the edges of letters by less than this."""

Pixels = npt.NDArray[np.int16]


def pixels(image: Image.Image) -> Pixels:
    return np.asarray(image, dtype=np.int16)


def difference(seen: Pixels, stored: Pixels) -> float:
    return float(np.abs(seen - stored).mean())


@pytest.mark.parametrize(("number", "name"), list(enumerate(name for name, _ in SCREENS)))
def test_a_screen_looks_as_the_demo_model_learned_it(number: int, name: str) -> None:
    left = number * SIZE[0]
    with Image.open(SHEET) as sheet:
        assert sheet.size == (SIZE[0] * len(SCREENS), SIZE[1])
        stored = pixels(sheet.crop((left, 0, left + SIZE[0], SIZE[1])))
    off = difference(pixels(small(SCREENS[number][1])), stored)
    assert off < MEAN, (
        f"{name} looks different ({off:.2f} of 255 on average). The shipped demo model was trained "
        "on the old pixels: train it anew (training/README.md), then run "
        "`python -m tests.virtual_phone.frames`."
    )


def test_the_comparison_sees_a_single_switch() -> None:
    phone = opened(SETTINGS, seed=9)
    before = pixels(small(phone.frame()))
    tap(phone, "switch", "Bluetooth")
    assert difference(pixels(small(phone.frame())), before) > MEAN


def test_the_comparison_sees_a_shift_of_a_few_pixels() -> None:
    frame = Phone(9).frame()
    moved = frame.transform(frame.size, Image.Transform.AFFINE, (1, 0, 0, 0, 1, 4))
    assert difference(pixels(small(moved)), pixels(small(frame))) > MEAN
