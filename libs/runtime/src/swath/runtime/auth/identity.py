"""Names in certificates: which service or user is at the other end of a connection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from swath.api import REGISTRY, TRUST, USER, Registry
from swath.runtime.settings import NAME


def peer_uri(auth_context: Mapping[str, Iterable[bytes]]) -> str | None:
    """Return the URI name in the certificate of the other end, None unless it has exactly one.

    Args:
        auth_context: As gRPC's servicer context gives it.
    """
    names = list(auth_context.get("peer_uri", ()))
    return names[0].decode(errors="replace") if len(names) == 1 else None


def service_of(uri: str | None, registry: Registry = REGISTRY) -> str | None:
    """Return the service, or other process, that a URI name stands for, None if for none."""
    name = (uri or "").removeprefix(TRUST)
    return name if f"{TRUST}{name}" == uri and name in registry.identities else None


def user_of(uri: str | None) -> str | None:
    """Return the user that a URI name stands for, None if for none."""
    name = (uri or "").removeprefix(USER)
    return name if f"{USER}{name}" == uri and NAME.fullmatch(name) else None
