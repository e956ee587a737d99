"""Bearer tokens: random text whose SHA-256 a server knows."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from pathlib import Path

from swath.errors import InvalidInput
from swath.rpc.watched_files import Watched
from swath.runtime.settings import check_tokens

PREFIX = "swath_"
"""Marks tokens for people, and for programs that look for secrets in places where they should not be."""


def new_token() -> tuple[str, str]:
    """Return a new token (256 random bits) and its SHA-256 in hexadecimal."""
    token = PREFIX + secrets.token_urlsafe(32)
    return token, hash_of(token)


def hash_of(token: str) -> str:
    """Return the SHA-256 of a token in hexadecimal. Nothing slower is needed: tokens are random and long."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


class TokenTable:
    """Whose token is whose.

    Args:
        tokens: Names and hashes, as in `ServerSettings.tokens`.
        file: More of them; read again when it changes.

    Raises:
        InvalidInput: The file is missing or has another form.
    """

    def __init__(self, tokens: Mapping[str, str | tuple[str, ...]], file: Path | None = None) -> None:
        self._fixed = _pairs(check_tokens(dict(tokens)))
        self._file: Watched[list[tuple[bytes, str]]] | None = None
        if file is not None:
            try:
                self._file = Watched([file], lambda: _read(file))
            except (OSError, ValueError) as error:
                raise InvalidInput(f"tokens_file {file} cannot be used: {error}") from error

    def __bool__(self) -> bool:
        return bool(self._fixed) or self._file is not None

    def find(self, token: str) -> str | None:
        """Return the name that a token belongs to, None if to none."""
        given = hash_of(token).encode()
        found = None
        # All of them, each in the same time: how long this takes tells nothing about any.
        for known, name in self._fixed + (self._file.get() if self._file is not None else []):
            if hmac.compare_digest(known, given):
                found = name
        return found


def _read(file: Path) -> list[tuple[bytes, str]]:
    try:
        return _pairs(check_tokens(json.loads(file.read_bytes())))
    except json.JSONDecodeError as error:
        # Without the document, which its own text does not repeat, but its attributes hold.
        raise ValueError(f"no JSON (line {error.lineno}: {error.msg})") from None


def _pairs(tokens: Mapping[str, tuple[str, ...]]) -> list[tuple[bytes, str]]:
    return [(each.encode(), name) for name, hashes in tokens.items() for each in hashes]
