"""What an engine's refusal means: from its status, body and headers to one of our errors. Pure.

Hosts agree on little. "No money" is a 400, 402, 403 or 429 by host, "refused content" a 400, 403 or
451, and the code is a word, a number, or a number as text. So each kind of refusal is recognised by
its codes, and if none is known by (status, words), in the order of a table. The host's own sentence
is kept in the message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from app.errors import (
    ContextOverflow,
    EngineContentRefused,
    EngineError,
    EngineForbidden,
    EngineKeyRefused,
    EngineModelUnknown,
    EngineOverloaded,
    EngineRateLimited,
    EngineRequestFailed,
    EngineRequestTooLarge,
    EngineServerError,
    EngineUnpaid,
)
from app.llm.reply import from_engine, whole_characters

MAX_ERROR_BYTES = 65_536
ERROR_S = 5.0
"""What is read of an answer that is no reply, in bytes and seconds."""
MAX_MESSAGE = 2_000
"""Characters of an engine's own words in an error."""
_MAX_CODE = 100
_LEAST_KEY = 8
"""Characters of a key that is one; servers of one's own are given words such as "none"."""
_HIDDEN = "[the key]"
_MAX_WAIT_DIGITS = 12

_NAMES = ("code", "type", "reason", "status")
"""Where bodies keep the name of an error: OpenAI's `code` and `type`, Novita's `reason`, Google's
`status`."""


@dataclass(frozen=True)
class Refusal:
    """A refusal in one form. `codes` are in lower case; `param` is the field that is at fault, if
    the host names it."""

    status: int
    codes: frozenset[str] = frozenset()
    message: str = ""
    param: str = ""

    @classmethod
    def of(cls, status: int, body: object) -> Refusal:
        """Read a body in any known form: `{"error": {"code", "type", "message", "param"}}`,
        `{"error": "..."}`, `{"errors": {"message"}}`, `{"code", "reason", "message"}`,
        `{"detail": "..."}`, and a list of one of these."""
        if isinstance(body, list):
            body = next((entry for entry in body if isinstance(entry, Mapping)), {})
        found = body if isinstance(body, Mapping) else {}
        error = found.get("error") or found.get("errors") or found
        if not isinstance(error, Mapping):
            error = {"message": str(error)}
        names = [error.get(key) for key in _NAMES]
        codes = {str(n)[:_MAX_CODE].casefold() for n in names if isinstance(n, str | int) and n}
        message, param = error.get("message") or error.get("detail"), error.get("param")
        return cls(
            status,
            frozenset(codes),
            whole_characters(message[:MAX_MESSAGE]) if isinstance(message, str) else "",
            param[:_MAX_CODE] if isinstance(param, str) else "",
        )

    @classmethod
    def parse(cls, status: int, body: bytes) -> Refusal:
        """Read the bytes of an answer that is no success."""
        try:
            return cls.of(status, from_engine(body))
        except ValueError:
            return cls(status)


@dataclass(frozen=True)
class _Sign:
    """A sign of one kind of refusal: any of its codes, or a status of `alone`, or words with a
    status of `with_words`. A code also stands for what is behind a dot: "throttling.ratequota"."""

    kind: type[EngineError]
    codes: frozenset[str] = frozenset()
    alone: frozenset[int] = frozenset()
    words: re.Pattern[str] | None = None
    with_words: frozenset[int] = frozenset()

    def named_by(self, refusal: Refusal) -> bool:
        first = {code.partition(".")[0] for code in refusal.codes}
        return bool(self.codes & (refusal.codes | first))

    def fits(self, refusal: Refusal) -> bool:
        if refusal.status in self.alone:
            return True
        if self.words is None or refusal.status not in self.with_words:
            return False
        return any(self.words.search(text) for text in (refusal.message, *refusal.codes))


def _sign(
    kind: type[EngineError],
    *,
    codes: str = "",
    alone: tuple[int, ...] = (),
    words: str = "",
    with_words: tuple[int, ...] = (),
) -> _Sign:
    return _Sign(
        kind,
        frozenset(codes.split()),
        frozenset(alone),
        re.compile(words, re.IGNORECASE) if words else None,
        frozenset(with_words),
    )


# The numbers are BigModel's and Z.ai's, the names in one word Ark's and DashScope's.
_SIGNS = (
    _sign(
        ContextOverflow,
        codes="exceed_context_size_error context_length_exceeded 1261",
        words=r"range of input length should be|maximum context length|context (length|window|size)"
        r"|(prompt|input) is too long",
        with_words=(400, 413, 422, 500),
    ),
    _sign(
        EngineUnpaid,
        codes="insufficient_quota insufficient_balance insufficient_user_quota not_enough_balance "
        "exceeded_current_quota_error billing_hard_limit_reached accountoverdueerror arrearage "
        "1113 1309",
        alone=(402,),
        words=r"(insufficient|not enough|no|low|negative) (account )?(balance|credits?|funds)"
        r"|balance (is )?(too low|insufficient|not enough)|account balance|overdue|in arrears"
        r"|arrearage|recharge|top up|余额不足|欠费|充值",
        with_words=(400, 401, 403, 429),
    ),
    _sign(
        EngineContentRefused,
        codes="content_filter content_policy_violation datainspectionfailed data_inspection_failed "
        "1301",
        alone=(451,),
        words=r"(risk|sensitive\w*)detect|moderation|guardrail|flagged|content (policy|filter)"
        r"|(inappropriate|sensitive|unsafe) content|敏感",
        with_words=(400, 403, 422),
    ),
    _sign(
        EngineKeyRefused,
        codes="invalid_api_key invalidapikey authenticationerror authentication_error "
        "failed_to_auth 1000 1001 1002 1003 1004",
        alone=(401,),
        words=r"(invalid|incorrect|wrong|expired|missing|unknown) api.?key"
        r"|api.?key (is )?(not valid|invalid|incorrect|expired|missing|not found)",
        with_words=(400, 403),
    ),
    _sign(
        EngineModelUnknown,
        codes="model_not_found modelnotfound model_not_exist invalidendpointormodel 1211 20012",
        words=r"\bmodel\b.{0,200}\b(not found|not exist|does ?n.t exist|not available|unknown)"
        r"|(no such|unknown|invalid) model",
        with_words=(400, 403, 404, 422),
    ),
    _sign(
        EngineForbidden,
        codes="modelnotopen model_not_open 1110 1111 1112 1121 1220",
        alone=(403,),
    ),
    _sign(
        EngineRequestTooLarge,
        alone=(413,),
        words=r"(request|payload|body|image)( entity| size| body)? (is )?(too large|exceeds)",
        with_words=(400, 422),
    ),
    _sign(EngineOverloaded, codes="serveroverloaded overloaded_error 1305 1312", alone=(503, 529)),
    _sign(
        EngineRateLimited,
        codes="throttling ratelimitexceeded rate_limit_exceeded rate_limit_error "
        "1302 1303 1304 1308 1310 1313",
        alone=(429,),
    ),
    # A llama.cpp without projector, or with another than the picture needs: it stays so.
    _sign(EngineRequestFailed, words=r"not supported|unsupported", with_words=(500, 501)),
    _sign(EngineServerError, alone=(408, *range(500, 600))),
)


def refusal(
    status: int, body: bytes, headers: Mapping[str, str] | None = None, now: datetime | None = None
) -> EngineError:
    """Return the error that an answer stands for, which is no success. `now` is the time to which
    a `Retry-After` with a date is compared; the names of `headers` are in lower case."""
    return error_of(Refusal.parse(status, body), retry_after(headers or {}, now))


def error_of(refused: Refusal, wait_s: float | None = None) -> EngineError:
    """Return the error that a refusal stands for; `wait_s` is what the host asks to wait."""
    signs = [sign for sign in _SIGNS if sign.named_by(refused)]
    signs += [sign for sign in _SIGNS if sign.fits(refused)]
    kind = signs[0].kind if signs else EngineRequestFailed
    hint = "" if kind.default_hint else _hint(refused.status)
    said = refused.message.rstrip(" .")  # our messages end without a full stop
    error = kind(said or f"the engine answers {refused.status}", hint)
    if kind.passing:
        error.wait_s = wait_s
    return error


def stream_error(chunk: Mapping[str, Any]) -> EngineError | None:
    """Return the error that a chunk of a stream reports, None for a chunk of a reply. The status
    was a success by then, so that only the error's code tells one."""
    error = chunk.get("error")
    if not error and ("choices" in chunk or "message" not in chunk or "code" not in chunk):
        return None
    codes = error if isinstance(error, Mapping) else chunk
    return error_of(Refusal.of(_status(codes.get("code")), chunk))


def finish_error(reason: str | None) -> EngineError | None:
    """Return the error that a finish reason stands for which is no end of a reply."""
    if reason in ("content_filter", "sensitive"):
        return EngineContentRefused(f"the host cut the reply off: {reason}")
    if reason in ("error", "network_error"):
        return EngineServerError(f"the reply ended with the finish reason {reason!r}")
    return None


def web_page() -> EngineRequestFailed:
    """Return the error for a page, which is what an address without an API answers."""
    return EngineRequestFailed(
        "a web page answers instead of an engine",
        "Check engine.url, which must be the API's address with its version, such as /v1.",
    )


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return the seconds that `Retry-After` asks to wait, in either of its forms (RFC 9110,
    10.2.3); None if it is missing or neither. Never negative."""
    said = headers.get("retry-after", "").strip()
    if said.isascii() and said.replace(".", "", 1).isdigit() and len(said) <= _MAX_WAIT_DIGITS:
        return float(said)
    try:
        at = parsedate_to_datetime(said)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return max(0.0, (at - (now or datetime.now(UTC))).total_seconds())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


@contextmanager
def discreet(key: Callable[[], str]) -> Iterator[None]:
    """Take `key` out of the words of an error that leaves the block: some hosts repeat it."""
    try:
        yield
    except EngineError as exc:
        if len(secret := key()) >= _LEAST_KEY:
            exc.message = exc.message.replace(secret, _HIDDEN)
            exc.args = (exc.message,)
        raise


def _status(code: object) -> int:
    known = str(code) if isinstance(code, str | int) else ""
    return int(known) if re.fullmatch(r"[45]\d\d", known) else 500


def _hint(status: int) -> str:
    if status in (404, 405):
        return "Check engine.url, which must contain the version of the API, and engine.alias."
    if status == 407:
        return "The proxy wants a user and a password: http://USER:PASSWORD@HOST:PORT."
    if 300 <= status < 400:
        return "The host has moved: set engine.url to its new address, with https:// if needed."
    return "The engine's answer says what it did not like."
