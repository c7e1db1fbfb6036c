"""The demo's phone: it is there while it is needed, and says why when it is not."""

from __future__ import annotations

import psutil
import pytest

from app.demo import phone_process as demo
from app.errors import ConfigError


def children() -> set[psutil.Process]:
    return set(psutil.Process().children())


async def test_the_phone_has_its_seed_and_ends_with_the_block() -> None:
    before = children()
    async with demo.phone_process(3) as phone:
        assert (await phone.state())["seed"] == 3
        await phone.reset(4)
        assert (await phone.state())["seed"] == 4
        assert len(children() - before) == 1
    assert children() == before


async def test_a_phone_that_does_not_start_in_time_is_told_and_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = children()
    monkeypatch.setattr(demo, "START_S", 0.001)
    with pytest.raises(ConfigError, match="did not start within"):
        async with demo.phone_process(3):
            raise AssertionError("it cannot be there yet")
    assert children() == before
