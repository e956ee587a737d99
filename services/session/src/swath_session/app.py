"""The session service in a process of its own."""

from __future__ import annotations

from pydantic import Field

from swath.api import REGISTRY
from swath.rpc.channels import channel
from swath.rpc.tracing import INTERCEPTORS
from swath.runtime.assembly import Assembly, Deps
from swath.runtime.replica import ReplicaSettings
from swath_session.adapters.training_references import TrainingReferences
from swath_session.assembly import build
from swath_session.settings import SessionSettings

OTHERS = tuple(service for service in REGISTRY.names if service != "session")
"""Services whose health this one reports too: it answers for the whole suite."""


class SessionReplicaSettings(ReplicaSettings):
    """Settings of a replica of the session service."""

    session: SessionSettings = Field(default_factory=SessionSettings)
    """How long sessions live, what uploads may be, and how much there may be of both."""


def assemble(settings: SessionReplicaSettings, deps: Deps) -> Assembly:
    """Put the service together; it asks the training service over gRPC."""
    runs = channel(settings.addresses("training"), "training", settings, interceptors=INTERCEPTORS)
    deps.stack.push_async_callback(runs.close)
    return build(deps, settings=settings.session, references=TrainingReferences(runs).read)
