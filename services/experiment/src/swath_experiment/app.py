"""The experiment service in a process of its own."""

from __future__ import annotations

from pydantic import Field

from swath.rpc.channels import channel
from swath.rpc.tracing import INTERCEPTORS
from swath.runtime.assembly import Assembly, Deps
from swath.runtime.replica import ReplicaSettings
from swath_experiment.adapters.runs import Remote, RunClient
from swath_experiment.assembly import build
from swath_experiment.settings import ExperimentSettings


class ExperimentReplicaSettings(ReplicaSettings):
    """Settings of a replica of the experiment service."""

    experiment: ExperimentSettings = Field(default_factory=ExperimentSettings)
    """What looking into runs may cost."""


def assemble(settings: ExperimentReplicaSettings, deps: Deps) -> Assembly:
    """Put the service together; it asks the training service over gRPC, for whoever asks it."""
    link = channel(settings.addresses("training"), "training", settings, interceptors=INTERCEPTORS)
    deps.stack.push_async_callback(link.close)
    return build(deps, settings=settings.experiment, runs=RunClient(Remote(link)))
