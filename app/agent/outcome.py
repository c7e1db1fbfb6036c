"""How a task ends: a value with a reason, not an exception."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from app.errors import (
    AppError,
    AppNotFound,
    ContextOverflow,
    DeviceError,
    DeviceLocked,
    DeviceUnauthorized,
    DiskFull,
    EngineError,
    InputRefused,
    SecretUnguarded,
    SecureScreen,
)

StopReason = Literal[
    "finished",
    "gave_up",
    "unparseable",
    "step_budget",
    "time_budget",
    "stalled",
    "refused",
    "cancelled",
    "device_lost",
    "engine_lost",
    "context_full",
    "crashed",
    "disk_full",
    "dry_run",
    "out_of_scope",
]

Mode = Literal["auto", "step", "dry_run"]
"""Act at once; ask the person before each step; decide once and do nothing."""


PERSON_MUST_ACT = (
    DeviceLocked,
    DeviceUnauthorized,
    InputRefused,
    SecretUnguarded,
    SecureScreen,
)
"""Faults that only a person can clear on the phone."""


@dataclass(frozen=True)
class Limits:
    """`return_s` is how long, in seconds, a disconnected phone may be away; `first_step` is the
    number of the next step of a resumed task."""

    max_steps: int
    timeout_s: float
    return_s: float = 45.0
    first_step: int = 1


@dataclass(frozen=True)
class Outcome:
    """Why a task ended; `message` is for the person."""

    reason: StopReason
    message: str = ""
    error: AppError | None = None

    @classmethod
    def of(cls, error: AppError) -> Outcome:
        """Return how a task ends that `error` stops, while running or at its start."""
        return cls(_reason(error), error.message, error)


def _reason(error: AppError) -> StopReason:
    match error:
        case DeviceError():
            asks = isinstance(error, (*PERSON_MUST_ACT, AppNotFound))
            return "refused" if asks else "device_lost"
        case ContextOverflow():
            return "context_full"
        case EngineError():
            return "engine_lost"
        case DiskFull():
            return "disk_full"
    return "refused"
