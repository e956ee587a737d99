"""Asks the training service which artifacts runs need."""

from __future__ import annotations

from functools import partial

import grpc

from swath.training.v1 import references_pb2 as pb
from swath.training.v1.references_pb2_grpc import ArtifactReferencesStub
from swath_session.adapters.digests import read_digests


class TrainingReferences:
    """The artifacts of runs.

    Args:
        channel: To the training service's replicas.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = ArtifactReferencesStub(channel)

    async def read(self) -> set[str]:
        """Return the digests of all artifacts that runs refer to.

        Raises:
            Unavailable: The training service cannot be reached.
            TimedOut: It did not answer in time.
        """
        return await read_digests("training", partial(self._stub.ReadReferences, pb.ReadReferencesRequest()))
