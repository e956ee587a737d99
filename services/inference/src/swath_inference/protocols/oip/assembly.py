"""The protocol put together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from swath_inference.protocols.oip.infer import Inference
from swath_inference.protocols.oip.repository import Repository
from swath_inference.protocols.oip.servicer import OpenInferenceServicer
from swath_inference.protocols.oip.settings import LogSwitches
from swath_inference.protocols.oip.shared_memory import SystemSharedMemory
from swath_inference.protocols.oip.statistics import Statistics
from swath_inference.protocols.oip.streams import Streams
from swath_inference.protocols.oip.traits import ModelTraits
from swath_inference.published.calls import ModelCalls


@dataclass(frozen=True)
class OpenInference:
    """The protocol put together.

    Attributes:
        servicer: Answers.
        inference: Answers one request.
        streams: Those that are open, to be drained.
    """

    servicer: OpenInferenceServicer
    inference: Inference
    streams: Streams


def open_inference(
    calls: ModelCalls,
    *,
    ready: Callable[[], bool],
    max_batch_size: int,
    shared_memory: bool = False,
    free: bool = False,
    traced: bool = False,
) -> OpenInference:
    """Put the protocol together.

    Args:
        calls: Computes published models.
        ready: Whether this replica takes calls of models.
        max_batch_size: Most items of a batch.
        shared_memory: Whether clients on this machine may register segments.
        free: Whether they may register any, and change which log lines there are: where nobody is asked who calls, and
            all clients are on this machine.
        traced: Whether spans are sent to a collector.
    """
    statistics = Statistics(calls.models.all)
    repository = Repository(calls, statistics.restart)
    traits = ModelTraits(calls, max_batch_size)
    memory = SystemSharedMemory(offered=shared_memory, free=free)
    inference = Inference(calls, repository, statistics, traits, memory)
    streams = Streams(inference)
    servicer = OpenInferenceServicer(
        ready=ready,
        inference=inference,
        streams=streams,
        repository=repository,
        traits=traits,
        statistics=statistics,
        memory=memory,
        logs=LogSwitches(changeable=free),
        traced=traced,
    )
    return OpenInference(servicer, inference, streams)
