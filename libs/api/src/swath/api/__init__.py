"""The suite's public surface: generated messages beside this package, and the registry of services."""

from swath.api.model import TRUST, USER, GrpcService, Method, Ports, Process, Service, Slice
from swath.api.registry import (
    APPS,
    ARTIFACT_REFERENCES,
    CUVIS,
    EXPERIMENT,
    GATEWAY,
    INFERENCE,
    MODEL_CATALOGUE,
    MODELS,
    NODES,
    OPEN_INFERENCE,
    PROFILE_SHARE,
    REDHARE,
    REGISTRY,
    RUN_SERVICE,
    SERVICES,
    SESSION_AUTHORITY,
    SHARED_MEMORY,
    WORKER_LINK,
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
    "APPS",
    "ARTIFACT_REFERENCES",
    "CUVIS",
    "EXPERIMENT",
    "GATEWAY",
    "IDEMPOTENT",
    "INFERENCE",
    "MODELS",
    "MODEL_CATALOGUE",
    "MUTATING",
    "NODES",
    "OPEN_INFERENCE",
    "PROFILE_SHARE",
    "PUBLIC",
    "REDHARE",
    "REGISTRY",
    "ROUTES",
    "RUN_SERVICE",
    "SERVICES",
    "SERVICE_NAMES",
    "SESSION_AUTHORITY",
    "SHARED_MEMORY",
    "TRUST",
    "USER",
    "WORKER_LINK",
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
