"""The compiled categories of a task: which one applies to an action, and by which entry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from app.agent.actions import Action, Drag, Key, Swipe, TypeText
from app.agent.guard.category import Category, Lists, matching
from app.agent.guard.label import Label
from app.agent.guard.phrases import Entry, Kind, Phrases
from app.agent.guard.scene import Scene
from app.agent.guard.thought import Thought, field_in, read

_SLIDERS = 60
"""Longest text of a slider, in characters; a longer text is for reading."""


@dataclass(frozen=True)
class Finding:
    """Why a category applies: the `rule` that matched, and what it saw, in words for a person."""

    category: Category
    rule: str
    seen: str


@dataclass(frozen=True)
class Rules:
    """The lists of all categories, compiled for searching."""

    categories: tuple[Category, ...]
    said: Phrases
    fields: Phrases

    def finding(self, action: Action, scene: Scene, thought: str) -> Finding | None:
        """Return the finding of the first category that applies to this touch."""
        look = _Look(self, action, scene, thought)
        component = f"{scene.package}/{scene.activity}"
        for category in self.categories:
            if matching(component, category.free_in):
                continue
            if finding := look.judge(category, component):
                return finding
        return None


@lru_cache(maxsize=4)
def compiled(categories: tuple[Category, ...]) -> Rules:
    """Compile the categories. Cached, because many tasks have the same categories."""
    said = [
        entry
        for each in categories
        for entry in (*_entries(each, "word", each.words), *_entries(each, "label", each.labels))
    ]
    fields = [entry for each in categories for entry in _entries(each, "field", each.fields)]
    return Rules(categories, Phrases(said), Phrases(fields))


def _entries(category: Category, kind: Kind, lists: Lists) -> Iterator[Entry]:
    for language, entries in lists.items():
        for text in entries:
            yield Entry(category.name, kind, language, text)


@dataclass
class _Look:
    """One action on one screen, parsed once for all categories."""

    rules: Rules
    action: Action
    scene: Scene
    thought: str
    label: Label = field(init=False)
    said: Thought = field(init=False)
    nearby: Thought = field(init=False)

    def __post_init__(self) -> None:
        rules, scene = self.rules, self.scene
        typing = isinstance(self.action, TypeText)
        self.label = Label(scene.target, rules.fields if typing else rules.said)
        slides = isinstance(self.action, Swipe | Drag)
        self.said = Thought() if typing else read(self.thought, rules.said, slides=slides)
        around = "\n".join(text[:300] for text in scene.nearby[:40])
        self.nearby = read(around.replace("?", "."), rules.said)

    def judge(self, category: Category, component: str) -> Finding | None:
        place = matching(component, category.ask_in)
        loose = bool(place or matching(component, category.look_in))
        if isinstance(self.action, TypeText):
            return self._typing(category, component, place)
        if isinstance(self.action, Key):
            return self._pressing(category, component, place)
        if isinstance(self.action, Swipe | Drag):
            return self._sliding(category, place)
        return self._touching(category, place, loose=loose)

    def _typing(self, category: Category, component: str, place: str) -> Finding | None:
        if self.label.known:
            if entry := self.label.field_of(category.name):
                return _by(category, entry, "the name of the field")
        elif entry := field_in(self.thought, self.rules.fields, category.name):
            return _by(category, entry, "what the model says that it types into")
        elif place:
            return _at(category, place)
        assert isinstance(self.action, TypeText)
        line_end = self.action.submit or self.action.text.endswith(("\n", "\r"))
        if line_end:
            return self._sending(category, component)
        return None

    def _sending(self, category: Category, component: str) -> Finding | None:
        if category.enter and matching(component, category.look_in):
            return Finding(category, f"{category.name}:enter", "a line end, which may send")
        return None

    def _pressing(self, category: Category, component: str, place: str) -> Finding | None:
        """Enter activates the focused control: it sends a text or presses a button."""
        assert isinstance(self.action, Key)
        if self.action.key not in ("enter", "menu", "delete"):
            return None
        if self.action.key == "enter":
            if finding := self._sending(category, component):
                return finding
            if entry := self.said.entry_of(category.name, known=False):
                return _by(category, entry, "what the model says")
        return _at(category, place) if place else None

    def _sliding(self, category: Category, place: str) -> Finding | None:
        swipe = self.action
        assert isinstance(swipe, Swipe | Drag)
        if self.label.known and len(self.scene.target) <= _SLIDERS:
            slider = read(self.scene.target, self.rules.said, slides=True)
            for intent in slider.intents:
                if intent.slid and intent.entry.owner == category.name:
                    return _by(category, intent.entry, "the label")
        across = _across(swipe)
        for intent in self.said.intents:
            named = intent.strength == "named" and not (self.said.touches_it and intent.slid)
            if intent.entry.owner != category.name or named:
                continue
            if intent.slid or (across and not self.label.known and not self.said.touches_other):
                return _by(category, intent.entry, "what the model says")
        return _at(category, place) if place and not self.label.known else None

    def _touching(self, category: Category, place: str, *, loose: bool) -> Finding | None:
        if entry := self.label.entry_of(category.name, loose=loose):
            return _by(category, entry, "the label")
        if place and (entry := self.label.holds(category.name)):
            return _by(category, entry, "the label")
        agrees = self.label.agrees
        if agrees and (entry := self.nearby.entry_of(category.name, known=False)):
            return _by(category, entry, "the text beside it")
        if not self.label.known and (entry := self._caption(category)):
            return _by(category, entry, "the text beside it")
        if self.label.digits and (entry := self._asked_for(category)):
            return _by(category, entry, "the text beside it")
        known = self.label.known and not agrees
        if entry := self.said.entry_of(category.name, known=known):
            return _by(category, entry, "what the model says")
        return _at(category, place) if place and not (known and self.label.clear) else None

    def _caption(self, category: Category) -> Entry | None:
        """Return an entry in the text next to an icon."""
        for text in self.scene.nearby[:3]:
            if entry := Label(text, self.rules.said).entry_of(category.name, loose=False):
                return entry
        return None

    def _asked_for(self, category: Category) -> Entry | None:
        """Return the field that an on-screen keypad fills; its last digit may submit it."""
        for text in self.scene.nearby[:8]:
            if entry := Label(text, self.rules.fields).field_of(category.name):
                return entry
        return None


def _across(swipe: Swipe | Drag) -> bool:
    (x1, y1), (x2, y2) = swipe.start, swipe.end
    return abs(x2 - x1) > abs(y2 - y1)


def _by(category: Category, entry: Entry, seen: str) -> Finding:
    kind = entry.kind
    return Finding(
        category,
        f"{category.name}:{kind}:{entry.language}:{entry.text}",
        f'"{entry.text}" in {seen}',
    )


def _at(category: Category, pattern: str) -> Finding:
    return Finding(category, f"{category.name}:app:{pattern}", f"the app or page {pattern}")


def sensitive(categories: Sequence[Category], package: str, activity: str) -> bool:
    """Whether labels are worth reading in this app and page."""
    component = f"{package}/{activity}"
    return any(matching(component, (*each.ask_in, *each.look_in)) for each in categories)
