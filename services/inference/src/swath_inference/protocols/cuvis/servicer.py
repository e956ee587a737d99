"""Inference and profiling calls of cuvis_ai.v1, translated."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import grpc

from swath.api.payloads import Payloads, split
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.errors import InvalidInput
from swath.rpc.outputs import outputs_trailer
from swath.rpc.server.methods import in_bytes
from swath_inference.profiling.service import ProfilingService
from swath_inference.protocols.cuvis.shared import SharedMemory
from swath_inference.protocols.cuvis.tensors import read_batch, refuse, write_outputs
from swath_inference.service import InferenceService

_STAGES = {
    pb.EXECUTION_STAGE_TRAIN: "train",
    pb.EXECUTION_STAGE_VAL: "val",
    pb.EXECUTION_STAGE_TEST: "test",
    pb.EXECUTION_STAGE_INFERENCE: "inference",
}
_CODES = {name: code for code, name in _STAGES.items()}

_TENSOR = pb.Tensor.DESCRIPTOR
_EXTRA_INPUTS = pb.InputBatch.DESCRIPTOR.fields_by_name["extra_inputs"]


@dataclass(slots=True)
class InferenceCall:
    """A request whose large payloads lie where they arrived.

    Attributes:
        request: The rest of it.
        payloads: What its bytes fields stand for.
        arrived: Bytes that it came in.
    """

    request: pb.InferenceRequest
    payloads: Payloads
    arrived: int

    @classmethod
    def read(cls, data: bytes) -> InferenceCall:
        """Read a request."""
        request, payloads = split(pb.InferenceRequest, data)
        return cls(request, payloads, len(data))

    @property
    def session_id(self) -> str:
        """The session that the call is about."""
        return self.request.session_id

    def shared_bytes(self) -> int | None:
        """Return the bytes that it refers to in shared memory; None where it refers to none."""
        inputs = self.request.inputs
        size = None
        for described, value in inputs.ListFields():
            if described.message_type is _TENSOR:
                tensors: Any = (value,)
            elif described is _EXTRA_INPUTS:
                tensors = value.values()
            else:
                continue
            for tensor in tensors:
                if tensor.HasField("shm_ref"):
                    size = (size or 0) + tensor.shm_ref.byte_size
        return size


class InferenceServicer:
    """The methods of CuvisAIService that the inference service owns.

    Args:
        service: Runs pipelines.
        profiling: Profiles them.
        memory: Shared memory that clients may refer to; none if not given.
    """

    def __init__(
        self, service: InferenceService, profiling: ProfilingService, *, memory: SharedMemory | None = None
    ) -> None:
        self._service = service
        self._profiling = profiling
        self._memory = SharedMemory() if memory is None else memory

    @in_bytes(InferenceCall.read)
    async def Inference(self, call: InferenceCall, context: grpc.aio.ServicerContext) -> bytes:
        request, session_id = call.request, call.session_id
        wanted = frozenset(request.output_specs)
        referred = call.shared_bytes()
        shared = refuse if referred is None else self._memory.reader(session_id, context)
        place = self._memory.output_place(session_id, context)

        def read() -> dict[str, Any]:
            return read_batch(request.inputs, shared=shared, payloads=call.payloads)

        def write(outputs: dict[str, Any]) -> bytes:
            return write_outputs(outputs, wanted, place)

        def unknown(there: Sequence[str]) -> None:
            # The answer passes over names that it does not know; our own client refuses them, and says what there is.
            context.set_trailing_metadata(outputs_trailer(there))

        remaining = context.time_remaining()
        return await self._service.infer(
            session_id,
            read,
            request.output_specs,
            write,
            unknown,
            size=call.arrived + (referred or 0),
            deadline=None if remaining is None else time.monotonic() + remaining,
        )

    async def SetProfiling(self, request: pb.SetProfilingRequest, context: Any) -> pb.SetProfilingResponse:
        enabled = await self._profiling.set_profiling(
            request.session_id,
            enabled=request.enabled,
            synchronize=request.synchronize_cuda if request.HasField("synchronize_cuda") else None,
            reset=request.reset if request.HasField("reset") else None,
            skip_first=request.skip_first_n if request.HasField("skip_first_n") else None,
        )
        return pb.SetProfilingResponse(profiling_enabled=enabled)

    async def GetProfilingSummary(
        self, request: pb.GetProfilingSummaryRequest, context: Any
    ) -> pb.GetProfilingSummaryResponse:
        stage = _STAGES.get(request.stage)
        if stage is None and request.stage != pb.EXECUTION_STAGE_UNSPECIFIED:
            raise InvalidInput(f"there is no execution stage {request.stage}; stages are {_STAGES}")
        times = await self._profiling.profiling_summary(request.session_id, stage)
        return pb.GetProfilingSummaryResponse(
            node_stats=[
                pb.NodeProfilingStats(
                    node_name=entry.node,
                    stage=_CODES[entry.stage],
                    count=entry.count,
                    mean_ms=entry.mean,
                    median_ms=entry.median,
                    std_ms=entry.std,
                    min_ms=entry.minimum,
                    max_ms=entry.maximum,
                    total_ms=entry.total,
                    last_ms=entry.last,
                )
                for entry in times
            ]
        )
