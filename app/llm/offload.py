"""Reads what llama.cpp says of its devices, and of the layers that are on them.

llama-server writes these lines from verbosity 4 ("trace") on; see `command.traces`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_DEVICE = re.compile(r"using device (\S{1,40}) \((.{1,300})\) - (\d{1,9}) MiB free")
"""src/llama.cpp: name, description, bus id (since 2025), free memory."""
_LAYERS = re.compile(r"offloaded (\d{1,6})/(\d{1,6}) layers to GPU")
"""load_tensors in src/llama-model.cpp."""
_LISTED = re.compile(
    r"^ {2}(\S{1,40}): (.{1,300}) \(\d{1,9} MiB, (\d{1,9}) MiB free\)", re.MULTILINE
)
"""A line of `llama-server --list-devices` (common/arg.cpp)."""
_MOST_DEVICES = 64


@dataclass(frozen=True)
class Device:
    """A device that the engine computes on: `name` as in "CUDA0", what it is, and the memory that
    was free before the model was loaded, in MiB."""

    name: str
    description: str
    free_mib: int


@dataclass(frozen=True)
class Layers:
    """How many of the model's layers are on a device."""

    offloaded: int
    total: int


class Offload:
    """What one start has reported so far; `layers` is None as long as it has not."""

    def __init__(self) -> None:
        self.devices: tuple[Device, ...] = ()
        self.layers: Layers | None = None

    @property
    def on_gpu(self) -> bool:
        """Whether a GPU does any of the work."""
        return bool(self.devices or (self.layers and self.layers.offloaded))

    def read(self, line: str) -> None:
        """Take the next line of the log."""
        if found := _LAYERS.search(line):
            self.layers = Layers(int(found[1]), int(found[2]))
        elif (found := _DEVICE.search(line)) and len(self.devices) < _MOST_DEVICES:
            description = found[2].rsplit(") (", 1)[0]  # without the bus id
            device = Device(_shown(found[1]), _shown(description), int(found[3]))
            if device.name not in {each.name for each in self.devices}:
                self.devices += (device,)


def listed_devices(text: str) -> tuple[Device, ...] | None:
    """The GPUs in the output of `llama-server --list-devices`; None if it is something else, as of
    a build that does not know this option."""
    if "Available devices:" not in text:
        return None
    return tuple(
        Device(_shown(name), _shown(description), int(free))
        for name, description, free in _LISTED.findall(text)[:_MOST_DEVICES]
    )


def _shown(text: str) -> str:
    return "".join(character for character in text if character.isprintable())
