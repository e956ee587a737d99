"""The gradient phase: epochs of steps, with validation, schedules, early stopping and checkpoints around them."""

from __future__ import annotations

from typing import Any

import torch

from swath.engine.graph.context import Context
from swath.engine.graph.pipeline import Pipeline
from swath.engine.graph.ports import Stage
from swath.engine.training import randomness
from swath.engine.training.batches import Batch, Batches
from swath.engine.training.cadence import takes_all
from swath.engine.training.checkpoints import Checkpoints, Progress
from swath.engine.training.checks import unplaced
from swath.engine.training.control import StopRun
from swath.engine.training.distributed.device import release
from swath.engine.training.distributed.group import Group
from swath.engine.training.finite import require_finite_losses, require_finite_state
from swath.engine.training.live.desk import Desk
from swath.engine.training.live.values import LiveValues
from swath.engine.training.phases.commands.gradient import LiveGradient
from swath.engine.training.phases.early_stopping import EarlyStopping
from swath.engine.training.phases.gradient_state import GradientState
from swath.engine.training.phases.loop_state import LoopState
from swath.engine.training.phases.optimization import Optimization
from swath.engine.training.phases.validation import Validation
from swath.engine.training.reporting.events import Position
from swath.engine.training.reporting.reports import Reports
from swath.engine.training.reporting.stream import EventStream
from swath.engine.training.reporting.values import Values
from swath.engine.training.snapshots import SnapshotWriter
from swath.engine.training.spec import RunSpec
from swath.errors import NotFinite


class GradientPhase:
    """One gradient phase.

    Args:
        spec: What to do; checked.
        pipeline: Changed in place; its trainable parameters are those of `parameters`.
        parameters: What gradients change.
        batches: The data, on the pipeline's device.
        device: That device.
        stream: Takes the events.
        snapshots: Takes the snapshots.
        group: The processes that train together. All call the same methods; process 0 keeps checkpoints.
        desk: Takes the commands.

    Attributes:
        checkpoints: The user's checkpoints, if any are kept.
        loop: Epoch, step and batch.
    """

    def __init__(
        self,
        spec: RunSpec,
        pipeline: Pipeline,
        parameters: list[torch.nn.Parameter],
        batches: Batches,
        device: torch.device,
        stream: EventStream,
        snapshots: SnapshotWriter,
        group: Group,
        desk: Desk,
    ) -> None:
        assert spec.training is not None
        self._spec, self._training = spec, spec.training
        self._pipeline = pipeline
        self._batches, self._device = batches, device
        self._stream, self._snapshots = stream, snapshots
        self._group = group
        self._optimization = Optimization(spec, pipeline, parameters, device, group)
        self._validation = Validation(
            spec,
            pipeline,
            self._optimization.losses,
            batches,
            stream,
            self._optimization.precision.forward_context,
            group,
        )
        self._values = Values()
        once = takes_all(self._training.val_check_interval) and self._training.check_val_every_n_epoch == 1
        at_epoch_end = once or not batches.has("val")
        callbacks = self._training.callbacks
        self._stoppers = [
            EarlyStopping(document, at_epoch_end=at_epoch_end)
            for document in (callbacks.early_stopping if callbacks else [])
        ]
        self._rates = callbacks.learning_rate_monitor if callbacks else None
        kept = spec.checkpointing() if group.is_leader else None
        self.checkpoints = Checkpoints(*kept, at_epoch_end=at_epoch_end) if kept is not None else None
        whole = takes_all(self._training.limit_train_batches)
        self._reports = Reports(self._training, stream, self._values, batches.frames("train") if whole else 0)
        self.loop = LoopState()
        self._state = GradientState(
            pipeline=pipeline,
            optimization=self._optimization,
            values=self._values,
            stoppers=self._stoppers,
            checkpoints=self.checkpoints,
            loop=self.loop,
            live=LiveValues(),
            device=device,
            stream=stream,
            snapshots=snapshots,
            group=group,
        )
        self._before_validation: dict[str, Any] | None = None
        self._live = LiveGradient(
            spec, pipeline, self._optimization, batches, self._state, snapshots, desk, device, group
        )

    def run(self, former: dict[str, Any] | None = None) -> None:
        """Train until the last epoch or an early stop.

        Args:
            former: Content of a snapshot to continue from.

        Raises:
            StopRun: The run was asked to stop; the snapshot of where is written.
        """
        try:
            if former is not None:
                self._state.restore(former)
                self._live.resume()
            else:
                self._optimization.replicas.start()
                self._announce()
            while self.loop.epoch < self._training.max_epochs and not self.loop.stopping:
                self._run_epoch()
        except StopRun:
            self._state.write_snapshot(self._before_validation or self._live.undo)
            raise
        except Exception as error:
            if self.checkpoints is not None and not isinstance(error, NotFinite):
                self.checkpoints.after_error(self._progress, self._values.known, self._state.checkpoint)
            raise
        self.loop.epoch = max(self.loop.completed - 1, 0)
        self._reports.fit_end(self._at(), self.loop.completed)

    def summary(self) -> dict[str, Any]:
        """Return what the steps after the fit need of it, for a snapshot."""
        return {
            "state": self._pipeline.state(),
            "checkpoints": self.checkpoints.state() if self.checkpoints is not None else {},
            "epoch": self.loop.epoch,
            "step": self.loop.step,
        }

    def take_summary(self, content: dict[str, Any]) -> None:
        """Continue after a fit that another process has done."""
        self._pipeline.load_state(content["state"], strict=True)
        if self.checkpoints is not None:
            self.checkpoints.restore(content["checkpoints"])
        self.loop.epoch, self.loop.step = content["epoch"], content["step"]

    def _announce(self) -> None:
        self._reports.fit_start(calibration_pending=bool(unplaced(self._pipeline)))
        if self._live.cadence.sanity_batches:
            self._before_validation = self._state.before_validation()
            with randomness.isolated(self._device):
                self._validation.rehearse(self._live.cadence.sanity_batches)
            self._before_validation = None

    def _run_epoch(self) -> None:
        loop, resumed = self.loop, self.loop.open
        if not loop.open:
            loop.begin_epoch()
            self._live.begin_epoch()
            self._values.begin_epoch()
            if self._rates is not None and self._rates.logging_interval != "step":
                self._measure_rates()
            self._reports.epoch_start(self._at())
        self._train_mode()
        if loop.owes_validation:
            self._validate()
        count = self._live.cadence.train_batches
        state = randomness.collect(self._device) if resumed else None
        for batch in self._batches.over("train", epoch=loop.epoch, start=loop.batch, stop=count):
            if state is not None:
                # Mid-epoch the random numbers continue from the snapshot, whatever opening the data has drawn.
                randomness.restore(state, self._device)
                state = None
            self._live.between_batches(self._at(), loop.batch, self._train_mode)
            self._train(batch, last=loop.batch + 1 == count)
            if loop.stopping:
                break
            if self._snapshots.due:
                self._state.write_snapshot()
        loop.require_batches(count)
        self._end_epoch()

    def _train(self, batch: Batch, *, last: bool) -> None:
        loop, index = self.loop, self.loop.batch
        if self._rates is not None and self._rates.logging_interval == "step" and self._logs_step:
            self._measure_rates()
        context = Context(Stage.TRAIN, loop.epoch, index, loop.step, self._spec.resolve)
        share = self._batches.share("train", index, batch)
        parts = self._optimization.add_gradients(batch, context, share)
        stepped = last or (index + 1) % self._training.accumulate_grad_batches == 0
        if stepped:
            self._optimization.step()
            loop.step += 1
        loop.batch += 1
        loop.frames += share.all
        loop.note_pixels(context.valid)
        losses = self._optimization.replicas.mean(parts, share)
        require_finite_losses(losses, self._optimization.losses.names, "train", loop.epoch, loop.step)
        self._values.add_train(losses, self._optimization.losses.names, share.all)
        self._reports.batch(self._at(), loop.frames, log_line=self._logs_step and self._group.is_leader)
        if stepped and self.checkpoints is not None:
            self.checkpoints.after_step(self._progress, self._values.known, self._state.checkpoint)
        if self._live.cadence.validates(loop.epoch, loop.batch):
            if self._snapshots.due:
                loop.owes_validation = True
                self._state.write_snapshot()
            self._validate()

    def _validate(self) -> None:
        loop = self.loop
        loop.owes_validation = True
        self._before_validation = self._state.before_validation()
        release(self._training, self._device)
        known = self._validation.run(
            self._live.cadence.val_batches,
            self._values,
            epoch=loop.epoch,
            step=loop.step,
            epochs=self._reports.epochs(loop.epoch),
        )
        self._values.known.update(known)
        self._values.pool_train()
        self._before_validation = None
        loop.owes_validation = False
        loop.validated = True
        release(self._training, self._device)
        self._train_mode()
        self._reports.validation_end(self._at(Stage.VAL))
        self._check_stoppers(at_epoch_end=False)
        if self.checkpoints is not None:
            self.checkpoints.after_validation(self._progress, self._values.known, self._state.checkpoint)

    def _end_epoch(self) -> None:
        loop = self.loop
        invalid = loop.require_learnt(self._group)
        require_finite_state(self._pipeline, self._pipeline.order, f"at the end of epoch {loop.epoch + 1}")
        self._values.pool_train()
        loop.completed = loop.epoch + 1
        self._reports.epoch_end(self._at(), invalid)
        self._check_stoppers(at_epoch_end=True)
        if self.checkpoints is not None:
            validated = loop.validated or not self._live.cadence.val_batches
            self.checkpoints.after_epoch(
                self._progress, self._values.known, self._state.checkpoint, validated=validated
            )
        schedule = self._optimization.schedule
        if schedule.monitor is None or self._will_know(schedule.monitor):
            schedule.step(self._values.known)
        loop.end_epoch()
        if self._snapshots.active:
            self._state.write_snapshot()

    def _check_stoppers(self, *, at_epoch_end: bool) -> None:
        for stopper in self._stoppers:
            if stopper.at_epoch_end is at_epoch_end and self._will_know(stopper.monitor):
                self.loop.stopping |= stopper.should_stop(self._values.known)

    def _will_know(self, name: str) -> bool:
        """Whether a value is known or overdue, rather than still to come from the first validation."""
        return name in self._values.known or self.loop.validated or not self._live.cadence.val_batches

    def _train_mode(self) -> None:
        self._pipeline.train()
        for name in self._spec.trainrun.freeze_nodes:
            self._pipeline.nodes[name].eval()
        for node in self._pipeline.nodes.values():
            node.state_changed()

    def _at(self, stage: Stage = Stage.TRAIN) -> Position:
        return Position(stage, self.loop.epoch, max(self.loop.batch - 1, 0), self.loop.step)

    @property
    def _progress(self) -> Progress:
        return Progress(self.loop.epoch, self.loop.step)

    @property
    def _logs_step(self) -> bool:
        return self.loop.step % self._training.log_every_n_steps == 0

    def _measure_rates(self) -> None:
        assert self._rates is not None
        rates = self._optimization.rates(momentum=self._rates.log_momentum, weight_decay=self._rates.log_weight_decay)
        self._values.known.update(rates)
