"""Who the users of this process are, and what it signs with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from swath.runtime.auth.passwords import PasswordTable
from swath.runtime.auth.signing import SigningKeys
from swath.runtime.settings import ServerSettings


@dataclass(frozen=True)
class Identities:
    """What a process knows of users with passwords.

    Attributes:
        users: Their passwords.
        keys: What tokens are signed with; None where there is nothing that replicas share.
        required: Whether callers must say who they are.
        behind_gateway: Whether clients come by the gateway.
    """

    users: PasswordTable
    keys: SigningKeys | None
    required: bool
    behind_gateway: bool

    @classmethod
    def of(cls, settings: ServerSettings, *, behind_gateway: bool, own_keys: Path | None = None) -> Self:
        """Return them by the settings of a process.

        Args:
            settings: Of the process.
            behind_gateway: Whether clients come by the gateway.
            own_keys: Where to keep keys if the settings name none: of a process that is the only replica.

        Raises:
            InvalidInput: A file that the settings name cannot be used.
        """
        keys = None
        if settings.signing_keys_file is not None:
            keys = SigningKeys(settings.signing_keys_file)
        elif own_keys is not None:
            keys = SigningKeys.kept_in(own_keys)
        users = PasswordTable(settings.users, settings.users_file)
        return cls(users, keys, settings.auth_required, behind_gateway)
