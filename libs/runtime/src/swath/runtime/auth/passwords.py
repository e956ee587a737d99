"""Users with passwords: names and hashes that a server knows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from swath.errors import InvalidInput
from swath.rpc.watched_files import Watched
from swath.runtime.auth.scrypt import Cost, PasswordHash
from swath.runtime.settings import check_users

_NONE = PasswordHash(Cost(), bytes(16), bytes(32))
"""Fits no password that anybody could find."""


class PasswordTable:
    """Whose password is which.

    Args:
        users: Names and hashes, as in `ServerSettings.users`.
        file: More of them; read again when it changes. Its entry counts where both have one.

    Raises:
        InvalidInput: The file is missing, or one of the two has another form.
    """

    def __init__(self, users: Mapping[str, str], file: Path | None = None) -> None:
        try:
            self._fixed = _parsed(dict(users))
        except ValueError as error:
            raise InvalidInput(f"users cannot be used: {error}") from error
        self._file: Watched[dict[str, PasswordHash]] | None = None
        if file is not None:
            try:
                self._file = Watched([file], lambda: read_users(file))
            except (OSError, ValueError) as error:
                raise InvalidInput(f"users_file {file} cannot be used: {error}") from error

    def __bool__(self) -> bool:
        return bool(self._fixed) or self._file is not None

    def find(self, name: str) -> PasswordHash | None:
        """Return what is known of a user's password; None where there is no such user."""
        more = self._file.get() if self._file is not None else {}
        return more.get(name) or self._fixed.get(name)

    def check(self, name: str, password: str) -> bool:
        """Whether a user has this password. Takes a while, and as long where there is no such user."""
        more = self._file.get() if self._file is not None else {}
        known = more.get(name) or self._fixed.get(name)
        costs = {each.cost for each in (*self._fixed.values(), *more.values())} or {_NONE.cost}
        # One try for each cost that is in the table, whoever is asked for: which one it was cannot be seen.
        found = [
            (known if known is not None and known.cost == cost else _NONE._replace(cost=cost)).fits(password)
            for cost in sorted(costs)
        ]
        return any(found)


def read_users(file: Path) -> dict[str, PasswordHash]:
    """Read a file of users.

    Raises:
        OSError: It cannot be read.
        ValueError: It has another form. The text repeats no hash.
    """
    try:
        return _parsed(json.loads(file.read_bytes()))
    except json.JSONDecodeError as error:
        # Without the document, which its own text does not repeat, but its attributes hold.
        raise ValueError(f"no JSON (line {error.lineno}: {error.msg})") from None


def _parsed(users: Any) -> dict[str, PasswordHash]:
    return {name: PasswordHash.parse(text) for name, text in check_users(users).items()}
