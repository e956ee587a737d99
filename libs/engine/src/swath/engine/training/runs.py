"""Runs, from the first event to the last."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from swath.documents import PipelineDocument, TrainingDocument
from swath.engine.data import DataModule
from swath.engine.graph.pipeline import Pipeline, State
from swath.engine.training import randomness
from swath.engine.training.batches import Batches
from swath.engine.training.control import Checkpointer, Control, StopFlag, StopRun
from swath.engine.training.distributed.device import adapted, device_of, switches
from swath.engine.training.distributed.group import ALONE, Group
from swath.engine.training.distributed.precision import format_of
from swath.engine.training.finite import require_finite_state
from swath.engine.training.live.commands import LiveControl
from swath.engine.training.live.desk import Desk
from swath.engine.training.phases import statistical
from swath.engine.training.phases.gradient import GradientPhase
from swath.engine.training.phases.postfit import restore_best, run_post_fit
from swath.engine.training.reporting.events import Event, Hook, Lifecycle, Position, Status
from swath.engine.training.reporting.outcomes import CalibrationOutcome
from swath.engine.training.reporting.stream import EventStream
from swath.engine.training.snapshots import Phase, Snapshot, SnapshotWriter, load
from swath.engine.training.spec import RunSpec, Trainer
from swath.errors import InvalidInput, OutOfMemory, SwathError

_NOT_STARTED = "Training run was cancelled; not starting this trainer phase"
_CANCELLED = "Training cancelled; the pipeline holds the state of the last completed step"
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        status: COMPLETE, or CANCELLED if it was asked to stop.
        state: The pipeline's weights, on the CPU, by node and key.
        document: The pipeline with calibrated thresholds.
        message: The message of the last event.
        calibration: Outcome of the calibration, if there was one.
        snapshot: What a stopped run can be resumed from, if it had begun.
        events: Number of events of the whole run.
    """

    status: Status
    state: State
    document: PipelineDocument
    message: str
    calibration: CalibrationOutcome | None = None
    snapshot: bytes | None = None
    events: int = 0


def run(
    spec: RunSpec,
    data: DataModule,
    pipeline: Pipeline,
    emit: Callable[[Event], None],
    control: Control | None = None,
    *,
    checkpointer: Checkpointer | None = None,
    snapshot: bytes | None = None,
    group: Group = ALONE,
    commands: LiveControl | None = None,
) -> Outcome:
    """Do what a spec says.

    Args:
        spec: What to do.
        data: The frames.
        pipeline: As built from its document and weights; changed in place, and on the CPU again at the end.
        emit: Takes each event, in order, on this thread.
        control: Asked before each batch and node whether to stop.
        checkpointer: Takes snapshots, at the end of each epoch and statistical pass, every `RunSpec.snapshot_every_s`
            seconds, and at a stop.
        snapshot: What to resume from; pipeline and data are built as for the first start. On the CPU the weights are
            bit-equal to those of an uninterrupted run, and the same events follow.
        group: The processes that share a gradient run. Each calls this with the same arguments. Only process 0 emits
            events and writes snapshots and checkpoints; the others return after the fit.
        commands: Gives what is asked of the run while it is under way; only process 0 needs it.

    Raises:
        InvalidInput: A setting is invalid, or a node cannot take the data.
        NotFitted: The pipeline lacks weights.
        OutOfMemory: The device has too little memory.
        SwathError: Other errors of data and nodes.
    """
    spec.check(pipeline, data, group)
    control = control or StopFlag()
    device = device_of(spec.training, group)
    stream = EventStream(emit, control, group)
    snapshots = SnapshotWriter(checkpointer, spec.identity, spec.snapshot_every_s, group)
    former = load(snapshot, spec.identity) if snapshot is not None else None
    if former is not None:
        stream.count = former.events
        snapshots.latest = snapshot
    desk = Desk(commands, stream, group)
    if former is not None:
        desk.skip()
    with _named_errors(), randomness.isolated(device), switches(spec.training or TrainingDocument()):
        randomness.seed_all(spec.seed + group.rank)
        if stream.stop_requested():
            stream.send(Position(), message=_NOT_STARTED, status=Status.CANCELLED)
            return _outcome(Status.CANCELLED, _NOT_STARTED, pipeline, stream, snapshots)
        pipeline.to(device)
        try:
            message, calibration, last = _phases(spec, data, pipeline, stream, snapshots, device, former, group, desk)
        except StopRun:
            group.leave()
            _require_finite(pipeline)
            stream.send(Position(), message=_CANCELLED, status=Status.CANCELLED)
            return _outcome(Status.CANCELLED, _CANCELLED, pipeline, stream, snapshots)
        finally:
            pipeline.eval().to("cpu")
            pipeline.close()
        _require_finite(pipeline)
        stream.send(last, message=message, status=Status.COMPLETE)
        return _outcome(Status.COMPLETE, message, pipeline, stream, snapshots, calibration)


def _phases(
    spec: RunSpec,
    data: DataModule,
    pipeline: Pipeline,
    stream: EventStream,
    snapshots: SnapshotWriter,
    device: torch.device,
    former: Snapshot | None,
    group: Group,
    desk: Desk,
) -> tuple[str, CalibrationOutcome | None, Position]:
    """Do the work; return the last message, the outcome of the calibration, and the last position."""
    batches = Batches(data, spec.trainrun.data.batch_size, device)
    match spec.trainer:
        case Trainer.STATISTICAL:
            stream.settle = lambda: desk.settle(Position(), {}, _nothing)
            return _statistical(spec, pipeline, batches, stream, snapshots, former)
        case Trainer.GRADIENT:
            shared = Batches(data, spec.trainrun.data.batch_size, device, group)
            return _gradient(spec, pipeline, shared, batches, stream, snapshots, device, former, group, desk)
        case Trainer.CALIBRATION:
            stream.settle = lambda: desk.settle(Position(), {}, _nothing)
            return _calibration(spec, pipeline, batches, stream)


def _statistical(
    spec: RunSpec,
    pipeline: Pipeline,
    batches: Batches,
    stream: EventStream,
    snapshots: SnapshotWriter,
    former: Snapshot | None,
) -> tuple[str, CalibrationOutcome | None, Position]:
    if not stream.count:
        stream.send(Position(), message="Starting statistical training")
    last = Position(epoch=1, global_step=1)
    if former is None or former.phase is Phase.STATISTICAL:
        content = former.content if former else None
        left_out = statistical.fit(pipeline, batches, stream, snapshots, spec.resolve, content)
    else:
        pipeline.load_state(former.content["state"], strict=True)
        left_out = int(former.content.get("left_out", 0))
    message = "Statistical training complete"
    if left_out:
        message += f"; {left_out} invalid pixels (a band is not finite) left out"
    if not spec.does_post_fit:
        return message, None, last
    with _repeatable(snapshots, stream, {"state": pipeline.state(), "left_out": left_out}):
        calibration = run_post_fit(spec, pipeline, batches, stream, last)
    return _with_summary(message, calibration), calibration, last


def _gradient(
    spec: RunSpec,
    pipeline: Pipeline,
    shared: Batches,
    batches: Batches,
    stream: EventStream,
    snapshots: SnapshotWriter,
    device: torch.device,
    former: Snapshot | None,
    group: Group,
    desk: Desk,
) -> tuple[str, CalibrationOutcome | None, Position]:
    assert spec.training is not None
    parameters = spec.trainable(pipeline)
    mixed = format_of(spec.training) is not None
    phase = GradientPhase(spec, pipeline, parameters, shared, device, stream, snapshots, group, desk)
    if former is None or former.phase is Phase.GRADIENT:
        with adapted(pipeline, frozen=spec.trainrun.freeze_nodes, mixed=mixed):
            phase.run(former.content if former else None)
    else:
        phase.take_summary(former.content)
    group.leave()
    message = "Gradient training complete"
    last = Position(epoch=spec.training.max_epochs, global_step=phase.loop.step)
    if not spec.does_post_fit or not group.is_leader:
        return message, None, last
    position = Position(epoch=phase.loop.epoch, global_step=phase.loop.step)
    with _repeatable(snapshots, stream, phase.summary()):
        restored = restore_best(phase.checkpoints, pipeline)
        stream.send(position, Lifecycle(Hook.CHECKPOINT_RESTORED, checkpoint=restored))
        calibration = run_post_fit(spec, pipeline, batches, stream, position)
    return _with_summary(message, calibration), calibration, last


def _calibration(
    spec: RunSpec, pipeline: Pipeline, batches: Batches, stream: EventStream
) -> tuple[str, CalibrationOutcome | None, Position]:
    stream.send(Position(), message="Starting calibration")
    calibration = run_post_fit(spec, pipeline, batches, stream, Position())
    summary = calibration.summary() if calibration.applicable else "no calibratable decider"
    return f"Calibration complete; {summary}", calibration, Position()


@contextmanager
def _repeatable(snapshots: SnapshotWriter, stream: EventStream, content: dict[str, Any]) -> Iterator[None]:
    """Let the steps after a fit start over where they are interrupted; they are short."""
    events = stream.count
    if snapshots.active:
        snapshots.write(Phase.POST_FIT, events, content)
    try:
        yield
    except StopRun:
        if not snapshots.active:
            snapshots.write(Phase.POST_FIT, events, content)
        raise


def _nothing() -> None:
    """A pause of a pass over the data writes no snapshot: one that breaks off starts again."""


def _with_summary(message: str, calibration: CalibrationOutcome) -> str:
    return f"{message}; {calibration.summary()}" if calibration.applicable else message


def _require_finite(pipeline: Pipeline) -> None:
    require_finite_state(pipeline, pipeline.order, "at the end of the run")


def _outcome(
    status: Status,
    message: str,
    pipeline: Pipeline,
    stream: EventStream,
    snapshots: SnapshotWriter,
    calibration: CalibrationOutcome | None = None,
) -> Outcome:
    return Outcome(
        status=status,
        state=pipeline.state(),
        document=pipeline.document(),
        message=message,
        calibration=calibration,
        snapshot=snapshots.latest if status is Status.CANCELLED else None,
        events=stream.count,
    )


@contextmanager
def _named_errors() -> Iterator[None]:
    """Raise errors of torch and Python that a client's mistake causes as errors of `swath.errors`."""
    try:
        yield
    except SwathError:
        raise
    except torch.OutOfMemoryError as error:
        raise _too_small(error) from error
    except MemoryError as error:
        raise _too_small(error) from error
    except ValueError as error:
        raise InvalidInput(str(error)) from error
    except RuntimeError as error:
        if any(text in str(error).lower() for text in _OUT_OF_MEMORY):
            raise _too_small(error) from error
        raise


def _too_small(error: BaseException) -> OutOfMemory:
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return OutOfMemory(
        f"The device ran out of memory; lower data.batch_size or the tile size, or raise "
        f"training.accumulate_grad_batches instead ({first})"
    )
