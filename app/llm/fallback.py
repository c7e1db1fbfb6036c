"""The settings that an engine is started with: those configured, or less once memory ran out."""

from __future__ import annotations

import logging

from app.errors import EngineError
from app.llm.memory import next_cheaper
from app.settings import EngineSettings

logger = logging.getLogger(__name__)


class MemoryFallback:
    """`settings` are those of the next start; `changes` says what is less in them, step by step."""

    def __init__(self, configured: EngineSettings) -> None:
        self._configured = configured
        self.settings = configured
        self.changes: tuple[str, ...] = ()

    def forget(self) -> None:
        """Go back to what is configured."""
        self.settings, self.changes = self._configured, ()

    def take_less(self) -> str:
        """Go on to the next cheaper settings; what changed, "" when nothing can."""
        try:
            cheaper = next_cheaper(self.settings)
        except EngineError:
            return ""  # files that cannot be read are the start's to complain about
        if cheaper is None:
            return ""
        changed = ", ".join(
            f"{name} = {getattr(cheaper, name)}"
            for name in type(cheaper).model_fields
            if getattr(cheaper, name) != getattr(self.settings, name)
        )
        self.settings = cheaper
        self.changes = (*self.changes, changed)
        logger.warning("out of GPU memory; next with %s", changed)
        return changed
