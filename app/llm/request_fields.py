"""The fields of a request in the form that one host accepts.

Most hosts take OpenAI's older fields; some refuse one or know it by another name. What is known of
a host is configured (`engine.rename_fields`, `omit_fields`, `extra_fields`). What it refuses with a
400 that names the field is learned once, and holds for the life of the service.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Mapping
from typing import Any

from app.llm.refusal import Refusal

log = logging.getLogger(__name__)

RENAMED = {"max_tokens": "max_completion_tokens"}
"""Another name of a field, tried before the field is left out."""
NEEDED = frozenset({"messages", "model", "stream"})
_REFUSING = (400, 422)
_DISPENSABLE = ("stream_options", "frequency_penalty", "top_p", "temperature")
"""What a reply misses least comes first: a message may name two fields of which one is too many."""


class RequestFields:
    """The fields for one engine; belongs to one client.

    `rename` maps our names to the host's, `omit` are those of ours that are left out, and `extra`
    is added to each request, replacing fields of the same name.
    """

    def __init__(
        self,
        rename: Mapping[Any, str] | None = None,
        omit: Collection[str] = (),
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self._rename: dict[str, str] = dict(rename or {})
        self._omit = set(omit)
        self._extra = dict(extra or {})

    def applied(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the body as this engine wants it, without any field that is null."""
        ours = {k: v for k, v in body.items() if k not in self._omit} | {
            k: v for k, v in self._extra.items() if k not in self._omit
        }
        return {self._rename.get(k, k): v for k, v in ours.items() if v is not None}

    def learn(self, refused: Refusal, sent: Mapping[str, Any]) -> bool:
        """Take note of the field that a refusal names, and log it. Returns whether the request is
        worth repeating; each field changes at most twice, so that this ends."""
        if refused.status not in _REFUSING:
            return False
        name = _named(refused, sent)
        if not name:
            return False
        ours = next((own for own, other in self._rename.items() if other == name), name)
        other = RENAMED.get(ours)
        if other and ours not in self._rename and other not in sent:
            self._rename[ours] = other
            log.warning(
                "the engine refuses the field %s; sending it as %s from now on", name, other
            )
        else:
            self._omit.add(ours)
            log.warning("the engine refuses the field %s; leaving it out from now on", name)
        return True


def _named(refused: Refusal, sent: Mapping[str, Any]) -> str:
    """The field of the request that the refusal is about, "" if none."""
    names = [name for name in _DISPENSABLE if name in sent]
    names += [name for name in sent if name not in (*names, *NEEDED)]
    param = re.split(r"[.\[]", refused.param, maxsplit=1)[0]
    if param:
        return param if param in names else ""
    for name in names:
        if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", refused.message):
            return name
    return ""
