"""Who may call what, checked before anything of a call is read."""

from __future__ import annotations

import grpc

from swath.api import REGISTRY, Registry
from swath.errors import Denied, Unauthenticated
from swath.rpc.caller import set_caller, set_unidentified
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
        if method not in registry.methods:
            return self._admission_to_others()
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

    def _admission_to_others(self) -> Admit | None:
        """Return what admits the calls of services that the registry does not know.

        Whoever answers them decides who may call what: it finds who calls, or why that is not known.
        """
        authenticator, around = self._authenticator, self._tls and self._behind_gateway
        if authenticator is None and not around:
            return None

        async def admit(context: grpc.aio.ServicerContext, metadata: Metadata) -> None:
            peer = peer_uri(context.auth_context()) if self._tls else None
            if around:
                self._require_edge(peer)
            if authenticator is not None:
                try:
                    set_caller(await authenticator.identify(metadata, peer))
                except Unauthenticated as error:
                    set_unidentified(error)

        return admit

    def _require_edge(self, peer: str | None) -> None:
        name = service_of(peer, self._registry)
        if not any(each.edge and each.name == name for each in self._registry.processes):
            raise Denied(
                f"{peer or 'a client without a URI name in its certificate'} may not call users' services here; "
                "clients call the gateway",
                metadata={"peer": peer or ""},
            )
