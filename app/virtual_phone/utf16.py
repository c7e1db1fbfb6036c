"""Lengths as Android counts them: in UTF-16 code units, of which an emoji has two."""

from __future__ import annotations


def length(text: str) -> int:
    return len(text) + sum(character > "\uffff" for character in text)


def cut(text: str, most: int) -> str:
    """Return the longest beginning of at most `most` units, without splitting (`LengthFilter`)."""
    if length(text) <= most:
        return text
    left = most
    for position, character in enumerate(text):
        left -= 2 if character > "\uffff" else 1
        if left < 0:
            return text[:position]
    return text
