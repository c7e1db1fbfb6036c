"""The dialects by name."""

from __future__ import annotations

from app.agent.dialects.autoglm import AUTOGLM
from app.agent.dialects.base import Dialect
from app.errors import ConfigError

DIALECTS: dict[str, Dialect] = {dialect.name: dialect for dialect in (AUTOGLM,)}


def dialect_named(name: str) -> Dialect:
    """Raises ConfigError for a name that no dialect has."""
    dialect = DIALECTS.get(name)
    if dialect is None:
        raise ConfigError(
            f"profile.dialect: no such dialect: {name[:80]!r}", f"Dialects: {', '.join(DIALECTS)}."
        )
    return dialect
