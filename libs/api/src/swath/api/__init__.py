"""The suite's public surface: generated messages beside this package, and the registry of services."""

from swath.api.model import TRUST, USER, GrpcService, Method, Ports, Process, Service, Slice
from swath.api.registry import (
    CUVIS,
    GATEWAY,
    NODES,
    PROFILES,
    REFERENCES,
    REGISTRY,
    RUNS,
    SERVICES,
    SESSIONS,
    WORKERS,
    WORKSPACE,
)
from swath.api.tables import Registry

SERVICE_NAMES = REGISTRY.names
"""Names of the services, such as "session"."""
PUBLIC = REGISTRY.public
"""gRPC services that clients may call."""
ROUTES = REGISTRY.routes
"""Full path of each public method, such as "/cuvis_ai.v1.CuvisAIService/Train", to its service's name."""
MUTATING = REGISTRY.mutating
"""Full paths of the public methods that change something: each call of them leaves an audit line."""
IDEMPOTENT = REGISTRY.idempotent
"""Methods, by gRPC service, that may be sent twice without harm: whoever loses the answer sends them again."""
owner = REGISTRY.owner
owners = REGISTRY.owners

__all__ = [
    "CUVIS",
    "GATEWAY",
    "IDEMPOTENT",
    "MUTATING",
    "NODES",
    "PROFILES",
    "PUBLIC",
    "REFERENCES",
    "REGISTRY",
    "ROUTES",
    "RUNS",
    "SERVICES",
    "SERVICE_NAMES",
    "SESSIONS",
    "TRUST",
    "USER",
    "WORKERS",
    "WORKSPACE",
    "GrpcService",
    "Method",
    "Ports",
    "Process",
    "Registry",
    "Service",
    "Slice",
    "owner",
    "owners",
]
