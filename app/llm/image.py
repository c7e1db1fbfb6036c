"""llama.cpp's full Docker image in place of a checkout: converter and quantiser in a container."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.errors import ModelError

FOLDER = Path("/app")
"""Where the images called full have the tools (llama.cpp's .devops/*.Dockerfile)."""
DOCKER = "docker"


@dataclass(frozen=True)
class Image:
    """An image by its name. Folders have the same paths inside, so that arguments stay as they
    are; the container has no network and writes as the person who started it."""

    name: str

    def command(
        self, program: Sequence[str], folders: Iterable[Path], env: Iterable[str] = ()
    ) -> list[str]:
        """The command line that runs `program` in a container that sees only `folders`; `env` are
        names of variables that it gets, too."""
        words = [DOCKER, "run", "--rm", "--init", "--network", "none"]
        if sys.platform != "win32":
            words += ["--user", f"{os.getuid()}:{os.getgid()}"]
        for folder in dict.fromkeys(path.resolve() for path in folders):
            words += ["--volume", f"{folder}:{folder}"]
        for name in env:
            words += ["--env", name]
        return [*words, "--entrypoint", program[0], self.name, *program[1:]]


def find_image(name: str) -> Image:
    """Raises ModelError where there is no Docker."""
    if shutil.which(DOCKER) is None:
        raise ModelError(
            "docker was not found", "Install it, or give a checkout with --llama-cpp-path."
        )
    return Image(name)
