"""swath.training.v1.RunService: messages in, messages out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

import grpc

from swath.errors import InvalidInput
from swath.training.v1 import events_pb2
from swath.training.v1 import runs_pb2 as pb
from swath_training.api.adapters.runs import (
    checkpoint_message,
    command_message,
    curve_message,
    file_message,
    hyperparameter_messages,
    line_message,
    metric_message,
    run_message,
    states_of,
)
from swath_training.api.service import TrainingService
from swath_training.runs.model import RunArtifact

_PART_BYTES = 1 << 20
_ARTIFACTS: dict[int, RunArtifact] = {
    pb.RUN_ARTIFACT_SPECIFICATION: RunArtifact.SPECIFICATION,
    pb.RUN_ARTIFACT_PIPELINE: RunArtifact.PIPELINE,
    pb.RUN_ARTIFACT_WEIGHTS: RunArtifact.WEIGHTS,
}


class RunServicer:
    """Answers swath.training.v1.RunService.

    Args:
        service: Decides.
    """

    def __init__(self, service: TrainingService) -> None:
        self._service = service
        self._reading = service.reading
        self._commanding = service.commanding

    async def ReadLogs(
        self, request: pb.ReadLogsRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.ReadLogsResponse]:
        """Stream what the workers of a run have logged."""
        async with aclosing(self._service.logs(request.run_id, request.after, follow=request.follow)) as pages:
            async for page in pages:
                yield pb.ReadLogsResponse(lines=map(line_message, page))

    async def ReadMetrics(
        self, request: pb.ReadMetricsRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.ReadMetricsResponse]:
        """Stream what a run has measured."""
        async with aclosing(self._service.metrics(request.run_id, request.names, request.after_seq)) as pages:
            async for page in pages:
                yield pb.ReadMetricsResponse(metrics=map(metric_message, page))

    async def ReadArtifact(
        self, request: pb.ReadArtifactRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.ReadArtifactResponse]:
        """Stream a document or the weights of a run."""
        data = memoryview(await self._service.artifact(request.run_id, _artifact(request.artifact)))
        for start in range(0, len(data), _PART_BYTES):
            yield pb.ReadArtifactResponse(data=bytes(data[start : start + _PART_BYTES]))

    async def ListRuns(self, request: pb.ListRunsRequest, context: grpc.aio.ServicerContext) -> pb.ListRunsResponse:
        """List runs, newest first."""
        runs, token = await self._reading.runs(
            experiments=request.experiments,
            sessions=request.session_ids,
            states=states_of(request.states),
            names=request.names,
            page_size=request.page_size,
            page_token=request.page_token,
        )
        return pb.ListRunsResponse(runs=map(run_message, runs), next_page_token=token)

    async def GetRun(self, request: pb.GetRunRequest, context: grpc.aio.ServicerContext) -> pb.GetRunResponse:
        """Return one run."""
        return pb.GetRunResponse(run=run_message(await self._reading.own(request.run_id)))

    async def AttachRun(
        self, request: pb.AttachRunRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.AttachRunResponse]:
        """Stream the events of a run."""
        events = self._reading.attach(request.run_id, request.after_seq, follow=request.follow)
        async with aclosing(events) as logged:
            async for entry in logged:
                event = events_pb2.RunEvent.FromString(entry.payload)
                yield pb.AttachRunResponse(seq=entry.seq, event=event)

    async def PauseRun(self, request: pb.PauseRunRequest, context: grpc.aio.ServicerContext) -> pb.PauseRunResponse:
        """Have a run wait."""
        command = await self._commanding.pause(request.run_id, request.command_id)
        return pb.PauseRunResponse(command=command_message(command))

    async def ResumeRun(self, request: pb.ResumeRunRequest, context: grpc.aio.ServicerContext) -> pb.ResumeRunResponse:
        """Have a run go on."""
        command = await self._commanding.resume(request.run_id, request.command_id, request.steps)
        return pb.ResumeRunResponse(command=command_message(command))

    async def ChangeRun(self, request: pb.ChangeRunRequest, context: grpc.aio.ServicerContext) -> pb.ChangeRunResponse:
        """Change hyper-parameters."""
        command = await self._commanding.change(request.run_id, request.command_id, request.hyperparameters)
        return pb.ChangeRunResponse(command=command_message(command))

    async def EvaluateRun(
        self, request: pb.EvaluateRunRequest, context: grpc.aio.ServicerContext
    ) -> pb.EvaluateRunResponse:
        """Measure a split now."""
        command = await self._commanding.evaluate(
            request.run_id, request.command_id, request.split, request.sample_ids, request.max_batches
        )
        return pb.EvaluateRunResponse(command=command_message(command))

    async def CancelEvaluation(
        self, request: pb.CancelEvaluationRequest, context: grpc.aio.ServicerContext
    ) -> pb.CancelEvaluationResponse:
        """Give up an evaluation."""
        command = await self._commanding.cancel_evaluation(request.run_id, request.command_id, request.reason)
        return pb.CancelEvaluationResponse(command=command_message(command))

    async def SaveCheckpoint(
        self, request: pb.SaveCheckpointRequest, context: grpc.aio.ServicerContext
    ) -> pb.SaveCheckpointResponse:
        """Keep a run's state."""
        command = await self._commanding.save_checkpoint(request.run_id, request.command_id)
        return pb.SaveCheckpointResponse(command=command_message(command))

    async def RestoreRun(
        self, request: pb.RestoreRunRequest, context: grpc.aio.ServicerContext
    ) -> pb.RestoreRunResponse:
        """Go on from a checkpoint."""
        command = await self._commanding.restore(request.run_id, request.command_id, request.checkpoint)
        return pb.RestoreRunResponse(command=command_message(command))

    async def SetSamples(
        self, request: pb.SetSamplesRequest, context: grpc.aio.ServicerContext
    ) -> pb.SetSamplesResponse:
        """Leave samples out."""
        command = await self._commanding.set_samples(request.run_id, request.command_id, request.discarded)
        return pb.SetSamplesResponse(command=command_message(command))

    async def StopRun(self, request: pb.StopRunRequest, context: grpc.aio.ServicerContext) -> pb.StopRunResponse:
        """Have a run stop."""
        return pb.StopRunResponse(run=run_message(await self._commanding.stop(request.run_id)))

    async def DescribeRun(
        self, request: pb.DescribeRunRequest, context: grpc.aio.ServicerContext
    ) -> pb.DescribeRunResponse:
        """Say what can be changed about a run."""
        run = await self._reading.own(request.run_id)
        splits = await self._commanding.splits(run)
        return pb.DescribeRunResponse(hyperparameters=hyperparameter_messages(run), splits=splits)

    async def GetEvaluation(
        self, request: pb.GetEvaluationRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetEvaluationResponse:
        """Return an evaluation."""
        command = await self._reading.evaluation(request.run_id, request.number)
        return pb.GetEvaluationResponse(command=command_message(command))

    async def ListCommands(
        self, request: pb.ListCommandsRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListCommandsResponse:
        """List commands of a run."""
        commands = await self._reading.commands(request.run_id, request.after)
        return pb.ListCommandsResponse(commands=map(command_message, commands))

    async def ListCheckpoints(
        self, request: pb.ListCheckpointsRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListCheckpointsResponse:
        """List checkpoints of a run."""
        checkpoints = await self._reading.checkpoints(request.run_id)
        return pb.ListCheckpointsResponse(checkpoints=map(checkpoint_message, checkpoints))

    async def ReadFiles(self, request: pb.ReadFilesRequest, context: grpc.aio.ServicerContext) -> pb.ReadFilesResponse:
        """List files of a run."""
        files = await self._reading.files(request.run_id, request.after, request.kinds)
        return pb.ReadFilesResponse(files=map(file_message, files))

    async def ReadCurves(
        self, request: pb.ReadCurvesRequest, context: grpc.aio.ServicerContext
    ) -> pb.ReadCurvesResponse:
        """List the curves of a run."""
        run = await self._reading.own(request.run_id)
        return pb.ReadCurvesResponse(curves=[curve_message(each) for each in await self._service.curves.index(run.id)])

    async def ReadCurve(self, request: pb.ReadCurveRequest, context: grpc.aio.ServicerContext) -> pb.ReadCurveResponse:
        """Return one curve."""
        run = await self._reading.own(request.run_id)
        curve = await self._service.curves.read(
            run.id,
            request.name,
            request.split,
            first_step=request.first_step if request.HasField("first_step") else None,
            last_step=request.last_step if request.HasField("last_step") else None,
            max_points=request.max_points,
            after_seq=request.after_seq,
        )
        return pb.ReadCurveResponse(steps=curve.steps, values=curve.values, count=curve.count, last_seq=curve.last_seq)


def _artifact(number: int) -> RunArtifact:
    if number not in _ARTIFACTS:
        names = ", ".join(pb.RunArtifact.Name(each) for each in _ARTIFACTS)
        raise InvalidInput(f"artifact: expected one of {names}, got {number}")
    return _ARTIFACTS[number]
