"""Access tokens: who may use a service that others can reach, and for what.

A token is 256 random bits, shown once when it is created; the file only contains its SHA-256.
Random bits need neither a salt nor a slow hash, because they cannot be guessed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.errors import ConfigError, InputError
from app.private import private_folder

RIGHTS = ("read", "run", "control", "admin")
"""See tasks and screens; run tasks, use the engine; connect phones, restart the engine; all."""
PREFIX = "pp_"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Token:
    """`digest` is the SHA-256 of the secret in hexadecimal."""

    name: str
    rights: frozenset[str]
    digest: str
    created_at: datetime

    def may(self, right: str) -> bool:
        return right in self.rights or "admin" in self.rights


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=_NAME.pattern)
    rights: list[str]
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    created_at: datetime


class Tokens:
    """The tokens in one file, read again whenever it changes: a revoked token ends at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._tokens: dict[str, Token] = {}

    def all(self) -> list[Token]:
        """List the tokens by name; raises ConfigError for a file with other contents."""
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            self._stamp, self._tokens = None, {}
            return []
        except OSError as exc:
            raise ConfigError(f"{self._path} cannot be read: {exc.strerror}") from exc
        stamp = (stat.st_mtime_ns, stat.st_size)
        if stamp != self._stamp:
            self._tokens = {token.name: token for token in self._read()}
            self._stamp = stamp
        return [self._tokens[name] for name in sorted(self._tokens)]

    def find(self, secret: str) -> Token | None:
        """Return the token of that secret. The time it takes reveals nothing about the others."""
        digest = _digest(secret)
        found = None
        for token in self.all():
            if hmac.compare_digest(token.digest, digest):
                found = token
        return found

    def create(self, name: str, rights: Iterable[str]) -> str:
        """Create a token and return its secret, which is not stored. Raises InputError."""
        if not _NAME.fullmatch(name):
            raise InputError(
                f"{name[:80]!r} is not a valid token name", "Use letters, digits, dots, _ and -."
            )
        chosen = list(dict.fromkeys(rights))
        unknown = [right for right in chosen if right not in RIGHTS]
        if unknown or not chosen:
            said = f"{unknown[0][:80]!r} is no right" if unknown else "a token needs a right"
            raise InputError(said, f"Rights: {', '.join(RIGHTS)}.")
        tokens = self.all()
        if any(token.name == name for token in tokens):
            raise InputError(
                f"a token with this name already exists: {name!r} already", "Revoke it first."
            )
        secret = PREFIX + secrets.token_urlsafe(32)
        new = Token(name, frozenset(chosen), _digest(secret), datetime.now(UTC))
        self._write([*tokens, new])
        return secret

    def revoke(self, name: str) -> None:
        """Revoke a token. Raises InputError if there is none with that name."""
        tokens = self.all()
        rest = [token for token in tokens if token.name != name]
        if len(rest) == len(tokens):
            raise InputError(f"no such token: {name[:80]!r}")
        self._write(rest)

    def _read(self) -> list[Token]:
        try:
            rows = json.loads(self._path.read_text(encoding="utf-8"))
            read = [_Row.model_validate(row) for row in rows]
        except (OSError, ValueError, TypeError, ValidationError) as exc:
            raise ConfigError(
                f"{self._path} does not contain tokens: {exc}", "Move it away and make new ones."
            ) from exc
        return [Token(r.name, frozenset(r.rights), r.digest, r.created_at) for r in read]

    def _write(self, tokens: Iterable[Token]) -> None:
        rows = [
            {
                "name": token.name,
                "rights": sorted(token.rights),
                "digest": token.digest,
                "created_at": token.created_at.isoformat(),
            }
            for token in tokens
        ]
        private_folder(self._path.parent)
        _write_private(self._path, json.dumps(rows, indent=1))


def webhook_secret(path: Path) -> str:
    """Return the secret that signs webhooks, created if it is missing; raises ConfigError.

    "whsec_" and 32 random bytes in base64, the form that the libraries of Standard Webhooks accept.
    """
    try:
        private_folder(path.parent)
        if not path.exists():
            made = base64.b64encode(secrets.token_bytes(32)).decode()
            _write_private(path, f"whsec_{made}")
        secret = path.read_text(encoding="utf-8").strip()
        base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (OSError, ValueError) as exc:
        raise ConfigError(
            f"{path} does not contain a webhook secret: {exc}", "Move it away."
        ) from exc
    return secret


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, atomically."""
    partial = path.with_suffix(f".{secrets.token_hex(4)}.part")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    partial.replace(path)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
