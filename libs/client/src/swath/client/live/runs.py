"""Runs of a server: what there are, and what is asked of them while they are under way."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import grpc

from swath.client.calls import Call
from swath.client.errors import call_error, translated
from swath.client.runs import Position
from swath.training.v1 import commands_pb2, events_pb2
from swath.training.v1 import runs_pb2 as pb

if TYPE_CHECKING:
    from swath.client.sync import Client

_STUB = "run_stub"
_PAGE = 500


class RunAt(NamedTuple):
    """One event of a run, and its number in the run's log."""

    seq: int
    event: events_pb2.RunEvent


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of a curve: parallel lists, and how many points they stand for."""

    steps: Sequence[int]
    values: Sequence[float]
    count: int


class Runs:
    """The runs of a server. A run goes by its id, or by the first characters of it.

    Commands are on the server's disk when a call returns, and take effect between two optimizer steps; `settled` waits
    for that. A call that is repeated over a broken connection asks once.

    Args:
        client: Of the server.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def list(
        self,
        *,
        experiments: Sequence[str] = (),
        sessions: Sequence[str] = (),
        states: Sequence[str] = (),
        names: Sequence[str] = (),
        limit: int = _PAGE,
    ) -> list[pb.Run]:
        """Your runs, newest first.

        Args:
            experiments, sessions, states, names: Only runs of these; states such as "running".
            limit: How many at most.

        Raises:
            ValueError: There is no such state.
        """
        found: list[pb.Run] = []
        numbers: Any = [pb.RunState.Value(f"RUN_STATE_{state.upper()}") for state in states]
        token = ""
        while len(found) < limit:
            request = pb.ListRunsRequest(
                experiments=experiments,
                session_ids=sessions,
                states=numbers,
                names=names,
                page_size=min(limit - len(found), _PAGE),
                page_token=token,
            )
            page = self._call("ListRuns", request)
            found += page.runs
            token = page.next_page_token
            if not token:
                break
        return found

    def get(self, run: str) -> pb.Run:
        """One run.

        Raises:
            NotFoundError: There is none, or it is another user's.
        """
        return self._call("GetRun", pb.GetRunRequest(run_id=run), "run")

    def attach(self, run: str, *, after: int = 0, follow: bool = True) -> Iterator[RunAt]:
        """The events of a run; a connection that breaks is made again.

        Args:
            run: The run.
            after: Only events after this number.
            follow: Whether to stay until the run is over. Meanwhile it counts as followed.

        Raises:
            CallError: The run failed, or there is none.
        """
        run_id = self.get(run).run_id
        position = Position(self._client.config.retry, run_id=run_id)
        position.seq = after
        while True:
            request = pb.AttachRunRequest(run_id=run_id, after_seq=position.seq, follow=follow)
            stream: Any = self._client.run_stub.AttachRun(request, metadata=self._client.config.call_metadata())
            try:
                for reply in stream:
                    position.received(reply.seq)
                    yield RunAt(reply.seq, reply.event)
                return
            except grpc.RpcError as error:
                pause = position.cut(call_error(error, method="AttachRun", target=self._client.config.target), {})
            finally:
                stream.cancel()
            time.sleep(pause)

    def pause(self, run: str) -> commands_pb2.RunCommand:
        """Have a run wait between two steps."""
        return self._ask("PauseRun", pb.PauseRunRequest(run_id=run))

    def resume(self, run: str, *, steps: int = 0) -> commands_pb2.RunCommand:
        """Have it go on; for so many optimizer steps, if any are given."""
        return self._ask("ResumeRun", pb.ResumeRunRequest(run_id=run, steps=steps))

    def stop(self, run: str) -> pb.Run:
        """Have it stop with what it has learnt."""
        return self._call("StopRun", pb.StopRunRequest(run_id=run), "run")

    def change(self, run: str, values: Mapping[str, float]) -> commands_pb2.RunCommand:
        """Change hyper-parameters, all or none.

        Raises:
            InvalidArgumentError: One cannot be changed, or is outside of its range.
        """
        return self._ask("ChangeRun", pb.ChangeRunRequest(run_id=run, hyperparameters=values))

    def describe(self, run: str) -> pb.DescribeRunResponse:
        """Which hyper-parameters can be changed, and which splits can be evaluated."""
        return self._call("DescribeRun", pb.DescribeRunRequest(run_id=run))

    def evaluate(self, run: str, split: str, *, max_batches: int = 0) -> commands_pb2.RunCommand:
        """Measure a split now; `settled` waits for what comes of it."""
        return self._ask("EvaluateRun", pb.EvaluateRunRequest(run_id=run, split=split, max_batches=max_batches))

    def cancel_evaluation(self, run: str, reason: str = "") -> commands_pb2.RunCommand:
        """Give up the evaluation under way."""
        return self._ask("CancelEvaluation", pb.CancelEvaluationRequest(run_id=run, reason=reason))

    def save_checkpoint(self, run: str) -> commands_pb2.RunCommand:
        """Keep the run's state."""
        return self._ask("SaveCheckpoint", pb.SaveCheckpointRequest(run_id=run))

    def checkpoints(self, run: str) -> Sequence[pb.RunCheckpoint]:
        """The checkpoints of a run, oldest first."""
        return self._call("ListCheckpoints", pb.ListCheckpointsRequest(run_id=run), "checkpoints")

    def restore(self, run: str, checkpoint: str) -> commands_pb2.RunCommand:
        """Have a run go on from a checkpoint: "<hash>", or "<hash>@@weights_step=<step>" for the weights alone."""
        return self._ask("RestoreRun", pb.RestoreRunRequest(run_id=run, checkpoint=checkpoint))

    def commands(self, run: str, after: int = 0) -> Sequence[commands_pb2.RunCommand]:
        """What was asked of a run after the command of a number."""
        return self._call("ListCommands", pb.ListCommandsRequest(run_id=run, after=after), "commands")

    def settled(self, run: str, number: int, timeout_s: float = 60.0) -> commands_pb2.RunCommand:
        """Wait until a command has taken effect or was refused; return it as it is then, or after the time."""
        until = time.monotonic() + timeout_s
        pause_s = 0.05
        while True:
            command = self.commands(run, number - 1)[0]
            over = command.state in (commands_pb2.COMMAND_STATE_DONE, commands_pb2.COMMAND_STATE_REFUSED)
            if over or time.monotonic() >= until:
                return command
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 1.0)

    def curves(self, run: str) -> Sequence[pb.CurveSummary]:
        """Which curves a run has."""
        return self._call("ReadCurves", pb.ReadCurvesRequest(run_id=run), "curves")

    def curve(self, run: str, name: str, split: str, *, max_points: int = 0) -> Curve:
        """One curve with at most so many points (0 for 1,000): of each part the lowest and the highest.

        Raises:
            NotFoundError: The run has no such curve.
        """
        request = pb.ReadCurveRequest(run_id=run, name=name, split=split, max_points=max_points)
        reply = self._call("ReadCurve", request)
        return Curve(reply.steps, reply.values, reply.count)

    def metrics(self, run: str) -> Iterator[pb.Metric]:
        """All that a run has measured until now, in the order in which it was measured."""
        for reply in self._stream("ReadMetrics", pb.ReadMetricsRequest(run_id=self.get(run).run_id)):
            yield from reply.metrics

    def artifact(self, run: str, artifact: str) -> Iterator[bytes]:
        """A document of a run or its weights, in parts.

        Args:
            run: The run.
            artifact: "specification", "pipeline" or "weights".

        Raises:
            NotFoundError: The run has none, or there is no such run.
            ValueError: There is no such artifact.
        """
        kind: Any = pb.RunArtifact.Value(f"RUN_ARTIFACT_{artifact.upper()}")
        for reply in self._stream("ReadArtifact", pb.ReadArtifactRequest(run_id=run, artifact=kind)):
            yield reply.data

    def _stream(self, method: str, request: Any) -> Iterator[Any]:
        config = self._client.config
        with translated(method, config.target, config.longest_entry):
            yield from getattr(self._client.run_stub, method)(request, metadata=config.call_metadata())

    def _ask(self, method: str, request: Any) -> commands_pb2.RunCommand:
        request.command_id = str(uuid.uuid4())
        return self._call(method, request, "command")

    def _call(self, method: str, request: Any, field: str = "") -> Any:
        read: Callable[[Any], Any] = attrgetter(field) if field else _whole
        return self._client.call(Call(method, request, read, _STUB))


def _whole(reply: Any) -> Any:
    return reply
