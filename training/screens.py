"""Training examples: screens of the virtual phone, the questions about them and the right replies.

A screen is drawn once and asked about several times: one question comes from a walk of the oracle,
with that walk as its history, the others are fresh goals for the same screen. What lies under each
28 x 28 cell of the image is kept too, for the second loss.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np
import numpy.typing as npt

from app.adb.screen import scale
from app.agent.actions import Back, Home, Swipe, Tap
from app.agent.dialects.autoglm import AUTOGLM
from app.virtual_phone.apps import launcher
from app.virtual_phone.apps.catalogue import APPS
from app.virtual_phone.apps.settings import SWITCHES
from app.virtual_phone.display import HEIGHT, WIDTH
from app.virtual_phone.phone import KEY_BACK, KEY_HOME, Phone
from training.goals import Goal, sample_goal, sample_open_goal, sample_switch_goal
from training.oracle import SETTINGS, Advice, advise

IMAGE_WIDTH, IMAGE_HEIGHT, CELL = 252, 560, 28
COLUMNS, ROWS = IMAGE_WIDTH // CELL, IMAGE_HEIGHT // CELL
IMAGE_TOKENS = COLUMNS * ROWS
GOALS_PER_SCREEN = 8
DEAD_TOUCH = 0.2
"""How often a touch of the walk does nothing: the model shall trust the screen, not its plan."""
MAX_STEPS = 12

_KINDS = (
    "",
    "home",
    "header",
    "row",
    "slider",
    "link",
    "title",
    "text",
    "key",
    "keyboard",
    "button",
    "field",
    "dialog",
    "tile",
    "picture",
    "shade",
)
CELL_CLASSES: dict[str, int] = {
    name: number
    for number, name in enumerate(
        [
            *_KINDS,
            *(f"icon:{app.badge.label}" for app in APPS.values()),
            *(f"switch:{s.title}:{value}" for s in SWITCHES for value in ("off", "on")),
            "switch",
        ]
    )
}


@dataclass(frozen=True)
class Question:
    """One request to the model and the reply it should give."""

    turns: tuple[tuple[str, str], ...]
    user: str
    reply: str


@dataclass(frozen=True)
class Screen:
    """`pixels` is uint8 (height, width, 3); `cells` int64 (rows, columns) of CELL_CLASSES."""

    pixels: npt.NDArray[np.uint8]
    cells: npt.NDArray[np.int64]
    questions: tuple[Question, ...]


@lru_cache(maxsize=1)
def system_prompt() -> str:
    prompts = resources.files("app.agent") / "prompts"
    return (prompts / "demo.en.md").read_text(encoding="utf-8").strip()


def walk(phone: Phone, choose: random.Random, seed: int) -> Iterator[Screen]:
    """The screens on the way from a random start to a random goal, each with its questions."""
    phone.reset(seed, scatter=True)
    goal = sample_goal(choose)
    turns: list[tuple[str, str]] = []
    for _ in range(MAX_STEPS):
        advice = advise(phone, goal)
        user = AUTOGLM.user_text(goal.text, phone.foreground.label, first=not turns)
        reply = AUTOGLM.assistant_text(advice.thought, advice.call)
        fresh = [_fresh_question(phone, choose) for _ in range(GOALS_PER_SCREEN - 1)]
        yield draw(phone, (Question(tuple(turns), user, reply), *fresh))
        if advice.done:
            return
        turns.append((user, reply))
        if choose.random() >= DEAD_TOUCH:
            act(phone, advice)


def _fresh_question(phone: Phone, choose: random.Random) -> Question:
    goal: Goal
    foreground, dice = phone.foreground.package, choose.random()
    if foreground == launcher.BADGE.package and dice < 0.5:
        goal = sample_open_goal(choose)
    elif foreground == SETTINGS and dice < 0.7:
        goal = sample_switch_goal(choose)
    else:
        goal = sample_goal(choose)
    advice = advise(phone, goal)
    user = AUTOGLM.user_text(goal.text, phone.foreground.label, first=True)
    return Question((), user, AUTOGLM.assistant_text(advice.thought, advice.call))


def draw(phone: Phone, questions: tuple[Question, ...]) -> Screen:
    return Screen(pixels(phone), cells(phone), questions)


def pixels(phone: Phone) -> npt.NDArray[np.uint8]:
    """The screen as the agent sends it: by the same function that makes its requests."""
    return np.asarray(scale(phone.frame(), IMAGE_WIDTH, IMAGE_HEIGHT), dtype=np.uint8)


def cells(phone: Phone) -> npt.NDArray[np.int64]:
    """What lies under the middle of each cell, topmost first."""
    scene = phone.scene()
    found = np.zeros((ROWS, COLUMNS), dtype=np.int64)
    for row in range(ROWS):
        for column in range(COLUMNS):
            x, y = (column + 0.5) * WIDTH / COLUMNS, (row + 0.5) * HEIGHT / ROWS
            for spot in scene.at(x, y):
                names = (f"{spot.kind}:{spot.name}:{spot.value}", f"{spot.kind}:{spot.name}")
                name = next((n for n in (*names, spot.kind) if n in CELL_CLASSES), None)
                if name is not None:
                    found[row, column] = CELL_CLASSES[name]
                    break
    return found


def act(phone: Phone, advice: Advice) -> None:
    """Do on the phone what the agent would do with that reply."""
    action = AUTOGLM.read(AUTOGLM.assistant_text(advice.thought, advice.call)).action
    match action:
        case Tap():
            phone.tap(*_pixels_at(action.element))
        case Swipe():
            phone.swipe(*_pixels_at(action.start), *_pixels_at(action.end), 500)
        case Back():
            phone.press_key(KEY_BACK)
        case Home():
            phone.press_key(KEY_HOME)
        case _:
            raise ValueError(f"the oracle does not use {action.kind}")


def _pixels_at(point: tuple[float, float]) -> tuple[int, int]:
    return int(point[0] * WIDTH / 1000), int(point[1] * HEIGHT / 1000)


def screens(seed: int) -> Iterator[Screen]:
    """An endless stream of training screens; streams of different seeds do not overlap."""
    choose = random.Random(f"screens {seed}")
    phone = Phone(0)
    while True:
        yield from walk(phone, choose, choose.randrange(TRAINING_SEEDS, 2**40))


TRAINING_SEEDS = 1_000_000
"""Phones of training have seeds from here on; tests and measurements use smaller ones."""
