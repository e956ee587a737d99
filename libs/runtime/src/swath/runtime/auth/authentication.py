"""How callers prove who they are: bearer tokens, JWTs and client certificates."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import structlog

from swath.api import REGISTRY, USER
from swath.errors import Unauthenticated
from swath.rpc.caller import Caller
from swath.runtime.auth.identity import service_of, user_of
from swath.runtime.auth.tokens import TokenTable
from swath.runtime.settings import ServerSettings

AUTHORIZATION = "authorization"
FORWARDED_CERTIFICATE = "x-forwarded-client-cert"

_FIELD = re.compile(r'([A-Za-z]+)=("(?:[^"\\]|\\.)*"|[^";,]*)(;|,|$)', re.ASCII)

Metadata = Iterable[tuple[str, str | bytes]]

_log = structlog.get_logger("swath.auth")


class Authenticator:
    """Tells who calls.

    Args:
        settings: What is believed.
        behind_gateway: Whether clients reach this server through the gateway alone.

    Raises:
        InvalidInput: A file that the settings name cannot be used.
    """

    def __init__(self, settings: ServerSettings, *, behind_gateway: bool) -> None:
        self._tokens = TokenTable(settings.tokens, settings.tokens_file)
        self._jwts: Any = None
        if settings.jwt_issuers:
            # Takes a tenth of a second to import, which a server without issuers need not wait for.
            from swath.runtime.auth.jwts import JwtChecker

            self._jwts = JwtChecker(settings.jwt_issuers)
        if settings.tls_cert is None and not behind_gateway:
            _log.warning("tokens travel in plain text: set tls_cert and tls_key", host=settings.host)
        ways = []
        if self._tokens:
            ways.append("metadata 'authorization: Bearer TOKEN' with a token of this server")
        if self._jwts:
            issuers = ", ".join(each.issuer for each in settings.jwt_issuers)
            ways.append(f"metadata 'authorization: Bearer JWT' with a JWT of {issuers}")
        if settings.asks_for_certificates:
            ways.append(f"a client certificate with the URI name {USER}NAME")
        self._expected = "expected " + ", or ".join(ways)

    async def identify(self, metadata: Metadata, peer: str | None) -> Caller:
        """Return who calls. A token counts before a certificate, and one that is wrong is not made up for by it.

        Args:
            metadata: Of the call.
            peer: URI name in the certificate of the other end, if it has one.

        Raises:
            Unauthenticated: Nothing proves it; the text says what was expected.
            Unavailable: An issuer's keys are not known, and it cannot be reached.
        """
        given = [str(value) for key, value in metadata if key == AUTHORIZATION]
        if given:
            return await self._by_token(given)
        name = user_of(self._forwarded(metadata) if service_of(peer) in REGISTRY.forwarders else peer)
        if name is not None:
            return Caller(name, "certificate")
        raise Unauthenticated(f"the call does not say who makes it: {self._expected}")

    async def _by_token(self, given: list[str]) -> Caller:
        scheme, _, token = given[0].strip().partition(" ")
        token = token.strip()
        if len(given) > 1 or scheme.lower() != "bearer" or not token:
            raise Unauthenticated(f"the call's authorization is not one bearer token: {self._expected}")
        name = self._tokens.find(token)
        if name is not None:
            return Caller(name, "token")
        if self._jwts is not None and token.count(".") == 2:
            return await self._jwts.find(token)
        raise Unauthenticated(f"the call's bearer token is not known here: {self._expected}")

    @staticmethod
    def _forwarded(metadata: Metadata) -> str | None:
        """Return the URI name in the certificate that the gateway saw, None without exactly one."""
        # The gateway throws away what clients send, so there is one certificate with one URI name. More means that
        # something in a certificate was made to look like more.
        headers = [str(value) for key, value in metadata if key == FORWARDED_CERTIFICATE]
        if len(headers) != 1:
            return None
        names = []
        at = 0
        while at < len(headers[0]):
            field = _FIELD.match(headers[0], at)
            if field is None or field[3] == ",":
                return None
            if field[1].lower() == "uri":
                names.append(field[2].strip('"'))
            at = field.end()
        return names[0] if len(names) == 1 else None
