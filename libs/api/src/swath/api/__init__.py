"""The suite's public surface: generated messages beside this package, and which service owns which method."""

from swath.api.routes import (
    CUVIS,
    IDEMPOTENT,
    MUTATING,
    NODES,
    PROFILES,
    PUBLIC,
    REFERENCES,
    ROUTES,
    RUNS,
    SESSIONS,
    WORKSPACE,
    owner,
    services,
)

__all__ = [
    "CUVIS",
    "IDEMPOTENT",
    "MUTATING",
    "NODES",
    "PROFILES",
    "PUBLIC",
    "REFERENCES",
    "ROUTES",
    "RUNS",
    "SESSIONS",
    "WORKSPACE",
    "owner",
    "services",
]
