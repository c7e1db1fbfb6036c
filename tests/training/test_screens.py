"""Training screens: the picture, what lies under each cell, and the questions about it."""

from __future__ import annotations

import random
from itertools import islice

import numpy as np

from app.agent.dialects.autoglm import AUTOGLM
from app.virtual_phone.display import HEIGHT
from app.virtual_phone.phone import Phone
from training.screens import (
    CELL_CLASSES,
    COLUMNS,
    GOALS_PER_SCREEN,
    IMAGE_HEIGHT,
    IMAGE_WIDTH,
    ROWS,
    cells,
    screens,
    walk,
)

NAMES = {number: name for name, number in CELL_CLASSES.items()}


def test_a_screen_has_the_shape_that_the_network_reads() -> None:
    for screen in islice(screens(1), 20):
        assert screen.pixels.shape == (IMAGE_HEIGHT, IMAGE_WIDTH, 3)
        assert screen.cells.shape == (ROWS, COLUMNS)
        assert len(screen.questions) == GOALS_PER_SCREEN
        for question in screen.questions:
            assert AUTOGLM.read(question.reply).thought


def test_the_same_seed_gives_the_same_screens_and_another_gives_others() -> None:
    first, again, other = (list(islice(screens(seed), 5)) for seed in (1, 1, 2))
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(first, again, strict=True))
    assert [a.questions for a in first] == [b.questions for b in again]
    assert [a.questions for a in first] != [b.questions for b in other]


def test_cells_say_what_the_eye_sees() -> None:
    phone = Phone(9)
    phone.launch("com.android.settings")
    seen = {NAMES[int(number)] for number in cells(phone).flat}
    for spot in phone.scene().spots:
        if spot.kind == "switch" and spot.rect.height > HEIGHT / ROWS:
            assert f"switch:{spot.name}:{spot.value}" in seen
    phone.press_key(3)
    names = [NAMES[int(number)] for number in cells(phone).flat]
    labels = {name.removeprefix("icon:") for name in names if "icon:" in name}
    assert labels == {spot.name for spot in phone.scene().spots if spot.kind == "icon"}


def test_a_walk_remembers_each_turn() -> None:
    choose, longest = random.Random(5), 0
    for seed in range(10):
        turns = [screen.questions[0].turns for screen in walk(Phone(0), choose, seed)]
        assert [len(turn) for turn in turns] == list(range(len(turns)))
        longest = max(longest, len(turns))
    assert longest > 3
