"""What the engine's tests look at: its states as they change, its process, a picture."""

from __future__ import annotations

import asyncio
import base64
import io

import psutil
from PIL import Image

from app.llm.engine import Engine
from app.llm.status import EngineState, EngineStatus
from app.settings import EngineSettings

STATE_TIMEOUT_S = 20.0


class Supervised:
    """An engine whose changes of state are recorded and can be awaited."""

    def __init__(self, settings: EngineSettings) -> None:
        self.engine = Engine(settings)
        self.seen: list[EngineStatus] = []
        self._changed = asyncio.Event()
        self.engine.subscribe(self._note)

    def _note(self, status: EngineStatus) -> None:
        self.seen.append(status)
        self._changed.set()

    @property
    def states(self) -> list[str]:
        return [str(status.state) for status in self.seen]

    async def reached(self, state: EngineState) -> EngineStatus:
        async with asyncio.timeout(STATE_TIMEOUT_S):
            while self.engine.status().state is not state:
                self._changed.clear()
                await self._changed.wait()
        return self.engine.status()


def engine_process(status: EngineStatus) -> psutil.Process:
    """The engine itself."""
    assert status.pid is not None
    return psutil.Process(status.pid)


def image_message(text: str, color: str = "navy") -> dict[str, object]:
    """A user message with a small picture in it."""
    buffer = io.BytesIO()
    Image.new("RGB", (112, 224), color).save(buffer, "PNG")
    url = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    parts = [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": url}}]
    return {"role": "user", "content": parts}
