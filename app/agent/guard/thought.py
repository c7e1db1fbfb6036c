"""Finds what a model's thought says it is doing now, using word lists and simple grammar.

A word alone means little: "I see a Pay tab" pays nothing. What counts is who does what: an order or
the first person with a verb, or a named control that is touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from app.agent.guard import grammar
from app.agent.guard.phrases import Entry, Match, Phrases
from app.agent.guard.tokens import Clause, Word, clauses, normalise

LOOKED_AT = 3000
"""Characters of a thought that are read at its beginning, and again at its end."""
_BEFORE, _AFTER = 24, 12
"""Words before and after a match that are examined."""
_MAX_MATCHES = 400

Strength = Literal["touched", "aimed", "meant", "named"]


@dataclass(frozen=True)
class Intent:
    """A list entry as a thought mentions it.

    "touched": the control that is touched now ("tap Send"). "aimed": the purpose of a touch ("tap
    the arrow to send"). "meant": an action without a touch ("I send it"). "named": only something
    on the screen ("the Send button is green"). `slid` is true for a sliding gesture ("swipe up to
    pay").
    """

    entry: Entry
    strength: Strength
    slid: bool = False


@dataclass(frozen=True)
class Thought:
    """`touches_other`: the thought names what it touches, with a name that is in no list.
    `touches_it`: it touches something that it names elsewhere ("tap it", "the button at the
    bottom")."""

    intents: tuple[Intent, ...] = ()
    touches_other: bool = False
    touches_it: bool = False

    def entry_of(self, owner: str, *, known: bool) -> Entry | None:
        """Return the owner's entry that the action is about, or None.

        If the label under the finger is known, only an entry that is touched by name counts.
        """
        counting: set[str] = {"touched"} if known else {"touched", "aimed"}
        if not known and not self.touches_other:
            counting |= {"meant", "named"} if self.touches_it else {"meant"}
        for intent in self.intents:
            if intent.entry.owner == owner and intent.strength in counting:
                return intent.entry
        return None


def bounded(text: str) -> str:
    """Return the beginning and the end of a text that is too long."""
    if len(text) <= 2 * LOOKED_AT:
        return text
    return f"{text[:LOOKED_AT]}\n{text[-LOOKED_AT:]}"


def read(text: str, phrases: Phrases, *, slides: bool = False) -> Thought:
    """Search a thought for the entries of `phrases`; `slides` if the action is a swipe."""
    touches = grammar.TOUCH | grammar.SLIDE if slides else grammar.TOUCH
    intents: list[Intent] = []
    other = vague = False
    seen = 0
    for clause in clauses(normalise(bounded(text))[: 4 * LOOKED_AT]):
        texts = [word.text for word in clause.words]
        slid = any(word in grammar.SLIDE for word in texts) or _slid_cjk(texts)
        direct = False
        listed: set[int] = set()
        for match in phrases.find(texts):
            seen += 1
            if seen > _MAX_MATCHES:
                break
            strength = _strength(clause, match, touches)
            listed.update(range(match.start, match.end))
            if strength:
                intents.append(Intent(match.entry, strength, slid))
                opened = "".join(texts[max(0, match.start - 2) : match.start])
                direct |= strength == "touched" or opened in ("打开", "开启", "关闭")
        if not direct:
            object_ = _touched(clause, touches, listed)
            other |= object_ == "other"
            vague |= object_ == "it"
    return Thought(tuple(intents), other, vague)


def field_in(text: str, phrases: Phrases, owner: str) -> Entry | None:
    """Return the owner's field entry that a thought about typing mentions."""
    for clause in clauses(normalise(bounded(text))[: 4 * LOOKED_AT]):
        texts = [word.text for word in clause.words]
        for match in phrases.find(texts):
            before = clause.words[max(0, match.start - _BEFORE) : match.start]
            after = clause.words[match.end : match.end + _AFTER]
            if match.entry.owner == owner and not (
                _taken_back(_same_breath(before), after) or _taken_back_unspaced(before, after)
            ):
                return match.entry
    return None


def _slid_cjk(texts: Sequence[str]) -> bool:
    return any(text in "滑拖ス밀" for text in texts) and any(
        sign in "".join(texts) for sign in grammar.SLIDE_CJK
    )


def _strength(clause: Clause, match: Match, touches: frozenset[str]) -> Strength | None:
    if clause.question or match.open_end:  # an open end belongs to buttons in certain apps
        return None
    if match.entry.language in grammar.UNSPACED and clause.words[match.start].text >= "\u2e80":
        strength = _unspaced(clause.words, match)
    else:
        strength = _spaced(clause.words, match, touches)
    return strength if strength == "touched" or match.entry.kind != "label" else None


def _spaced(words: Sequence[Word], match: Match, touches: frozenset[str]) -> Strength | None:
    before = _same_breath(words[max(0, match.start - _BEFORE) : match.start])
    after = words[match.end : match.end + _AFTER]
    following = after[0].text if after else ""
    first = words[match.start]
    if _taken_back(before, after) or following in grammar.PLACES:
        return "named" if following in ("is", "are") and _is_name(before, first) else None
    touch = _last(before, touches)
    if first.quoted:
        return _quoted(words, match, touches)
    looking = [word.text for word in before[-4:] if word.text in grammar.LOOKING]
    if looking or (
        touch is None and any(word.text in grammar.SEEING for word in (*before, *after))
    ):
        if looking and looking[-1] in ("says", "reads"):
            return "named"
        return "named" if following in grammar.PRESSABLE or _is_name(before, first) else None
    if touch is not None:
        between = [word.text for word in before[touch + 1 :]]
        button = any(a in grammar.PRESSED and b in grammar.PURPOSE for a, b in pairwise(between))
        if button or _leads_to(between, following, match):
            return "touched"
    elif match.entry.language != "en" and any(word.text in touches for word in after[:2]):
        return "touched"
    if match.entry.language == "en" and not _is_verb(before, match):
        return "named" if following in grammar.PRESSABLE else None
    if match.form == "s":
        return "touched"
    # "Tap the arrow to send it", "enable it by tapping the switch"
    aims = touch is not None and any(w.text in grammar.PURPOSE for w in before[touch + 1 :])
    return "aimed" if aims or any(word.text in touches for word in after) else "meant"


def _quoted(words: Sequence[Word], match: Match, touches: frozenset[str]) -> Strength | None:
    """Return the strength of a quoted name: touched, or only named on the screen."""
    opening = match.start
    while opening > 0 and not words[opening].opens and match.start - opening < 4:
        opening -= 1
    inside = words[opening : match.start]
    if not words[opening].opens or match.form == "s":
        return None
    filling = grammar.TAILS | grammar.AGREEING | grammar.ADVERBS
    if any(word.text not in filling for word in inside):
        return None
    before = words[max(0, opening - _BEFORE) : opening]
    touch = _last(before, touches)
    if touch is None:
        after = words[match.end : match.end + _AFTER]
        return "touched" if any(word.text in touches for word in after) else "named"
    between = {word.text for word in before[touch + 1 :] if not word.quoted}
    vague = grammar.UNSPECIFIC | grammar.PRESSABLE | grammar.CALLED
    return "touched" if between <= vague else "named"


def _same_breath(before: Sequence[Word]) -> Sequence[Word]:
    """Return the words after the last conjunction."""
    for at in range(len(before) - 1, -1, -1):
        if before[at].text in grammar.BREAKS and not before[at].quoted:
            return before[at + 1 :]
    return before


def _taken_back(before: Sequence[Word], after: Sequence[Word]) -> bool:
    """Whether the match is denied, asked, reported, conditional, or in the past."""
    plain = [word.text for word in before if not word.quoted]
    return (
        _denied(plain[-8:])
        or any(word in grammar.NOT_YET for word in plain[-4:])
        or any(word.text in grammar.NOT_AFTER for word in after[:3])
    )


def _denied(plain: Sequence[str]) -> bool:
    # "Toque no" is Portuguese for "tap on the".
    return any(
        word in grammar.NOT and not (word == "no" and at and plain[at - 1] in grammar.TOUCH)
        for at, word in enumerate(plain)
    )


def _is_name(before: Sequence[Word], first: Word) -> bool:
    return first.quoted or bool(before and before[-1].text in grammar.ARTICLES)


def _last(before: Sequence[Word], touches: frozenset[str]) -> int | None:
    for at in range(len(before) - 1, -1, -1):
        if before[at].text in touches and not before[at].quoted:
            return at
    return None


def _leads_to(between: Sequence[str], following: str, match: Match) -> bool:
    """Whether only words for place and looks are between a touch and what is touched."""
    if any(word not in grammar.UNSPECIFIC or word in grammar.PURPOSE for word in between):
        return False
    english_noun = match.entry.language == "en" and match.end - match.start == 1
    if english_noun and between and between[-1] in grammar.ARTICLES:
        return following in grammar.PRESSABLE
    return True


def _is_verb(before: Sequence[Word], match: Match) -> bool:
    """Whether an English entry is in a verb's position: an order, "I ...", "to ..."."""
    rest = [word.text for word in before]
    while rest and rest[-1] in grammar.ADVERBS:
        rest.pop()
    last = rest[-1] if rest else ""
    if match.form == "ing":
        verb = not last or last in grammar.BEFORE_GERUND
    elif match.form == "s":
        verb = last in grammar.DOERS
    else:
        verb = not last or last in grammar.BEFORE_VERB
    # An entry of several words is not a noun by chance: "perform a factory reset".
    return verb or (match.form == "base" and match.end - match.start > 1)


def _touched(
    clause: Clause, touches: frozenset[str], listed: set[int]
) -> Literal["", "it", "other"]:
    """What a clause says is touched now: nothing, something vague, or something named."""
    words = clause.words
    texts = [word.text for word in words]
    flat = "".join(texts)
    if any(sign in flat for sign in (*grammar.TOUCH_CJK, *grammar.OPENS_CJK)):
        return _touched_unspaced(flat)
    if _denied(texts):
        return ""
    for at, word in enumerate(words):
        if word.quoted:
            continue
        opened = word.text in grammar.OPENS and (at == 0 or texts[at - 1] not in ("is", "are"))
        if word.text in touches or opened:
            places = range(at + 1, len(texts)) if at + 1 < len(texts) else range(at)
            named = False
            for place in places:
                if texts[place] in grammar.PURPOSE | grammar.BREAKS:
                    break
                named |= texts[place] not in grammar.UNSPECIFIC and place not in listed
            return "other" if named or opened else "it"
    return ""


def _unspaced(words: Sequence[Word], match: Match) -> Strength | None:
    row_before = words[max(0, match.start - _BEFORE) : match.start]
    row_after = words[match.end : match.end + _AFTER]
    if _taken_back_unspaced(row_before, row_after):
        return None
    before = "".join(word.text for word in row_before)
    after = "".join(word.text for word in row_after)
    first = words[match.start]
    opened = any(word.opens for word in words[max(0, match.start - 4) : match.start + 1])
    if first.quoted and not opened:
        return None
    at, sign = max((before.rfind(sign), sign) for sign in grammar.TOUCH_CJK)
    if at >= 0 and len(before) - at - len(sign) <= 8:
        return "touched"
    if any(sign in after for sign in grammar.TOUCH_CJK) and not any(
        sign in after for sign in grammar.PURPOSE_CJK
    ):
        return "touched"
    if first.quoted or any(sign in before + after for sign in grammar.SEEING_CJK):
        return "named"
    return "meant"


def _taken_back_unspaced(before: Sequence[Word], after: Sequence[Word]) -> bool:
    said = "".join(word.text for word in before)
    return (
        any(sign in said[-6:] for sign in grammar.NOT_CJK)
        or "".join(word.text for word in after).startswith(grammar.AFTER_CJK)
        or any(sign in said for sign in grammar.GOAL_CJK)
    )


def _touched_unspaced(flat: str) -> Literal["it", "other"]:
    for sign in (*grammar.TOUCH_CJK, *grammar.VAGUE_CJK, *grammar.WHERE_CJK):
        flat = flat.replace(sign, "")
    return "other" if len(flat) > 1 else "it"
