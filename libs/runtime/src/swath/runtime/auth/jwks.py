"""Public keys of JWT issuers, by file or URL."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from http.client import HTTPException
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol
from urllib.request import HTTPRedirectHandler, Request, build_opener

import jwt
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

# Which algorithm a key is for follows from the key, not from what a token says.
_KINDS = {("RSA", None): "RS256", ("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}

_log = structlog.get_logger("swath.jwt")

Keys = Mapping[str, list[tuple[str | None, jwt.PyJWK]]]
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
        self._client = _Client(url, fetch)
        self._clock = clock
        self._document: jwt.PyJWKSet | None = None
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
                raise Unavailable(
                    f"the keys of the issuer cannot be fetched from {self._client.uri}", retry_after=PAUSE_S
                )
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
            # In a thread: the client blocks until the server has answered.
            document = await asyncio.to_thread(self._client.get_jwk_set)
            if document is not self._document:
                self._keys, self._document = _by_algorithm(document), document
            self._fetched_at = self._clock()
        except (OSError, ValueError) as error:
            _log.warning("the keys of an issuer cannot be fetched", url=self._client.uri, error=str(error))
        finally:
            self._fetching = None


class _Client(jwt.PyJWKClient):
    """PyJWT's client, for documents of a bounded size.

    Its caches are off: they lose keys in an outage, and let each unknown key fetch anew while one lasts (ADR 0023).
    """

    def __init__(self, url: str, fetch: Callable[[str], bytes] | None) -> None:
        super().__init__(url, cache_jwk_set=False, cache_keys=False, timeout=_FETCH_S)
        self._fetch = fetch or self._read
        self._raw = b""
        self._document: jwt.PyJWKSet | None = None

    def fetch_data(self) -> jwt.PyJWKSet:
        """Return the document that is there now; the same object as long as it does not change.

        Raises:
            OSError: The server cannot be reached, or gives no document.
            ValueError: The document is too large, or holds no key of use.
        """
        raw = self._fetch(self.uri)
        if self._document is None or raw != self._raw:
            self._document, self._raw = _read_document(raw), raw
        return self._document

    def _read(self, url: str) -> bytes:
        """Return what the server sends, as the method of PyJWT that this replaces, which reads without an end."""
        try:
            with build_opener(_Stay).open(Request(url, headers=self.headers), timeout=self.timeout) as answer:
                raw = answer.read(_MAX_BYTES + 1)
        except HTTPException as error:
            raise OSError(f"no HTTP answer: {error}") from error
        if len(raw) > _MAX_BYTES:
            raise ValueError(f"more than {_MAX_BYTES} bytes")
        return raw


class _Stay(HTTPRedirectHandler):
    # What a redirect names was never configured.
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> None:
        return None


def read_keys(raw: bytes) -> Keys:
    """Return those keys of a JWKS document (RFC 7517) that signatures are checked with.

    Raises:
        ValueError: It is no such document, or holds no key of use.
    """
    return _by_algorithm(_read_document(raw))


def _read_document(raw: bytes) -> jwt.PyJWKSet:
    """Return a JWKS document with those of its keys that signatures are checked with."""
    try:
        known = [entry for entry in json.loads(raw)["keys"] if isinstance(entry, dict)]
    # RecursionError: JSON may be nested deeper than Python reads.
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f'no JWKS document ({{"keys": [...]}}): {error}') from error
    # What a key is for follows from its type here; PyJWT takes its `alg` for it, of which it does not know every name.
    signing = [entry | {"alg": algorithm} for entry in known if (algorithm := _algorithm(entry))]
    useless = f"none of its {len(known)} keys is a public key for {', '.join(_KINDS.values())}"
    try:
        document = jwt.PyJWKSet(signing)
    except jwt.PyJWKSetError as error:
        raise ValueError(useless) from error
    document.keys = [key for key in document if key.Algorithm.check_key_length(key.key) is None]
    if not document.keys:
        raise ValueError(useless)
    if len(document.keys) < len(signing):
        taken = [key.key_id for key in document.keys]
        lost = [entry.get("kid") for entry in signing if entry.get("kid") not in taken]
        _log.warning("keys of an issuer cannot be used", kids=lost)
    return document


def _by_algorithm(document: jwt.PyJWKSet) -> Keys:
    found: dict[str, list[tuple[str | None, jwt.PyJWK]]] = {}
    for key in document:
        found.setdefault(key.algorithm_name, []).append((key.key_id, key))
    return MappingProxyType(found)


def _algorithm(entry: dict[str, Any]) -> str | None:
    """Return the algorithm that a key is for, None for one that is not taken."""
    kind = entry.get("kty"), entry.get("crv")
    algorithm = next((name for known, name in _KINDS.items() if known == kind), None)
    # RFC 9864 names the curve where RFC 8037 named the family.
    names = (algorithm, "Ed25519") if algorithm == "EdDSA" else (algorithm,)
    return algorithm if entry.get("use", "sig") == "sig" and entry.get("alg", algorithm) in names else None
