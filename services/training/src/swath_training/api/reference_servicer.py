"""swath.training.v1.ArtifactReferences: what the session service asks before it removes artifacts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable

import grpc

from swath.training.v1 import references_pb2 as pb

_AT_ONCE = 1000


class ArtifactReferencesServicer:
    """Answers the session service.

    Args:
        artifacts: Gives the digests of all artifacts that runs refer to.
    """

    def __init__(self, artifacts: Callable[[], Awaitable[set[str]]]) -> None:
        self._artifacts = artifacts

    async def ReadReferences(
        self, request: pb.ReadReferencesRequest, context: grpc.aio.ServicerContext
    ) -> AsyncGenerator[pb.ReadReferencesResponse, None]:
        digests = list(await self._artifacts())
        for at in range(0, len(digests), _AT_ONCE):
            yield pb.ReadReferencesResponse(digests=digests[at : at + _AT_ONCE])
