"""inference.GRPCInferenceService, translated."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, NoReturn

import grpc

from swath.errors import InvalidInput, Unsupported
from swath.inference import open_inference_pb2 as pb
from swath.rpc.caller import caller
from swath.rpc.server.methods import in_bytes
from swath_inference.protocols.cuvis.shared import is_local
from swath_inference.protocols.oip.infer import Inference
from swath_inference.protocols.oip.messages import InferMessage
from swath_inference.protocols.oip.metadata import model_config, model_metadata, server_metadata
from swath_inference.protocols.oip.repository import Repository
from swath_inference.protocols.oip.settings import LogSwitches, check_trace_settings, trace_settings
from swath_inference.protocols.oip.shared_memory import Client, SystemSharedMemory
from swath_inference.protocols.oip.statistics import Statistics
from swath_inference.protocols.oip.streams import Streams
from swath_inference.protocols.oip.traits import ModelTraits
from swath_inference.shm.registered import Registered

_BY_STATUS = "triton_grpc_error"


class OpenInferenceServicer:
    """Published models by the Open Inference Protocol.

    Args:
        ready: Whether this replica takes calls of models.
        inference: Answers requests.
        streams: Answers streams of them.
        repository: Finds, loads and unloads models.
        traits: What requests have to fit.
        statistics: Has counted requests.
        memory: Shared memory of clients.
        logs: Which log lines are written.
        traced: Whether spans are sent to a collector.
    """

    def __init__(
        self,
        *,
        ready: Callable[[], bool],
        inference: Inference,
        streams: Streams,
        repository: Repository,
        traits: ModelTraits,
        statistics: Statistics,
        memory: SystemSharedMemory,
        logs: LogSwitches,
        traced: bool,
    ) -> None:
        self._ready = ready
        self._inference = inference
        self._streams = streams
        self._repository = repository
        self._traits = traits
        self._statistics = statistics
        self._memory = memory
        self._logs = logs
        self._traced = traced

    async def ServerLive(self, request: pb.ServerLiveRequest, context: Any) -> pb.ServerLiveResponse:
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(self, request: pb.ServerReadyRequest, context: Any) -> pb.ServerReadyResponse:
        return pb.ServerReadyResponse(ready=self._ready())

    async def ModelReady(self, request: pb.ModelReadyRequest, context: Any) -> pb.ModelReadyResponse:
        ready = self._repository.is_ready(request.name, request.version, _caller())
        return pb.ModelReadyResponse(ready=ready and self._ready())

    async def ServerMetadata(self, request: pb.ServerMetadataRequest, context: Any) -> pb.ServerMetadataResponse:
        return server_metadata(shared_memory=self._memory.offered)

    async def ModelMetadata(self, request: pb.ModelMetadataRequest, context: Any) -> pb.ModelMetadataResponse:
        published = self._repository.find(request.name, request.version, _caller())
        versions = [published.version] if request.version else self._repository.versions(published, _caller())
        return model_metadata(published, versions)

    @in_bytes(InferMessage.read)
    async def ModelInfer(self, message: InferMessage, context: grpc.aio.ServicerContext) -> bytes:
        return await self._inference.infer(message, self._client(context), remaining=context.time_remaining())

    @in_bytes(InferMessage.read)
    async def ModelStreamInfer(
        self, requests: AsyncIterator[InferMessage], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[bytes]:
        metadata = context.invocation_metadata() or ()
        by_status = any(key == _BY_STATUS and value == "true" for key, value in metadata)
        async with aclosing(self._streams.answers(requests, self._client(context), by_status=by_status)) as answers:
            async for each in answers:
                yield each

    async def ModelConfig(self, request: pb.ModelConfigRequest, context: Any) -> pb.ModelConfigResponse:
        published = self._repository.find(request.name, request.version, _caller())
        traits = await self._traits.of(published)
        return pb.ModelConfigResponse(config=model_config(published, traits.max_batch_size))

    async def ModelStatistics(self, request: pb.ModelStatisticsRequest, context: Any) -> pb.ModelStatisticsResponse:
        if request.name and request.version:
            found = [self._repository.find(request.name, request.version, _caller())]
        else:
            found = [each.published for each in self._repository.index(_caller(), ready=True)]
            if request.name:
                # Found, or refused in the words that are for it.
                self._repository.find(request.name, "", _caller())
                found = [each for each in found if each.name == request.name]
        return pb.ModelStatisticsResponse(
            model_stats=[self._statistics.of(each).message(each.name, each.version) for each in found]
        )

    async def RepositoryIndex(self, request: pb.RepositoryIndexRequest, context: Any) -> pb.RepositoryIndexResponse:
        if request.repository_name:
            raise _no_repository(request.repository_name)
        return pb.RepositoryIndexResponse(
            models=[
                pb.RepositoryIndexResponse.ModelIndex(
                    name=each.published.name,
                    version=str(each.published.version),
                    state=each.state,
                    reason=each.reason,
                )
                for each in self._repository.index(_caller(), ready=request.ready)
            ]
        )

    async def RepositoryModelLoad(
        self, request: pb.RepositoryModelLoadRequest, context: Any
    ) -> pb.RepositoryModelLoadResponse:
        name = _model_of(request)
        await self._repository.load(name, _caller(), request.parameters)
        return pb.RepositoryModelLoadResponse(model_name=name, is_loaded=True)

    async def RepositoryModelUnload(
        self, request: pb.RepositoryModelUnloadRequest, context: Any
    ) -> pb.RepositoryModelUnloadResponse:
        name = _model_of(request)
        await self._repository.unload(name, _caller(), request.parameters)
        return pb.RepositoryModelUnloadResponse(model_name=name, is_unloaded=True)

    async def SystemSharedMemoryStatus(
        self, request: pb.SystemSharedMemoryStatusRequest, context: grpc.aio.ServicerContext
    ) -> pb.SystemSharedMemoryStatusResponse:
        answer = pb.SystemSharedMemoryStatusResponse()
        for each in self._memory.listed(self._client(context), request.name):
            region = answer.regions[each.name]
            region.name, region.key, region.offset, region.byte_size = each.name, each.key, each.offset, each.size
        return answer

    async def SystemSharedMemoryRegister(
        self, request: pb.SystemSharedMemoryRegisterRequest, context: grpc.aio.ServicerContext
    ) -> pb.SystemSharedMemoryRegisterResponse:
        region = Registered(request.name, request.key, request.offset, request.byte_size)
        self._memory.register(self._client(context), region)
        return pb.SystemSharedMemoryRegisterResponse()

    async def SystemSharedMemoryUnregister(
        self, request: pb.SystemSharedMemoryUnregisterRequest, context: grpc.aio.ServicerContext
    ) -> pb.SystemSharedMemoryUnregisterResponse:
        self._memory.unregister(self._client(context), request.name)
        return pb.SystemSharedMemoryUnregisterResponse()

    async def CudaSharedMemoryStatus(self, request: pb.CudaSharedMemoryStatusRequest, context: Any) -> NoReturn:
        raise _no_cuda()

    async def CudaSharedMemoryRegister(self, request: pb.CudaSharedMemoryRegisterRequest, context: Any) -> NoReturn:
        raise _no_cuda()

    async def CudaSharedMemoryUnregister(self, request: pb.CudaSharedMemoryUnregisterRequest, context: Any) -> NoReturn:
        raise _no_cuda()

    async def TraceSetting(self, request: pb.TraceSettingRequest, context: Any) -> pb.TraceSettingResponse:
        if request.model_name:
            self._repository.find(request.model_name, "", _caller())
        settings = trace_settings(exported=self._traced)
        check_trace_settings(request.settings, settings)
        answer = pb.TraceSettingResponse()
        for name, value in settings.items():
            answer.settings[name].value.append(value)
        return answer

    async def LogSettings(
        self, request: pb.LogSettingsRequest, context: grpc.aio.ServicerContext
    ) -> pb.LogSettingsResponse:
        if request.settings:
            self._logs.change(request.settings, local=is_local(context))
        return self._logs.read()

    def _client(self, context: grpc.aio.ServicerContext) -> Client:
        # Now: whoever asks a call that is over for its peer takes the process down. Without shared memory it is not
        # needed.
        if not self._memory.offered:
            return Client(_caller(), "", False)
        return Client(_caller(), context.peer(), is_local(context))


def _caller() -> str | None:
    who = caller()
    return None if who is None else who.name


def _model_of(request: pb.RepositoryModelLoadRequest | pb.RepositoryModelUnloadRequest) -> str:
    """Return the model that a load or unload names: in its own field, or where clients after KServe's proto have it."""
    if not request.model_name and not request.repository_name:
        raise InvalidInput("expected the name of a model, got none")
    if request.model_name and request.repository_name:
        raise _no_repository(request.repository_name)
    return request.model_name or request.repository_name


def _no_repository(name: str) -> Unsupported:
    return Unsupported(f"there are no repositories to choose from, leave the name of one out; got {name[:80]!r}")


def _no_cuda() -> Unsupported:
    return Unsupported(
        "shared memory of CUDA devices is not offered; system_shared_memory is, to clients of this machine"
    )
