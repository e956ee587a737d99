"""The training service's runs: its messages, asked in this process or over gRPC."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import grpc
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from swath.errors import Unsupported
from swath.rpc.remote_errors import calling
from swath.training.v1 import commands_pb2, runs_pb2
from swath.training.v1.runs_pb2_grpc import RunServiceStub
from swath_experiment.adapters.identity import forwarded
from swath_experiment.runs.model import (
    Checkpoint,
    Command,
    CommandState,
    Curve,
    CurveSummary,
    Hyperparameter,
    Run,
    RunFile,
)

_PAGE = 1000
_STATES = dict[int, CommandState]({1: "asked", 2: "taken", 3: "done", 4: "refused"})


class Way(Protocol):
    """How calls get to the training service."""

    async def __call__(self, method: str, request: Message) -> Any:
        """Call a method of RunService."""
        ...


class InProcess:
    """Calls the servicer in this process: whoever calls this service calls that one.

    Args:
        servicer: Of RunService.
    """

    def __init__(self, servicer: Any) -> None:
        self._servicer = servicer

    async def __call__(self, method: str, request: Message) -> Any:
        answer = getattr(self._servicer, method, None)
        if answer is None:
            raise Unsupported(f"this training service has no {method}")
        return await answer(request, None)


class Remote:
    """Calls over gRPC, with what says who calls this service.

    Args:
        channel: To the training service's replicas.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: Any = RunServiceStub(channel)

    async def __call__(self, method: str, request: Message) -> Any:
        with calling("training"):
            return await getattr(self._stub, method)(request, metadata=forwarded())


class RunClient:
    """The training service's runs. Fulfils `swath_experiment.runs.model.Runs`.

    Args:
        call: How calls get there.
    """

    def __init__(self, call: Way) -> None:
        self._call = call

    async def list(self, experiment: str = "") -> Sequence[Run]:
        """Return runs, newest first: those of an experiment, or all."""
        request = runs_pb2.ListRunsRequest(experiments=[experiment] if experiment else [], page_size=_PAGE)
        found: list[Run] = []
        while True:
            page = await self._call("ListRuns", request)
            found += map(_run, page.runs)
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    async def describe(self, run: str) -> tuple[Sequence[Hyperparameter], Sequence[str]]:
        """Return what can be changed of a run, and the splits that can be evaluated."""
        answer = await self._call("DescribeRun", runs_pb2.DescribeRunRequest(run_id=run))
        return [_hyperparameter(each) for each in answer.hyperparameters], list(answer.splits)

    async def pause(self, run: str) -> Command:
        """Have a run wait."""
        return await self._command("PauseRun", runs_pb2.PauseRunRequest(run_id=run))

    async def resume(self, run: str, steps: int) -> Command:
        """Have a run go on, for so many steps or, with 0, to its end."""
        return await self._command("ResumeRun", runs_pb2.ResumeRunRequest(run_id=run, steps=steps))

    async def change(self, run: str, values: Mapping[str, float]) -> Command:
        """Change hyper-parameters; all or none."""
        return await self._command("ChangeRun", runs_pb2.ChangeRunRequest(run_id=run, hyperparameters=values))

    async def evaluate(self, run: str, split: str, samples: Sequence[str], batches: int) -> Command:
        """Evaluate a split now, or some samples of it."""
        request = runs_pb2.EvaluateRunRequest(run_id=run, split=split, sample_ids=samples, max_batches=batches)
        return await self._command("EvaluateRun", request)

    async def cancel_evaluation(self, run: str, reason: str) -> Command:
        """Give up the evaluation that is under way."""
        request = runs_pb2.CancelEvaluationRequest(run_id=run, reason=reason)
        return await self._command("CancelEvaluation", request)

    async def save(self, run: str) -> Command:
        """Keep the run's state as a checkpoint."""
        return await self._command("SaveCheckpoint", runs_pb2.SaveCheckpointRequest(run_id=run))

    async def restore(self, run: str, checkpoint: str) -> Command:
        """Go back to a checkpoint."""
        return await self._command("RestoreRun", runs_pb2.RestoreRunRequest(run_id=run, checkpoint=checkpoint))

    async def discard(self, run: str, samples: Sequence[str]) -> Command:
        """Leave samples out of training, in place of those that were left out."""
        return await self._command("SetSamples", runs_pb2.SetSamplesRequest(run_id=run, discarded=samples))

    async def commands(self, run: str) -> Sequence[Command]:
        """Return the commands of a run, in their order."""
        answer = await self._call("ListCommands", runs_pb2.ListCommandsRequest(run_id=run))
        return [_command(each) for each in answer.commands]

    async def checkpoints(self, run: str) -> Sequence[Checkpoint]:
        """Return the checkpoints of a run, oldest first."""
        answer = await self._call("ListCheckpoints", runs_pb2.ListCheckpointsRequest(run_id=run))
        return [Checkpoint(each.hash, each.step) for each in answer.checkpoints]

    async def curves(self, run: str) -> Sequence[CurveSummary]:
        """Say which curves a run has."""
        answer = await self._call("ReadCurves", runs_pb2.ReadCurvesRequest(run_id=run))
        return [
            CurveSummary(
                name=each.name,
                split=each.split,
                first_step=each.first_step,
                last_step=each.last_step,
                count=each.count,
                minimum=each.minimum,
                maximum=each.maximum,
            )
            for each in answer.curves
        ]

    async def curve(
        self, run: str, name: str, split: str, *, points: int, steps: tuple[int, int] | None, after: int
    ) -> Curve:
        """Return a curve with at most so many points, or what has come of it after an event."""
        request = runs_pb2.ReadCurveRequest(run_id=run, name=name, split=split, max_points=points, after_seq=after)
        if steps is not None:
            request.first_step, request.last_step = steps
        answer = await self._call("ReadCurve", request)
        return Curve(list(answer.steps), list(answer.values), answer.last_seq)

    async def files(self, run: str, after: int) -> Sequence[RunFile]:
        """Return the files that a run has written after one of that number."""
        answer = await self._call("ReadFiles", runs_pb2.ReadFilesRequest(run_id=run, after=after))
        return [RunFile(each.number, each.kind, each.digest) for each in answer.files]

    async def _command(self, method: str, request: Any) -> Command:
        # Told apart from a second one where the call is repeated on its way.
        request.command_id = uuid.uuid4().hex
        return _command((await self._call(method, request)).command)


def _run(message: runs_pb2.Run) -> Run:
    latest = next(
        (each for each in (message.finished_at, message.started_at, message.created_at) if each.seconds), None
    )
    return Run(
        id=message.run_id,
        experiment=message.experiment,
        name=message.name,
        state=runs_pb2.RunState.Name(message.state).removeprefix("RUN_STATE_").lower(),
        paused=message.paused,
        hash=message.hash,
        hyperparameters=dict(message.hyperparameters),
        step=message.step,
        created_at=_seconds(message.created_at),
        used_at=0.0 if latest is None else _seconds(latest),
    )


def _command(message: commands_pb2.RunCommand) -> Command:
    return Command(
        number=message.number,
        kind=commands_pb2.CommandKind.Name(message.kind).removeprefix("COMMAND_KIND_").lower(),
        state=_STATES.get(message.state, "asked"),
        arguments=json.loads(message.arguments or "{}"),
        step=message.step,
        message=message.message,
        done=message.progress.done,
        total=message.progress.total,
        metrics=dict(message.progress.metrics),
        cancelled=message.progress.cancelled,
        changed_at=_seconds(message.changed_at),
    )


def _hyperparameter(message: runs_pb2.Hyperparameter) -> Hyperparameter:
    return Hyperparameter(
        name=message.name,
        value=message.value,
        minimum=message.minimum,
        exclusive_minimum=message.exclusive_minimum,
        maximum=message.maximum if message.HasField("maximum") else None,
        integer=message.type == runs_pb2.Hyperparameter.TYPE_INTEGER,
    )


def _seconds(time: Timestamp) -> float:
    return time.seconds + time.nanos / 1e9
