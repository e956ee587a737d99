"""The training slice of cuvis_ai.v1.CuvisAIService: messages in, messages out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing

import grpc

from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.errors import InvalidInput
from swath_training.api import capabilities
from swath_training.api.adapters.train_responses import response_of
from swath_training.api.capabilities import Parameter
from swath_training.api.requests import TrainRequest
from swath_training.api.service import TrainingService
from swath_training.api.streams import Following

RUN_KEY = "swath-run-id"
"""Metadata: names the run, in both directions."""
SEQ_KEY = "swath-seq"
"""Trailing metadata: last event that the stream was given."""
AFTER_KEY = "swath-after-seq"
"""Metadata beside `RUN_KEY`: in a request the last event that the client has, in an answer the one it goes on after."""
EXPERIMENT_KEY = "swath-experiment"
"""Metadata of a request: what the run that it starts belongs to."""
NAME_KEY = "swath-run-name"
"""Metadata of a request: a name for the run that it starts."""
_MAX_TEXT = 200


class TrainingServicer:
    """Answers the methods that the training service owns.

    Args:
        service: Decides.
    """

    def __init__(self, service: TrainingService) -> None:
        self._service = service

    async def SetTrainRunConfig(
        self, request: pb.SetTrainRunConfigRequest, context: grpc.aio.ServicerContext
    ) -> pb.SetTrainRunConfigResponse:
        """Set what the session's runs are."""
        from_config = await self._service.set_run_config(request.session_id, request.config.config_bytes)
        return pb.SetTrainRunConfigResponse(success=True, pipeline_from_config=from_config)

    async def Train(
        self, request: pb.TrainRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.TrainResponse]:
        """Start a run, or attach to one, and stream its events."""
        run_id, after_seq = _place(context)
        following = await self._service.train(
            TrainRequest(
                session_id=request.session_id,
                trainer=request.trainer_type,
                data=request.data.config_bytes if request.HasField("data") else None,
                training=request.training.config_bytes if request.HasField("training") else None,
                run_id=run_id,
                after_seq=after_seq,
                experiment=_text(context, EXPERIMENT_KEY),
                name=_text(context, NAME_KEY),
            )
        )
        async with following:
            await context.send_initial_metadata(((RUN_KEY, following.run_id), (AFTER_KEY, str(following.seq))))
            try:
                async with aclosing(following.events()) as events:
                    async for event in events:
                        yield response_of(event)
            finally:
                context.set_trailing_metadata(_trailers(following))

    async def StopTrain(self, request: pb.StopTrainRequest, context: grpc.aio.ServicerContext) -> pb.StopTrainResponse:
        """Ask the session's run to stop."""
        return pb.StopTrainResponse(accepted=True, message=await self._service.stop(request.session_id))

    async def GetTrainStatus(
        self, request: pb.GetTrainStatusRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetTrainStatusResponse:
        """Return the last event of the session's last run."""
        event = await self._service.status(request.session_id)
        none = pb.TrainResponse(message="No training activity in this session yet")
        return pb.GetTrainStatusResponse(latest_progress=none if event is None else response_of(event))

    async def GetTrainingCapabilities(
        self, request: pb.GetTrainingCapabilitiesRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetTrainingCapabilitiesResponse:
        """List the options of gradient training."""
        return pb.GetTrainingCapabilitiesResponse(
            supported_optimizers=capabilities.OPTIMIZER_NAMES,
            supported_schedulers=capabilities.SCHEDULER_NAMES,
            supported_callbacks=[
                pb.CallbackTypeInfo(
                    type=callback.type,
                    description=callback.description,
                    parameters=_parameters(callback.parameters),
                )
                for callback in capabilities.CALLBACKS
            ],
            optimizer_params=pb.OptimizerParamsSchema(parameters=_parameters(capabilities.OPTIMIZER_PARAMETERS)),
            scheduler_params=pb.SchedulerParamsSchema(parameters=_parameters(capabilities.SCHEDULER_PARAMETERS)),
        )


def _place(context: grpc.aio.ServicerContext) -> tuple[str | None, int]:
    """Return the run and the event number that the client gives in its metadata."""
    metadata = dict(context.invocation_metadata() or ())
    after = metadata.get(AFTER_KEY, "0")
    if not str(after).isdecimal():
        raise InvalidInput(f"{AFTER_KEY} must be a number, got {str(after)[:40]!r}")
    run_id = metadata.get(RUN_KEY)
    return (str(run_id) if run_id is not None else None), int(after)


def _text(context: grpc.aio.ServicerContext, key: str) -> str:
    text = str(dict(context.invocation_metadata() or ()).get(key, ""))
    if len(text) > _MAX_TEXT:
        raise InvalidInput(f"{key} must have at most {_MAX_TEXT} characters, got {len(text)}")
    return text


def _trailers(following: Following) -> tuple[tuple[str, str], ...]:
    return (RUN_KEY, following.run_id), (SEQ_KEY, str(following.seq))


def _parameters(parameters: Iterable[Parameter]) -> list[pb.ParamSpec]:
    return [
        pb.ParamSpec(
            name=parameter.name,
            type=parameter.type,
            required=parameter.required,
            default_value=parameter.default,
            description=parameter.description,
            validation=parameter.validation,
        )
        for parameter in parameters
    ]
