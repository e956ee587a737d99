"""Which service may call what of another one.

Services know one another by the URI names in their certificates, `spiffe://swath/<service>`. What is not granted here
is refused; users are none of these and reach the services through the gateway alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from swath.api import PROFILES, REFERENCES, ROUTES, SESSIONS
from swath.errors import Denied
from swath.runtime.auth.identity import GATEWAY, TRUST, service_of

WORKERS = "swath.training.v1.WorkerLink"

_GRANTS: dict[str, dict[str, tuple[str, ...]]] = {
    # It removes artifacts that nothing refers to.
    "session": {REFERENCES: ("ReadReferences",)},
    "config": {SESSIONS: ("ReadSessions",)},
    # RestoreTrainRun makes a session, and takes it back if it fails.
    "pipeline": {SESSIONS: ("ReadSessions", "UpdateSession", "AddSession", "RemoveSession")},
    "training": {SESSIONS: ("ReadSessions", "UpdateSession", "WatchGone")},
    "inference": {SESSIONS: ("ReadSessions", "UpdateSession", "WatchGone"), PROFILES: ("ReadProfiles",)},
    "worker": {WORKERS: ("Connect",)},
}

GRANTS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        # Everything that is public, and nothing else.
        GATEWAY: frozenset(ROUTES),
        **{
            service: frozenset(f"/{name}/{method}" for name, methods in granted.items() for method in methods)
            for service, granted in _GRANTS.items()
        },
    }
)
"""Service to the full paths of the methods that it may call."""


def require_granted(method: str, peer: str | None) -> None:
    """Refuse a call that the table does not grant.

    Args:
        method: Full path.
        peer: URI name in the certificate of who calls; None if it has none.

    Raises:
        Denied: It is not granted.
    """
    service = service_of(peer)
    if method in GRANTS.get(service or "", ()):
        return
    granted = [f"{TRUST}{name}" for name, methods in GRANTS.items() if method in methods]
    hint = "; clients call the gateway" if method in ROUTES else ""
    raise Denied(
        f"{peer or 'a client without a URI name in its certificate'} may not call {method} here; "
        f"granted to {', '.join(granted) or 'nobody'}{hint}",
        metadata={"method": method, "peer": peer or ""},
    )
