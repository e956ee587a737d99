"""Keys that replicas sign short-lived tokens with: a JSON list in a file that all of them have.

The first key signs; what any of them has signed is good. The second one will sign next, so that every replica knows it
long before it does, and the third one has signed before.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from swath.errors import InvalidInput
from swath.rpc.watched_files import Watched

_BYTES = 32


class SigningKey(NamedTuple):
    """One key.

    Attributes:
        id: Names it in what it has signed, and tells nothing about it.
        secret: 32 random bytes.
    """

    id: str
    secret: bytes


class SigningKeys:
    """The keys of a file, read again when it changes.

    Args:
        file: JSON, as `new_keys` gives it.

    Raises:
        InvalidInput: The file is missing or has another form.
    """

    def __init__(self, file: Path) -> None:
        try:
            self._file = Watched([file], lambda: _read(file))
        except (OSError, ValueError) as error:
            raise InvalidInput(f"signing_keys_file {file} cannot be used: {error}") from error

    @classmethod
    def kept_in(cls, file: Path) -> SigningKeys:
        """Return the keys of a file that this process has for itself, made if there is none."""
        if not file.exists():
            write_keys(file, new_keys())
        return cls(file)

    @property
    def current(self) -> SigningKey:
        """The one that signs."""
        return self._file.get()[0]

    def find(self, key_id: object) -> SigningKey | None:
        """Return the key of an id, None if there is none."""
        return next((each for each in self._file.get() if each.id == key_id), None)


def new_keys() -> list[str]:
    """Return keys for a start, as they stand in a file."""
    return [_new(), _new()]


def rotated(keys: Sequence[str]) -> list[str]:
    """Return the keys after these: the one that was to sign next signs, what the one before signed stays good."""
    return [keys[1], _new(), keys[0]] if len(keys) > 1 else [*keys, _new()]


def check_keys(keys: Any) -> tuple[SigningKey, ...]:
    """Read keys as they stand in a file.

    Raises:
        ValueError: They have another form. The text repeats none.
    """
    if not isinstance(keys, list) or not keys:
        raise ValueError("expected a list of keys, the one that signs first")
    return tuple(_parsed(each) for each in keys)


def write_keys(file: Path, keys: Sequence[str]) -> None:
    """Write a file of keys that only its owner reads, in one step."""
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        json.dump(list(keys), out, indent=2)
    os.replace(fresh, file)


def _new() -> str:
    return base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def _parsed(text: Any) -> SigningKey:
    try:
        secret = base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error):
        secret = b""
    if len(secret) != _BYTES:
        raise ValueError(f"expected each key as {_BYTES} bytes in base64, as `swath signing-keys` makes them")
    return SigningKey(hashlib.sha256(b"id" + secret).hexdigest()[:16], secret)


def _read(file: Path) -> tuple[SigningKey, ...]:
    try:
        return check_keys(json.loads(file.read_bytes()))
    except json.JSONDecodeError as error:
        raise ValueError(f"no JSON (line {error.lineno}: {error.msg})") from None
