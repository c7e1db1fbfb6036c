"""A typed secret is found in text however an app writes it, and only the secret is masked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.tasks.redaction import MASK, redacted


@pytest.mark.parametrize(
    ("text", "secret", "masked"),
    [
        ("4111 1111 1111 1111", "4111111111111111", "•••• •••• •••• ••••"),
        ("4111-1111-1111-1111", "4111111111111111", "•••••••••••••••••••"),
        ("1111", "4111111111111111", "••••"),  # a group in a box of its own
        ("SWORDFISH", "swordfish", "•••••••••"),
        ("Ｓｗｏｒｄｆｉｓｈ", "swordfish", "•••••••••"),
        ("Hello Sword Fish!", "swordfish", "Hello ••••• ••••!"),
        ("1 2 3 4", "1234", "• • • •"),
        ("12", "1234", "12"),
        ("Settings", "swordfish", "Settings"),
        ("fish", "swordfish", "••••"),
        ("•••••••••", "swordfish", "•••••••••"),
        ("?!?", "?!?", "•••"),
        ("cafe\u0301 noir", "café noir", "••••• ••••"),
        ("ﬁshbone", "fishbone", "•••••••"),
        ("Pay 5 EUR with 4111 1111", "4111111111111111", "Pay 5 EUR with •••• ••••"),
        ("", "swordfish", ""),
    ],
)
def test_only_the_secret_is_masked(text: str, secret: str, masked: str) -> None:
    assert redacted(text, secret) == masked


@given(before=st.text(), secret=st.text(min_size=1), after=st.text())
def test_a_secret_is_never_readable_in_a_text(before: str, secret: str, after: str) -> None:
    masked = redacted(before + secret + after, secret)
    assert len(masked) == len(before + secret + after)
    assert secret == MASK * len(secret) or secret not in masked
