"""Why a task ended, when an error ended it."""

from __future__ import annotations

import pytest

from app.agent.outcome import Outcome, StopReason
from app.errors import (
    AppError,
    AppNotFound,
    CommandFailed,
    ConfigError,
    ContextOverflow,
    DeviceDisconnected,
    DeviceLocked,
    DeviceNotFound,
    EngineHung,
    EngineRequestFailed,
)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (DeviceDisconnected("gone"), "device_lost"),
        (DeviceNotFound("not there"), "device_lost"),
        (CommandFailed("no picture", 1, "no"), "device_lost"),
        (DeviceLocked("locked"), "refused"),
        (AppNotFound("Nope is not installed"), "refused"),
        (ConfigError("prompt not found"), "refused"),
        (EngineHung("silent"), "engine_lost"),
        (EngineRequestFailed("no"), "engine_lost"),
        (ContextOverflow("too long"), "context_full"),
    ],
)
def test_an_error_that_ends_a_task_gives_its_reason(error: AppError, reason: StopReason) -> None:
    assert Outcome.of(error) == Outcome(reason, error.message, error)
