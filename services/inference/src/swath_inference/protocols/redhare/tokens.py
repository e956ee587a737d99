"""Tokens of streams: short-lived, signed, for one model and one user."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from swath.api import REDHARE
from swath.errors import Precondition, Unauthenticated
from swath.runtime.auth.signing import SigningKeys

_ALGORITHM = "HS256"
_ISSUER = "swath"
_CLAIMS = ("exp", "sub", "model", "password")


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token permits.

    Attributes:
        model: The model, as the client has named it: NAME or NAME:VERSION.
        user: Who may; empty where nobody is asked who calls.
        password: Fingerprint of the user's password at the time.
        until: Unix time, seconds.
    """

    model: str
    user: str
    password: str
    until: float


class Tokens:
    """Issues and reads tokens.

    Args:
        keys: Shared by all replicas; None where there are none.
        seconds: For which a token is good.
        clock: Unix time, seconds.
    """

    def __init__(self, keys: SigningKeys | None, seconds: float, clock: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._seconds = seconds
        self.clock = clock

    def issue(self, model: str, user: str, password: str) -> str:
        """Return a token; the arguments are those of `Grant`.

        Raises:
            Precondition: There are no keys.
        """
        import jwt  # takes a tenth of a second to import, and few servers need it

        key = self._required().current
        claims = {
            "iss": _ISSUER,
            "aud": REDHARE,
            "sub": user,
            "model": model,
            "password": password,
            "exp": self.clock() + self._seconds,
        }
        return jwt.encode(claims, key.secret, _ALGORITHM, headers={"kid": key.id})

    def read(self, token: str) -> Grant:
        """Return what a token permits.

        Raises:
            Unauthenticated: It has expired, or was not signed here. The text never repeats it.
            Precondition: There are no keys.
        """
        import jwt

        keys = self._required()
        try:
            key = keys.find(jwt.get_unverified_header(token).get("kid"))
            if key is None:
                raise Unauthenticated("the token is not one of this service: call auth for one")
            claims = jwt.decode(
                token,
                key.secret,
                algorithms=[_ALGORITHM],
                audience=REDHARE,
                issuer=_ISSUER,
                # By this object's own clock, below.
                options={"require": list(_CLAIMS), "verify_exp": False},
            )
            grant = _grant(claims)
        # RecursionError: JSON may be nested deeper than Python reads.
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise Unauthenticated("the token is not one of this service: call auth for one") from error
        self.check_time(grant)
        return grant

    def check_time(self, grant: Grant) -> None:
        """Refuse a token whose time is over.

        Raises:
            Unauthenticated: It is.
        """
        late = self.clock() - grant.until
        if late >= 0:
            raise Unauthenticated(
                f"the token expired {late:.0f} s ago, {self._seconds:.0f} s after it was issued: call auth for another "
                "one, and in a stream send a renewed one (auth with 'token') before that"
            )

    def _required(self) -> SigningKeys:
        if self._keys is None:
            raise Precondition(
                "this server has no keys to sign tokens with, which every replica must share: set "
                "SWATH_SIGNING_KEYS_FILE (`swath signing-keys FILE` makes one)"
            )
        return self._keys


def _grant(claims: dict[str, Any]) -> Grant:
    model, user, password = claims["model"], claims["sub"], claims["password"]
    if not all(isinstance(text, str) for text in (model, user, password)):
        raise ValueError("expected texts")
    return Grant(model, user, password, float(claims["exp"]))
