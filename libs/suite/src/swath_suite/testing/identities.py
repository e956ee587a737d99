"""Users for tests: tokens and passwords that a suite knows, and issuers of JWTs whose keys it reads (file and URL)."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from swath.runtime.auth.scrypt import Cost, PasswordHash
from swath.runtime.auth.tokens import new_token
from swath_suite.testing.json_server import JsonServer

AUDIENCE = "swath"
BY_FILE = "https://file.example.org"
BY_URL = "https://url.example.org"
"""Issuers, by where their keys are read."""


class Identities:
    """What users prove with that they are somebody; as a context manager, for as long as keys are to be had by URL.

    Args:
        folder: Existing folder for files that servers read.
        names: Users with a token each.

    Attributes:
        tokens: Bearer tokens by name.
        passwords: Likewise.
    """

    def __init__(self, folder: Path, names: tuple[str, ...] = ("alice", "bob")) -> None:
        made = {name: new_token() for name in names}
        self.tokens = {name: token for name, (token, _) in made.items()}
        self.passwords = {name: f"the password of {name}" for name in names}
        # One that is tried in no time: tests try many.
        hashes = {name: str(PasswordHash.of(text, Cost(4, 8, 1))) for name, text in self.passwords.items()}
        self._users = json.dumps(hashes)
        self._tokens_file = folder / "tokens.json"
        self._tokens_file.write_text(json.dumps({name: known for name, (_, known) in made.items()}))
        self._keys = {issuer: ec.generate_private_key(ec.SECP256R1()) for issuer in (BY_FILE, BY_URL)}
        self._jwks_file = folder / "jwks.json"
        self._jwks_file.write_text(json.dumps(self._jwks(BY_FILE)))
        self._server = JsonServer(lambda _: (200, self._jwks(BY_URL)))

    @property
    def settings(self) -> dict[str, str]:
        """Settings of services by which they know all of this."""
        url = f"{self._server.url}/jwks"
        issuers = [
            {"issuer": BY_FILE, "audience": AUDIENCE, "jwks": str(self._jwks_file), "leeway_s": 0},
            {"issuer": BY_URL, "audience": AUDIENCE, "jwks": url, "allow_http": True, "leeway_s": 0},
        ]
        return {
            "SWATH_TOKENS_FILE": str(self._tokens_file),
            "SWATH_JWT_ISSUERS": json.dumps(issuers),
            "SWATH_USERS": self._users,
        }

    def jwt(self, issuer: str, *, key_of: str | None = None, **claims: Any) -> str:
        """Return a JWT of alice's that is good for ten minutes.

        Args:
            issuer: Who says so.
            key_of: Whose key signs, if not the issuer's.
            claims: In place of, or beside, the others.
        """
        body = {"iss": issuer, "aud": AUDIENCE, "sub": "alice", "exp": time.time() + 600} | claims
        return jwt.encode(body, self._keys[key_of or issuer], "ES256", headers={"kid": issuer})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()

    def _jwks(self, issuer: str) -> dict[str, Any]:
        algorithm: Any = jwt.get_algorithm_by_name("ES256")
        return {"keys": [algorithm.to_jwk(self._keys[issuer].public_key(), as_dict=True) | {"kid": issuer}]}
