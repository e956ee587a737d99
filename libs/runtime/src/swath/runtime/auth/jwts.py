"""JWTs of configured issuers (RFC 7519). Swath checks them and issues none."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jwt

from swath.errors import Unauthenticated
from swath.rpc.caller import Caller
from swath.runtime.auth.jwks import Keys, KeySource, key_source
from swath.runtime.settings import JwtIssuer

_REMEMBERED = 4096
_REMEMBERED_S = 60.0
_MAX_CHARACTERS = 256


class _Issuer(NamedTuple):
    terms: JwtIssuer
    source: KeySource


class _Checked(NamedTuple):
    who: Caller
    issuer: str
    keys: Keys
    until: float


class JwtChecker:
    """Tells whose a JWT is.

    A token that was good is remembered for a minute, or until it expires or its issuer's keys change.

    Args:
        issuers: Those that are believed.
        source: Makes the source of an issuer's keys.
    """

    def __init__(self, issuers: Iterable[JwtIssuer], source: Callable[[JwtIssuer], KeySource] = key_source) -> None:
        self._issuers = {each.issuer: _Issuer(each, source(each)) for each in issuers}
        self._checked: dict[bytes, _Checked] = {}

    async def find(self, token: str) -> Caller:
        """Return whose token it is.

        Raises:
            Unauthenticated: It is none that is believed; the text says why, and never repeats the token.
            Unavailable: The issuer's keys are not known, and it cannot be reached.
        """
        fingerprint = hashlib.sha256(token.encode(errors="replace")).digest()
        known = self._checked.get(fingerprint)
        if (
            known is not None
            and time.time() < known.until
            and await self._issuers[known.issuer].source.keys() is known.keys
        ):
            return known.who
        checked = await self._check(token)
        if len(self._checked) >= _REMEMBERED:
            self._checked.clear()
        self._checked[fingerprint] = checked
        return checked.who

    async def _check(self, token: str) -> _Checked:
        try:
            unverified = jwt.decode_complete(token, options={"verify_signature": False})
        # RecursionError: JSON may be nested deeper than Python reads.
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise Unauthenticated("the bearer token is neither known nor a JWT") from error
        header, claims = unverified["header"], unverified["payload"]
        issuer = self._issuers.get(str(claims.get("iss")))
        if issuer is None:
            raise Unauthenticated(
                f"the JWT is of issuer {_shown(claims.get('iss'))}; believed: {', '.join(self._issuers)}"
            )
        keys, fitting = await self._keys(issuer, header)
        failure: Exception | None = None
        for key in fitting:
            try:
                return self._accept(_decode(token, key, issuer.terms), issuer.terms, keys)
            except jwt.InvalidSignatureError as error:
                failure = error
            except jwt.PyJWTError as error:
                raise Unauthenticated(f"the JWT is not taken: {_reason(error, issuer.terms)}") from error
        raise Unauthenticated("the JWT is not taken: its signature is not by its issuer") from failure

    async def _keys(self, issuer: _Issuer, header: dict[str, Any]) -> tuple[Keys, list[jwt.PyJWK]]:
        """Return the keys that may have signed a token with this header."""
        algorithm, key_id = header.get("alg"), header.get("kid")
        if algorithm not in issuer.terms.algorithms:
            raise Unauthenticated(
                f"the JWT is signed by {_shown(algorithm)}; expected {', '.join(issuer.terms.algorithms)}"
            )
        for ask in (issuer.source.keys, issuer.source.newer):
            keys = await ask()
            fitting = [key for known_id, key in keys.get(algorithm, ()) if key_id is None or known_id == key_id]
            if fitting:
                return keys, fitting
        raise Unauthenticated(f"the JWT is signed with the key {_shown(key_id)}, which its issuer does not publish")

    def _accept(self, claims: dict[str, Any], terms: JwtIssuer, keys: Keys) -> _Checked:
        subject = claims["sub"]
        if not (isinstance(subject, str) and 0 < len(subject) <= _MAX_CHARACTERS and subject.isprintable()):
            raise Unauthenticated(f"the JWT's sub must be printable text of 1 to {_MAX_CHARACTERS} characters")
        until = min(float(claims["exp"]) + terms.leeway_s, time.time() + _REMEMBERED_S)
        return _Checked(Caller(terms.prefix + subject, "jwt"), terms.issuer, keys, until)


def _decode(token: str, key: jwt.PyJWK, terms: JwtIssuer) -> dict[str, Any]:
    return jwt.decode(
        token,
        key,
        algorithms=[key.algorithm_name],
        audience=terms.audience,
        issuer=terms.issuer,
        leeway=terms.leeway_s,
        options={"require": ["exp", "iss", "aud", "sub"]},
    )


def _reason(error: Exception, terms: JwtIssuer) -> str:
    match error:
        case jwt.ExpiredSignatureError():
            return "it has expired"
        case jwt.ImmatureSignatureError():
            return "it is not valid yet"
        case jwt.InvalidAudienceError():
            return f"it is not for this server; expected aud {terms.audience!r}"
        case jwt.MissingRequiredClaimError():
            return f"it lacks {error.claim!r}"
        case _:
            return f"it is not a valid one ({type(error).__name__})"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
