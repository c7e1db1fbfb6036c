"""The dialects by the name that a profile uses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from app.agent.dialects.autoglm import AUTOGLM, AutoGlm
from app.agent.dialects.base import Dialect
from app.agent.dialects.family import Family
from app.agent.dialects.glmv import GLMV
from app.agent.dialects.qwen import FORGE, MAI, OWL, QWEN
from app.agent.dialects.step import STEP
from app.agent.dialects.tars import DOUBAO, SEED, TARS
from app.agent.dialects.venus import VENUS
from app.errors import ConfigError

_ALL: tuple[AutoGlm | Family, ...] = (
    AUTOGLM, QWEN, OWL, MAI, FORGE, TARS, DOUBAO, SEED, VENUS, GLMV, STEP,
)  # fmt: skip
_NAMED = {dialect.name: dialect for dialect in _ALL}
DIALECTS: dict[str, Dialect] = dict(_NAMED)


def dialect_named(
    name: str,
    *,
    coordinates: Literal["auto", "thousandths", "pixels"] = "auto",
    images_kept: int = 0,
    answer_ends: bool | Literal["auto"] = "auto",
    image_max_tokens: int = 0,
) -> Dialect:
    """Return the dialect `name` with the changes of a profile; "auto" and 0 keep its own value.

    `image_max_tokens` is the limit above which the engine would shrink a picture. Raises
    ConfigError for an unknown dialect, and for an option that the dialect lacks.
    """
    dialect = _NAMED.get(name)
    if dialect is None:
        raise ConfigError(
            f"profile.dialect: no such dialect: {name[:80]!r}", f"Dialects: {', '.join(DIALECTS)}."
        )
    if coordinates != "auto":
        dialect = replace(dialect, pixels=coordinates == "pixels")
    if isinstance(dialect, AutoGlm):
        if images_kept > 1 or answer_ends != "auto":
            key = "images_kept" if images_kept > 1 else "answer_ends"
            raise ConfigError(f"profile.{key}: the dialect {name} has no such choice", "Remove it.")
        return dialect
    changes: dict[str, Any] = {}
    if images_kept:
        changes["pictures"] = images_kept
    if answer_ends != "auto":
        changes["answer_ends"] = answer_ends
    cells = dialect.cells
    if 0 < image_max_tokens < cells.max_cells:
        fewest = min(cells.min_cells, image_max_tokens)
        changes["cells"] = replace(cells, min_cells=fewest, max_cells=image_max_tokens)
    return replace(dialect, **changes)
