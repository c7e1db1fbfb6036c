"""What the supervisor tells about its engine."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.llm.offload import Device, Layers


class EngineState(StrEnum):
    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    SLEEPING = "sleeping"
    """Up, with the model put out of memory until the next request."""
    STOPPING = "stopping"
    FAILED = "failed"


class EngineKind(StrEnum):
    LLAMA_SERVER = "llama-server"
    EMBEDDED = "embedded"
    REMOTE = "remote"


@dataclass(frozen=True)
class EngineFault:
    """Why the state is `failed`: the three fields of every error of the API, and a stable word for
    the cause where it is known."""

    code: str
    message: str
    hint: str
    reason: str = ""


@dataclass(frozen=True)
class EngineStatus:
    """A snapshot.

    `name` is the model's (`engine.alias`). `pid` is the engine's own process. `context` is in
    tokens and shared by the `parallel` slots. `since` (UTC) is when the state was entered. `stage`
    is the progress of a start, `devices` and `layers` are what a llama-server uses of GPUs,
    `adjusted` what was changed in the settings because memory ran out. `log_tail` is oldest first.
    """

    state: EngineState
    kind: EngineKind | None
    pid: int | None
    url: str | None
    name: str
    model: str
    mmproj: str
    context: int
    parallel: int
    since: datetime
    error: EngineFault | None
    stage: str
    devices: tuple[Device, ...]
    layers: Layers | None
    adjusted: tuple[str, ...]
    log_tail: tuple[str, ...]
