"""The NVIDIA GPUs of this computer, by `nvidia-smi`, which comes with the driver."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import suppress
from dataclasses import dataclass

PROGRAM = "nvidia-smi"
ASK_S = 10.0
_QUERY = ("--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits")


@dataclass(frozen=True)
class Gpu:
    """`total` and `free` in bytes."""

    name: str
    total: int
    free: int


async def find_gpus() -> list[Gpu]:
    """All of them; empty where there is no NVIDIA driver, or it does not answer."""
    program = shutil.which(PROGRAM)
    if program is None:
        return []
    process = await asyncio.create_subprocess_exec(
        program,
        *_QUERY,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        stdin=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(ASK_S):
            said, _ = await process.communicate()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        return []
    return parse_gpus(said.decode("utf-8", "replace")) if process.returncode == 0 else []


def parse_gpus(text: str) -> list[Gpu]:
    """Lines of "name, MiB, MiB"; others ("[N/A]" of shared memory) are left out."""
    found = []
    for line in text.splitlines():
        name, _, rest = line.partition(",")
        numbers = [part.strip() for part in rest.split(",")]
        if len(numbers) == 2 and all(part.isdecimal() for part in numbers):
            total, free = (int(part) << 20 for part in numbers)
            found.append(Gpu(name.strip(), total, free))
    return found
