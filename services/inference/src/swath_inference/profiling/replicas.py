"""swath.inference.v1.ProfileShare: replicas read one another's records."""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Callable, Iterable

import grpc
import structlog

from swath.inference.v1 import profiles_pb2 as pb
from swath.inference.v1.profiles_pb2_grpc import ProfileShareStub
from swath.rpc.addresses import Address
from swath.runtime.health_watch import resolve
from swath_inference.profiling.profiler import Profiler, Record, Series

_log = structlog.get_logger("swath.inference")

_CALL_TIMEOUT_S = 1.0


class ProfileShareServicer:
    """Answers the other replicas.

    Args:
        profiler: What this one has recorded.
        name: Of this replica, by which it knows its own answer.
    """

    def __init__(self, profiler: Profiler, name: str) -> None:
        self._profiler = profiler
        self._name = name

    async def ReadProfiles(
        self, request: pb.ReadProfilesRequest, context: grpc.aio.ServicerContext
    ) -> pb.ReadProfilesResponse:
        record = self._profiler.read(request.session_id, request.generation)
        return pb.ReadProfilesResponse(
            series=(_message(node, stage, series) for (node, stage), series in record.items()), replica=self._name
        )


class RemoteReplicas:
    """Asks the other replicas of the inference service.

    Args:
        addresses: Of all replicas, this one among them.
        connect: Makes a channel to one replica.

    Attributes:
        name: Of this replica, whose own answer is left out; made anew at each start.
    """

    def __init__(self, addresses: Iterable[Address], connect: Callable[[Address], grpc.aio.Channel]) -> None:
        self.name = str(uuid.uuid4())
        self._addresses = tuple(addresses)
        self._connect = connect
        self._channels: dict[Address, grpc.aio.Channel] = {}

    async def read(self, session_id: str, generation: int) -> list[Record]:
        """Return what each of the others has recorded; one that does not answer within a second is left out."""
        found = {each for address in self._addresses for each in await resolve(address)}
        for gone in self._channels.keys() - found:
            await self._channels.pop(gone).close()
        for new in found - self._channels.keys():
            self._channels[new] = self._connect(new)
        request = pb.ReadProfilesRequest(session_id=session_id, generation=generation)
        answers = await asyncio.gather(*(self._ask(address, request) for address in found))
        return [
            {(series.node, series.stage): _series(series) for series in answer.series}
            for answer in answers
            if answer is not None and answer.replica != self.name
        ]

    async def close(self) -> None:
        """Close the channels."""
        for channel in self._channels.values():
            await channel.close()

    async def _ask(self, address: Address, request: pb.ReadProfilesRequest) -> pb.ReadProfilesResponse | None:
        try:
            return await ProfileShareStub(self._channels[address]).ReadProfiles(request, timeout=_CALL_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            _log.warning("a replica's profile is left out", replica=str(address), error=str(error.code()))
            return None


def _message(node: str, stage: str, series: Series) -> pb.NodeSeries:
    return pb.NodeSeries(
        node=node,
        stage=stage,
        count=series.count,
        mean=series.mean,
        squares=series.squares,
        minimum=series.minimum,
        maximum=series.maximum,
        total=series.total,
        last=series.last,
        last_at=series.last_at,
        recent=series.recent,
    )


def _series(message: pb.NodeSeries) -> Series:
    return Series(
        count=message.count,
        mean=message.mean,
        squares=message.squares,
        minimum=message.minimum,
        maximum=message.maximum,
        total=message.total,
        last=message.last,
        last_at=message.last_at,
        recent=deque(message.recent),
    )
