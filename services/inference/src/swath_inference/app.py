"""The inference service in a process of its own."""

from __future__ import annotations

from functools import partial

from pydantic import Field

from swath.published.client import RemoteCatalogue
from swath.rpc.channels import channel
from swath.rpc.tracing import INTERCEPTORS
from swath.runtime.assembly import Assembly, Deps
from swath.runtime.replica import ReplicaSettings, channel_to, remote_sessions
from swath_inference.assembly import build
from swath_inference.profiling.replicas import RemoteReplicas
from swath_inference.protocols.redhare.identities import Identities
from swath_inference.settings import InferenceSettings


class InferenceReplicaSettings(ReplicaSettings):
    """Settings of a replica of the inference service."""

    inference: InferenceSettings = Field(default_factory=InferenceSettings)
    """What it holds and takes."""


def assemble(settings: InferenceReplicaSettings, deps: Deps) -> Assembly:
    """Put the service together; it asks the session and pipeline services and its other replicas over gRPC."""
    # What is published is told by a replica that is not ready for its other calls yet.
    link = channel(settings.addresses("pipeline"), "pipeline", settings, interceptors=INTERCEPTORS, check_health=False)
    deps.stack.push_async_callback(link.close)
    replicas = RemoteReplicas(settings.addresses("inference"), partial(channel_to, settings, "inference"))
    deps.stack.push_async_callback(replicas.close)
    return build(
        deps,
        settings=settings.inference,
        sessions=remote_sessions(settings, deps.stack),
        # Every call comes from the gateway's machine, and its client may be anywhere.
        shared_memory=False,
        replicas=replicas,
        catalogue=RemoteCatalogue(link),
        identities=Identities.of(settings, behind_gateway=True),
    )
