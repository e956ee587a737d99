"""What is published over gRPC, for processes that do not run the pipeline service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NoReturn

import grpc

from swath.models.v1 import catalogue_pb2 as pb
from swath.models.v1.catalogue_pb2_grpc import ModelCatalogueStub
from swath.published.messages import change_of, state_message
from swath.published.model import Change, ReplicaState
from swath.rpc.remote_errors import calling
from swath.rpc.watching import watch

_SERVICE = "pipeline"


class RemoteCatalogue:
    """Asks the pipeline service. Fulfils `swath.published.model.PublishedCatalogue`.

    Args:
        channel: To the pipeline service's replicas.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = ModelCatalogueStub(channel)

    async def watch(self, told: Callable[[Change], Awaitable[None]]) -> NoReturn:
        """Tell of all models, then of each change; after a loss of the connection of all of them again.

        Args:
            told: Called in turn.
        """
        await watch(
            _SERVICE,
            "published models",
            lambda: self._stub.WatchModels(pb.WatchModelsRequest()),
            lambda answer: told(change_of(answer)),
        )

    async def report(self, replica: str, states: Sequence[ReplicaState], for_s: float) -> None:
        """Take note of all that a replica says, in place of what it has said before.

        Raises:
            Unavailable: The pipeline service cannot be reached.
        """
        request = pb.ReportStatesRequest(replica=replica, states=map(state_message, states), for_s=for_s)
        with calling(_SERVICE):
            await self._stub.ReportStates(request)
