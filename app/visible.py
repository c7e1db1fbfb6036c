"""Makes text safe to show: removes characters that are invisible or change its direction.

A label, a name or a model's words may contain characters that reorder or hide others, so that a
person agrees to something other than what they read. They are removed from every text shown to a
person.
"""

from __future__ import annotations

import re

_INVISIBLE = (
    "\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f"  # control characters except tab and newline
    "\\xad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f"
    "\\u200b\\u200c\\u200e\\u200f\\u202a-\\u202e\\u2060-\\u206f\\u2800\\u3164"
    "\\ud800-\\udfff\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb"
    "\\U00013430-\\U0001343f\\U0001bca0-\\U0001bca3\\U0001d173-\\U0001d17a"
    "\\U000e0000-\\U000e0fff"
)
"""Category Cf, characters that Unicode lets a renderer ignore, blank letters, lone surrogates. Not
included: the zero-width joiner, which depends on its neighbours, and the characters of category Cf
that are visible (such as U+0600 to U+0605, which precede Arabic and Syriac numbers)."""

_EMOJI = "\\u203c-\\u3299\\U0001f000-\\U0001faff"
_JOINER = "\u200d"
_LINE_END = re.compile("\r\n?|[\u2028\u2029]")
_GONE = re.compile(f"[{_INVISIBLE}]+")
_LOOSE_JOINER = re.compile(f"(?<![{_EMOJI}]){_JOINER}|{_JOINER}(?![{_EMOJI}])")


def visible(text: str) -> str:
    """Remove invisible and direction-changing characters from `text`; newlines and tabs stay.

    A zero-width joiner stays between two emoji, which it joins into one. Idempotent.
    """
    seen = _GONE.sub("", _LINE_END.sub("\n", text))
    return _LOOSE_JOINER.sub("", seen) if _JOINER in seen else seen


def one_line(text: str, limit: int) -> str:
    """Return `visible` text on one line of at most `limit` characters; the last is an ellipsis if
    the text was longer."""
    flat = " ".join(visible(text[: 4 * limit]).split())
    return flat if len(flat) <= limit else visible(flat[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}")
