"""What commands do to a gradient phase."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from swath.documents import CommandKind, CommandState, checked_hyperparameters, initial_hyperparameters
from swath.engine.graph.pipeline import Pipeline
from swath.engine.graph.ports import Stage
from swath.engine.training import randomness
from swath.engine.training.batches import Batches
from swath.engine.training.cadence import Cadence, cadence
from swath.engine.training.distributed.group import Group
from swath.engine.training.live.desk import Desk
from swath.engine.training.phases.commands.evaluation import LiveEvaluation
from swath.engine.training.phases.gradient_state import GradientState
from swath.engine.training.phases.optimization import Optimization
from swath.engine.training.reporting.commands import Command, CommandReport
from swath.engine.training.reporting.events import Position
from swath.engine.training.snapshots import SnapshotWriter, content_of
from swath.engine.training.spec import RunSpec
from swath.errors import InvalidInput, SwathError

_REPORTS = 20
"""Reports of an evaluation under way, at most."""


class LiveGradient:
    """Lets commands take effect on a gradient phase.

    Args:
        spec: What the run does.
        pipeline: What is trained.
        optimization: Its optimizer.
        batches: Its data.
        state: All parts of the phase that have a state, among them what commands have changed.
        snapshots: Takes the snapshots.
        desk: Takes the commands.
        device: Where the pipeline is.
        group: The processes that train together.

    Attributes:
        cadence: When the phase validates, and limits of batches.
        undo: Copy of what an evaluation under way may change: a run stopped during one resumes before it.
    """

    def __init__(
        self,
        spec: RunSpec,
        pipeline: Pipeline,
        optimization: Optimization,
        batches: Batches,
        state: GradientState,
        snapshots: SnapshotWriter,
        desk: Desk,
        device: torch.device,
        group: Group,
    ) -> None:
        assert spec.training is not None
        self._spec, self._training = spec, spec.training
        self._pipeline, self._optimization, self._batches = pipeline, optimization, batches
        self._values, self._state, self._snapshots = state.live, state, snapshots
        self._desk, self._device, self._group = desk, device, group
        self._initial = initial_hyperparameters(spec.trainrun, spec.training)
        self.undo: dict[str, Any] | None = None
        self.cadence = self._paced()
        self._handlers = {
            CommandKind.CHANGE: self._change,
            CommandKind.EVALUATE: self._evaluate,
            CommandKind.SAVE_CHECKPOINT: self._save,
            CommandKind.RESTORE: self._restore,
        }

    def resume(self) -> None:
        """Go on with what a snapshot holds of commands."""
        self._desk.skip()
        self._desk.paused, self._desk.pause_at = self._values.paused, self._values.pause_at
        if self._values.batch_size:
            self._batches.resize(self._values.batch_size)
        self.cadence = self._paced()

    def begin_epoch(self) -> None:
        """Let what takes effect with an epoch do so."""
        wanted = int(self._values.changed.get("batch_size", 0))
        if wanted and wanted != self._values.batch_size:
            self._values.batch_size = wanted
            self._batches.resize(wanted)
            self.cadence = self._paced()

    def between_batches(self, at: Position, batch: int, train_mode: Callable[[], None]) -> None:
        """Let commands take effect where no gradients wait for their step, and wait while the run is paused.

        Args:
            at: Where the run is.
            batch: Batches of the epoch that are done.
            train_mode: Puts the pipeline back into the mode that it trains in.

        Raises:
            StopRun: The run was asked to stop.
        """
        if batch % self._training.accumulate_grad_batches == 0:
            self._between_steps(at, train_mode)
        self._state.stream.check_stop()

    def _between_steps(self, at: Position, train_mode: Callable[[], None]) -> None:
        every = int(self._values.changed.get("checkpoint_frequency", 0))
        if every and at.global_step and at.global_step % every == 0 and self._values.saved_step != at.global_step:
            self._values.saved_step = at.global_step
            self._keep(at)
        self._train_mode = train_mode
        self._desk.settle(at, self._handlers, self._paused)
        self._values.paused, self._values.pause_at = self._desk.paused, self._desk.pause_at

    def _paused(self) -> None:
        self._values.paused, self._values.pause_at = self._desk.paused, self._desk.pause_at
        if self._snapshots.active:
            self._state.write_snapshot()

    def _paced(self) -> Cadence:
        paced = cadence(self._training, self._batches)
        every = int(self._values.changed.get("evaluation_frequency", 0))
        return paced._replace(validate_every=every, across_epochs=True) if every else paced

    # Handlers

    def _change(self, command: Command, at: Position) -> CommandReport:
        del at
        self._apply(checked_hyperparameters(command.arguments))
        return CommandReport(command, CommandState.DONE, values=self._present())

    def _apply(self, values: Mapping[str, float]) -> None:
        if "batch_size" in values and not self._batches.resizable:
            raise InvalidInput("this run's data module takes no other batch size while it is under way")
        if "learning_rate" in values:
            self._optimization.set_learning_rate(values["learning_rate"])
        if "weight_decay" in values:
            self._optimization.set_weight_decay(values["weight_decay"])
        self._values.changed |= values
        self.cadence = self._paced()

    def _present(self) -> dict[str, float]:
        return {**self._initial, **self._values.changed}

    def _save(self, command: Command, at: Position) -> CommandReport:
        return CommandReport(command, CommandState.DONE, digest=self._keep(at))

    def _keep(self, at: Position) -> str:
        """Keep the state of the run as a checkpoint of the user's; return its digest in process 0."""
        data = self._snapshots.pack(self._state.stream.count, self._state.content())
        if data is None or self._desk.control is None:
            return ""
        return self._desk.control.keep(data, self._state.stream.count, epoch=at.epoch, step=at.global_step)

    def _restore(self, command: Command, at: Position) -> CommandReport:
        del at
        content = content_of(self._loaded(str(command.arguments["digest"])))
        if command.arguments.get("weights_only", True):
            self._pipeline.load_state(content["state"], strict=True)
            self._train_mode()
            return CommandReport(command, CommandState.DONE)
        before = self._optimization.state()
        try:
            self._optimization.restore(content)
            self._pipeline.load_state(content["state"], strict=True)
        except (SwathError, ValueError, KeyError, RuntimeError) as error:
            self._optimization.restore(before)
            raise InvalidInput(f"the checkpoint does not fit this run: {error}") from error
        self._values.changed = {**self._initial, **content.get("live", {}).get("changed", {})}
        self.cadence = self._paced()
        self._train_mode()
        return CommandReport(command, CommandState.DONE, values=self._present())

    def _loaded(self, digest: str) -> bytes:
        """Return a checkpoint that process 0 loads."""
        data, trouble = b"", ""
        if self._group.is_leader and self._desk.control is not None:
            try:
                data = self._desk.control.load(digest)
            except SwathError as error:
                trouble = error.message
        data = self._group.broadcast(data)
        if not data:
            raise InvalidInput(trouble or "the checkpoint could not be read")
        return data

    def _evaluate(self, command: Command, at: Position) -> CommandReport:
        split = str(command.arguments["split"])
        if not self._batches.has(split):
            raise InvalidInput(f"the data has no split '{split}'; it has: {', '.join(self._batches.splits)}")
        where = Position(Stage(split), at.epoch, at.batch_idx, at.global_step)
        alone = self._batches.alone()
        total = alone.count(split, int(command.arguments.get("max_batches", 0)) or None)
        self.undo = self._state.before_validation()
        self._desk.report(where, CommandReport(command, CommandState.TAKEN, total=total))
        state = self._pipeline.state()
        report = CommandReport(command, CommandState.DONE)
        try:
            if self._group.is_leader:
                with randomness.isolated(self._device):
                    report = self._measured(command, where, alone, total)
        finally:
            self._pipeline.load_state(state, strict=True)
            self._train_mode()
        self.undo = None
        return report

    def _measured(self, command: Command, at: Position, batches: Batches, total: int) -> CommandReport:
        evaluation = LiveEvaluation(
            self._spec, self._pipeline, self._optimization.losses, self._optimization.precision, batches
        )
        done = 0
        for done in evaluation.measure(at, total):
            if self._group.size == 1:
                self._state.stream.check_stop()
            if (cancel := self._desk.cancelled()) is not None:
                self._desk.report(at, CommandReport(cancel, CommandState.DONE))
                return CommandReport(command, CommandState.DONE, done, total, cancelled=True)
            if done % max(1, total // _REPORTS) == 0 and done < total:
                self._desk.report(at, CommandReport(command, CommandState.TAKEN, done, total))
        return CommandReport(command, CommandState.DONE, done, total, evaluation.result(at.stage))
