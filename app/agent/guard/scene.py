"""The input and the result of the guard: a scene and a ruling."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scene:
    """What is known about the screen under the finger.

    `app` is the app's display name. `target` is the text under the finger, or the text of the
    focused field when typing; "" if unknown. `nearby` are other texts that belong to the touched
    place: those in the same dialog, row or card. `read` is true if the phone reported its texts at
    all.
    """

    package: str = ""
    activity: str = ""
    app: str = ""
    target: str = ""
    nearby: tuple[str, ...] = ()
    read: bool = False


@dataclass(frozen=True)
class Ruling:
    """`confirm` is the question for the person, `refuse` is for the model; both "" if free.

    The question says what the rule saw and never presents the model's words as fact. `category` is
    a stable name ("pay"; "model" if only the model itself asks); `rule` is the stable id of the
    entry that matched ("pay:word:en:checkout").
    """

    confirm: str = ""
    refuse: str = ""
    category: str = ""
    rule: str = ""


FREE = Ruling()
