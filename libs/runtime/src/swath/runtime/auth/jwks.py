"""Public keys of JWT issuers, by file or URL."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import structlog

from swath.errors import InvalidInput, Unavailable
from swath.rpc.watched_files import Watched
from swath.runtime.settings import JwtIssuer

FRESH_S = 300.0
"""Age at which keys of a URL are fetched again, while those at hand go on being good."""
GOOD_S = 3600.0
"""Age up to which they are, where the issuer cannot be reached."""
PAUSE_S = 5.0
"""Least time between two fetches, whatever tokens arrive."""
_FETCH_S = 5.0
_MAX_BYTES = 1 << 20
_MIN_RSA_BITS = 2048

# Which algorithm a key is for follows from the key, not from what a token says.
_KINDS = {("RSA", None): "RS256", ("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}

_log = structlog.get_logger("swath.jwt")

Keys = Mapping[str, list[tuple[str | None, Any]]]
"""Algorithm to the keys for it, each with its id."""


class KeySource(Protocol):
    """Where an issuer's keys come from."""

    async def keys(self) -> Keys:
        """Return the keys as they are known now; the same object as long as they do not change.

        Raises:
            Unavailable: They are not known.
        """
        ...

    async def newer(self) -> Keys:
        """Return the keys after looking for new ones, unless that was done a moment ago."""
        ...


def key_source(issuer: JwtIssuer) -> KeySource:
    """Return the source of an issuer's keys.

    Raises:
        InvalidInput: Its file is missing or holds no keys.
    """
    return UrlKeys(issuer.jwks) if "://" in issuer.jwks else FileKeys(Path(issuer.jwks))


class FileKeys:
    """Keys in a file, read again when it changes."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = Watched([path], lambda: read_keys(path.read_bytes()))
        except (OSError, ValueError) as error:
            raise InvalidInput(f"the keys of an issuer cannot be read from {path}: {error}") from error

    async def keys(self) -> Keys:
        """As `KeySource`."""
        return self._file.get()

    newer = keys


class UrlKeys:
    """Keys behind a URL, fetched when they are first needed, every few minutes, and for a key that is not known yet.

    Args:
        url: Where they are.
        fetch: Gives what is there; raises OSError.
        clock: Seconds that only grow.
    """

    def __init__(
        self, url: str, fetch: Callable[[str], bytes] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = url
        self._fetch = fetch or _fetch
        self._clock = clock
        self._raw = b""
        self._keys: Keys | None = None
        self._fetched_at = 0.0
        self._tried_at: float | None = None
        self._fetching: asyncio.Task[None] | None = None

    async def keys(self) -> Keys:
        """As `KeySource`."""
        age = self._clock() - self._fetched_at
        if self._keys is None or age > GOOD_S:
            await self._refresh(wait=True)
            if self._keys is None or self._clock() - self._fetched_at > GOOD_S:
                raise Unavailable(f"the keys of the issuer cannot be fetched from {self._url}", retry_after=PAUSE_S)
        elif age > FRESH_S:
            await self._refresh(wait=False)
        return self._keys

    async def newer(self) -> Keys:
        """As `KeySource`."""
        await self._refresh(wait=True)
        return await self.keys()

    async def _refresh(self, *, wait: bool) -> None:
        if self._fetching is None:
            if self._tried_at is not None and self._clock() - self._tried_at < PAUSE_S:
                return
            self._tried_at = self._clock()
            self._fetching = asyncio.create_task(self._fetch_once())
        if wait:
            # Shielded: others may wait for the same keys.
            await asyncio.shield(self._fetching)

    async def _fetch_once(self) -> None:
        try:
            raw = await asyncio.to_thread(self._fetch, self._url)
            if self._keys is None or raw != self._raw:
                self._keys, self._raw = read_keys(raw), raw
            self._fetched_at = self._clock()
        except (OSError, ValueError) as error:
            _log.warning("the keys of an issuer cannot be fetched", url=self._url, error=str(error))
        finally:
            self._fetching = None


def read_keys(raw: bytes) -> Keys:
    """Return those keys of a JWKS document (RFC 7517) that signatures are checked with.

    Raises:
        ValueError: It is no such document, or holds no key of use.
    """
    import jwt

    try:
        each = json.loads(raw)["keys"]
        known = [entry for entry in each if isinstance(entry, dict)]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ValueError(f'no JWKS document ({{"keys": [...]}}): {error}') from error
    found: dict[str, list[tuple[str | None, Any]]] = {}
    for entry in known:
        algorithm = _algorithm(entry)
        if algorithm is None:
            continue
        try:
            key = jwt.PyJWK(entry, algorithm=algorithm)
        except jwt.PyJWTError as error:
            _log.warning("a key of an issuer cannot be used", kid=entry.get("kid"), error=str(error))
            continue
        if algorithm == "RS256" and key.key.key_size < _MIN_RSA_BITS:
            _log.warning("a key of an issuer is too short", kid=entry.get("kid"), bits=key.key.key_size)
            continue
        found.setdefault(algorithm, []).append((entry.get("kid"), key))
    if not found:
        raise ValueError(f"none of its {len(known)} keys is a public key for {', '.join(_KINDS.values())}")
    return MappingProxyType(found)


def _algorithm(entry: dict[str, Any]) -> str | None:
    """Return the algorithm that a key is for, None for one that is not taken."""
    kind = entry.get("kty"), entry.get("crv")
    algorithm = next((name for known, name in _KINDS.items() if known == kind), None)
    # RFC 9864 names the curve where RFC 8037 named the family.
    names = (algorithm, "Ed25519") if algorithm == "EdDSA" else (algorithm,)
    return algorithm if entry.get("use", "sig") == "sig" and entry.get("alg", algorithm) in names else None


def _fetch(url: str) -> bytes:
    from http.client import HTTPException
    from urllib.request import HTTPRedirectHandler, build_opener

    class _Stay(HTTPRedirectHandler):
        # What a redirect names was never configured.
        def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> None:
            return None

    try:
        with build_opener(_Stay).open(url, timeout=_FETCH_S) as answer:
            raw = answer.read(_MAX_BYTES + 1)
    except HTTPException as error:
        raise OSError(f"no HTTP answer: {error}") from error
    if len(raw) > _MAX_BYTES:
        raise ValueError(f"more than {_MAX_BYTES} bytes")
    return raw
