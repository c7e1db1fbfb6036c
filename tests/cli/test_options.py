"""What options of several commands accept."""

from __future__ import annotations

import pytest

from app.cli.options import pixels
from app.errors import InputError


def test_a_screen_is_its_width_and_height() -> None:
    assert pixels(" 1080X2400 ") == (1080, 2400)


@pytest.mark.parametrize("text", ["00x00", "1080x0", "99999x99999", "1080", "-1080x2400", "1080x²"])
def test_what_is_no_screen_of_a_phone_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is not a screen size"):
        pixels(text)
