"""Who may call what, checked before anything of a call is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import grpc

from swath.api import REGISTRY, Registry
from swath.errors import Denied
from swath.rpc.caller import Caller, set_caller
from swath.rpc.metadata import Metadata
from swath.rpc.server.calls import Admit
from swath.runtime.auth.authentication import Authenticator
from swath.runtime.auth.authorization import require_granted
from swath.runtime.auth.identity import peer_uri, service_of


class Access:
    """Refuses calls that are not permitted, and sets who calls for the others.

    Args:
        authenticator: Identifies who calls public methods, but for those that do so themselves; None identifies nobody.
        tls: Whether there are certificates. Then the registry's grants hold: for every method, or behind no gateway for
            private ones.
        behind_gateway: Whether public methods are for the gateway alone to call.
        registry: Which methods are public, and who may call what.
    """

    def __init__(
        self,
        authenticator: Authenticator | None,
        *,
        tls: bool,
        behind_gateway: bool,
        registry: Registry = REGISTRY,
    ) -> None:
        self._registry = registry
        self._authenticator = authenticator
        self._tls = tls
        self._behind_gateway = behind_gateway

    def admission(self, method: str) -> Admit | None:
        """Return what admits the calls of a method; None where everybody is admitted and nobody identified.

        Args:
            method: Full path.
        """
        registry, tls = self._registry, self._tls
        public = method in registry.routes
        granted = tls and (self._behind_gateway or not public)
        authenticator = self._authenticator if public and method not in registry.open else None
        if not granted and authenticator is None:
            return None

        async def admit(context: grpc.aio.ServicerContext, metadata: Metadata) -> None:
            peer = peer_uri(context.auth_context()) if tls else None
            if granted:
                require_granted(method, peer, registry)
            if authenticator is not None:
                set_caller(await authenticator.identify(metadata, peer))

        return admit

    @property
    def identifies(self) -> bool:
        """Whether callers must prove who they are."""
        return self._authenticator is not None

    def check_peer(self, auth_context: Mapping[str, Iterable[bytes]]) -> None:
        """Refuse calls of users' services that come around the gateway, where there is one.

        Args:
            auth_context: As gRPC's servicer context gives it.

        Raises:
            Denied: They do.
        """
        if not (self._tls and self._behind_gateway):
            return
        peer = peer_uri(auth_context)
        if not any(each.edge for each in self._registry.processes if each.name == service_of(peer, self._registry)):
            raise Denied(
                f"{peer or 'a client without a URI name in its certificate'} may not call users' services here; clients "
                "call the gateway",
                metadata={"peer": peer or ""},
            )

    async def identify(self, metadata: Metadata, auth_context: Mapping[str, Iterable[bytes]]) -> Caller | None:
        """Return who makes a call of a service that the registry does not know; None where nobody is asked.

        Args:
            metadata: Of the call.
            auth_context: As gRPC's servicer context gives it.

        Raises:
            Unauthenticated: Nothing proves it.
            Unavailable: An issuer's keys are not known, and it cannot be reached.
        """
        if self._authenticator is None:
            return None
        return await self._authenticator.identify(metadata, peer_uri(auth_context) if self._tls else None)
