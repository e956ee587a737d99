"""Asks the training service which artifacts runs need."""

from __future__ import annotations

import grpc

from swath.rpc.remote_errors import calling
from swath.training.v1 import references_pb2 as pb
from swath.training.v1.references_pb2_grpc import ArtifactReferencesStub

_CALL_TIMEOUT_S = 60.0


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
        found: set[str] = set()
        with calling("training"):
            async for answer in self._stub.ReadReferences(pb.ReadReferencesRequest(), timeout=_CALL_TIMEOUT_S):
                found.update(answer.digests)
        return found
