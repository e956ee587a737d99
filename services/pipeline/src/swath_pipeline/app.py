"""The pipeline service in a process of its own."""

from __future__ import annotations

from pydantic import Field

from swath.runtime.assembly import Assembly, Deps
from swath.runtime.replica import ReplicaSettings, remote_sessions
from swath_pipeline.assembly import build
from swath_pipeline.settings import PipelineSettings


class PipelineReplicaSettings(ReplicaSettings):
    """Settings of a replica of the pipeline service."""

    pipeline: PipelineSettings = Field(default_factory=PipelineSettings)
    """What may be published."""


def assemble(settings: PipelineReplicaSettings, deps: Deps) -> Assembly:
    """Put the service together; it asks the session service over gRPC."""
    return build(deps, settings=settings.pipeline, sessions=remote_sessions(settings, deps.stack))
