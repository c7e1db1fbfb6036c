"""What the guard judges, and what it says about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scene:
    """What is known of the screen under the finger.

    `app` is the app's name for people. `target` is the text under the finger, or that of the
    focused field where text is typed; "" when unknown. `nearby` are other texts that belong to the
    touched place: those of the same dialog, row or card. `read` says whether the phone reported its
    texts at all.
    """

    package: str = ""
    activity: str = ""
    app: str = ""
    target: str = ""
    nearby: tuple[str, ...] = ()
    read: bool = False


@dataclass(frozen=True)
class Ruling:
    """`confirm` is the question for the person, `refuse` what the model is told; both are empty
    when the action is free.

    The question says what the rule saw, never the model's words as if they were fact. `category`
    is a stable name ("pay"; "model" when only the model itself asks), `rule` the stable id of the
    entry that matched ("pay:word:en:checkout").
    """

    confirm: str = ""
    refuse: str = ""
    category: str = ""
    rule: str = ""


FREE = Ruling()
