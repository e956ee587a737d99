"""The session service in a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from swath.api import REGISTRY
from swath.rpc.channels import channel
from swath.rpc.tracing import INTERCEPTORS
from swath.runtime.assembly import Assembly, Deps
from swath.runtime.replica import ReplicaSettings
from swath_session.adapters.model_references import ModelReferences
from swath_session.adapters.training_references import TrainingReferences
from swath_session.assembly import build
from swath_session.settings import SessionSettings

if TYPE_CHECKING:
    import grpc

OTHERS = tuple(service for service in REGISTRY.names if service != "session")
"""Services whose health this one reports too: it answers for the whole suite."""


class SessionReplicaSettings(ReplicaSettings):
    """Settings of a replica of the session service."""

    session: SessionSettings = Field(default_factory=SessionSettings)
    """How long sessions live, what uploads may be, and how much there may be of both."""


def assemble(settings: SessionReplicaSettings, deps: Deps) -> Assembly:
    """Put the service together; it asks the training and the pipeline service over gRPC."""

    def connect(service: str) -> grpc.aio.Channel:
        opened = channel(settings.addresses(service), service, settings, interceptors=INTERCEPTORS)
        deps.stack.push_async_callback(opened.close)
        return opened

    return build(
        deps,
        settings=settings.session,
        runs=TrainingReferences(connect("training")).read,
        models=ModelReferences(connect("pipeline")).read,
    )
