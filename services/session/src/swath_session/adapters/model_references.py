"""Asks the pipeline service which artifacts published models need."""

from __future__ import annotations

from functools import partial

import grpc

from swath.models.v1 import catalogue_pb2 as pb
from swath.models.v1.catalogue_pb2_grpc import ModelCatalogueStub
from swath_session.adapters.digests import read_digests


class ModelReferences:
    """The artifacts of published models.

    Args:
        channel: To the pipeline service's replicas.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = ModelCatalogueStub(channel)

    async def read(self) -> set[str]:
        """Return the digests of all artifacts that published models refer to.

        Raises:
            Unavailable: The pipeline service cannot be reached.
            TimedOut: It did not answer in time.
        """
        return await read_digests("pipeline", partial(self._stub.ReadReferences, pb.ReadReferencesRequest()))
