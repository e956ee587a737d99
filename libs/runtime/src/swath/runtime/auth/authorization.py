"""Which service may call what of another one.

Services know one another by the URI names in their certificates, `spiffe://swath/<service>`. What the registry does not
grant is refused; users are none of these and reach the services through the gateway alone.
"""

from __future__ import annotations

from swath.api import REGISTRY, TRUST, Registry
from swath.errors import Denied
from swath.runtime.auth.identity import service_of

GRANTS = REGISTRY.grants
"""Service, or other process, to the full paths of the methods that it may call."""


def require_granted(method: str, peer: str | None, registry: Registry = REGISTRY) -> None:
    """Refuse a call that the registry does not grant.

    Args:
        method: Full path.
        peer: URI name in the certificate of who calls; None if it has none.
        registry: Who may call what.

    Raises:
        Denied: It is not granted.
    """
    service = service_of(peer, registry)
    if method in registry.grants.get(service or "", ()):
        return
    granted = [f"{TRUST}{name}" for name, methods in registry.grants.items() if method in methods]
    hint = "; clients call the gateway" if method in registry.routes else ""
    raise Denied(
        f"{peer or 'a client without a URI name in its certificate'} may not call {method} here; "
        f"granted to {', '.join(granted) or 'nobody'}{hint}",
        metadata={"method": method, "peer": peer or ""},
    )
