"""Finds a typed secret in text from the screen, and masks it.

Apps group and capitalise typed text ("4111 1111 ..."), and may show each group in a box of its own.
Only letters and digits are compared, ignoring case.
"""

from __future__ import annotations

import unicodedata

MASK = "•"
_ENOUGH = 4
"""A text of this many letters and digits that is part of a secret is treated as the secret."""


def redacted(text: str, secret: str) -> str:
    """Mask the characters of `text` that belong to the secret, or to enough of it to guess the
    rest: half of it, at least four characters. Text without any of it is returned unchanged."""
    if not secret:
        return text
    text = text.replace(secret, MASK * len(secret))
    shown = _plain(text)
    hidden = "".join(letter for letter, _ in _plain(secret))
    letters = "".join(letter for letter, _ in shown)
    if not hidden:
        return text
    few = min(len(hidden), _ENOUGH)
    size = max(few, len(hidden) // 2)
    if len(letters) >= few and letters in hidden:
        size, pieces = len(letters), {letters}
    else:
        pieces = {hidden[at : at + size] for at in range(len(hidden) - size + 1)}
    characters = list(text)
    for at in range(len(letters) - size + 1):
        if letters[at : at + size] in pieces:
            # The characters that an app puts between groups are masked too, except spaces.
            for place in range(shown[at][1], shown[at + size - 1][1] + 1):
                characters[place] = " " if text[place].isspace() else MASK
    return "".join(characters)


def _plain(text: str) -> list[tuple[str, int]]:
    """Return the letters and digits to compare, each with the index of its character.

    A character may become several ("ﬁ" is "fi"), so each is normalised separately. Decomposed, an
    accented letter is the same in every encoding.
    """
    return [
        (letter, at)
        for at, character in enumerate(text)
        for letter in unicodedata.normalize("NFKD", character).casefold()
        if letter.isalnum()
    ]
