"""The pipeline service in a process of its own."""

from __future__ import annotations

from swath.runtime.assembly import Assembly, Deps
from swath.runtime.replica import ReplicaSettings, remote_sessions
from swath_pipeline.assembly import build


def assemble(settings: ReplicaSettings, deps: Deps) -> Assembly:
    """Put the service together; it asks the session service over gRPC."""
    return build(deps, sessions=remote_sessions(settings, deps.stack))
