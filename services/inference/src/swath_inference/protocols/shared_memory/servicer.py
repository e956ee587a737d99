"""Regions of shared memory for clients of this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc

from swath.inference.v1 import shared_memory_pb2 as pb
from swath_inference.protocols.cuvis.shared import is_local
from swath_inference.shm.service import RegionService


class SharedMemoryServicer:
    """swath.inference.v1.SharedMemoryService.

    Args:
        service: Makes and ends regions.
        local: Whether clients on this machine may have some.
    """

    def __init__(self, service: RegionService, *, local: bool) -> None:
        self._service = service
        self._local = local

    async def Acquire(
        self, request: pb.AcquireRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.AcquireResponse]:
        local = self._local and is_local(context)
        async with self._service.holding(request.session_id, request.byte_size, local=local) as region:
            yield pb.AcquireResponse(name=region.name, byte_size=region.size, path=region.path, inode=region.inode)
            await self._service.expired(region)
