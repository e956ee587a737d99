"""The gradient phase: epochs of steps, with validation, schedules, early stopping and checkpoints around them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.pipeline import Pipeline
from swath.engine.graph.ports import Stage
from swath.engine.training import randomness
from swath.engine.training.batches import Batch, Batches
from swath.engine.training.cadence import cadence, takes_all
from swath.engine.training.checkpoints import Checkpoints, Place
from swath.engine.training.checks import unplaced
from swath.engine.training.control import StopRun
from swath.engine.training.distributed.group import Group
from swath.engine.training.distributed.parallel import Replicas, dump, load
from swath.engine.training.distributed.precision import Precision
from swath.engine.training.phases.early_stopping import EarlyStopping
from swath.engine.training.phases.losses import Losses
from swath.engine.training.phases.optimizers import Schedule, make_optimizer, measure_rates
from swath.engine.training.phases.validation import Validation
from swath.engine.training.reporting.events import Position
from swath.engine.training.reporting.reports import Reports
from swath.engine.training.reporting.stream import Stream
from swath.engine.training.reporting.values import Values
from swath.engine.training.snapshots import Keeper, Phase
from swath.engine.training.spec import Job
from swath.errors import DataInvalid, InvalidInput


class GradientPhase:
    """One gradient phase.

    Args:
        job: What to do; checked.
        pipeline: Changed in place; its trainable parameters are those of `parameters`.
        parameters: What gradients change.
        batches: The data, on the pipeline's device.
        device: That device.
        stream: Takes the events.
        keeper: Takes the snapshots.
        group: The processes that train together. All call the same methods; process 0 keeps checkpoints.

    Attributes:
        checkpoints: The user's checkpoints, if any are kept.
        epoch: Epoch under way or, after the fit, the last one (0-based).
        step: Optimizer steps done.
    """

    def __init__(
        self,
        job: Job,
        pipeline: Pipeline,
        parameters: list[torch.nn.Parameter],
        batches: Batches,
        device: torch.device,
        stream: Stream,
        keeper: Keeper,
        group: Group,
    ) -> None:
        assert job.training is not None
        self._job, self._training = job, job.training
        self._pipeline, self._parameters = pipeline, parameters
        self._batches, self._device = batches, device
        self._stream, self._keeper = stream, keeper
        self._group, self._replicas = group, Replicas(pipeline, group)
        self._precision = Precision(self._training, device)
        self._cadence = cadence(self._training, batches)
        self._optimizer = make_optimizer(self._training.optimizer, parameters)
        self._schedule = Schedule(self._training.scheduler, self._optimizer, self._training.max_epochs)
        self._losses = Losses(pipeline, job.run.loss_nodes)
        self._validation = Validation(
            job, pipeline, self._losses, batches, stream, self._precision.forward_context, group
        )
        self._values = Values()
        once = takes_all(self._training.val_check_interval) and self._training.check_val_every_n_epoch == 1
        at_epoch_end = once or not self._cadence.val_batches
        callbacks = self._training.callbacks
        self._stoppers = [
            EarlyStopping(document, at_epoch_end=at_epoch_end)
            for document in (callbacks.early_stopping if callbacks else [])
        ]
        self._rates = callbacks.learning_rate_monitor if callbacks else None
        kept = job.checkpointing() if group.leads else None
        self.checkpoints = Checkpoints(*kept, at_epoch_end=at_epoch_end) if kept is not None else None
        whole = takes_all(self._training.limit_train_batches)
        self._reports = Reports(self._training, stream, self._values, batches.frames("train") if whole else 0)
        self.epoch = 0
        self.step = 0
        self._batch = 0
        self._frames = 0
        self._completed = 0
        self._stopping = False
        self._validated = False
        self._owes_validation = False
        self._open = False
        self._steady: dict[str, Any] | None = None

    def run(self, former: dict[str, Any] | None = None) -> None:
        """Train until the last epoch or an early stop.

        Args:
            former: Content of a snapshot to go on from.

        Raises:
            StopRun: The run was asked to stop; the keeper holds a snapshot of where.
        """
        try:
            if former is not None:
                self._restore(former)
            else:
                self._replicas.start()
                self._announce()
            while self.epoch < self._training.max_epochs and not self._stopping:
                self._run_epoch()
        except StopRun:
            self._snapshot(steady=self._steady)
            raise
        except Exception:
            if self.checkpoints is not None:
                self.checkpoints.after_error(self._place, self._values.known, self._content)
            raise
        self.epoch = max(self._completed - 1, 0)
        self._reports.fit_end(self._at(), self._completed)

    def summary(self) -> dict[str, Any]:
        """Return what the steps after the fit need of it, for a snapshot."""
        return {
            "state": self._pipeline.state(),
            "checkpoints": self.checkpoints.state() if self.checkpoints is not None else {},
            "epoch": self.epoch,
            "step": self.step,
        }

    def take_summary(self, content: dict[str, Any]) -> None:
        """Stand where a fit ended that another process has done."""
        self._pipeline.load_state(content["state"], strict=True)
        if self.checkpoints is not None:
            self.checkpoints.restore(content["checkpoints"])
        self.epoch, self.step = content["epoch"], content["step"]

    def _announce(self) -> None:
        self._reports.fit_start(calibration_pending=bool(unplaced(self._pipeline)))
        if self._cadence.sanity_batches:
            self._steady = self._hold()
            with randomness.isolated(self._device):
                self._validation.rehearse(self._cadence.sanity_batches)
            self._steady = None

    def _run_epoch(self) -> None:
        if not self._open:
            self._open = True
            self._frames = 0
            self._values.begin_epoch()
            if self._rates is not None and self._rates.logging_interval != "step":
                self._values.known.update(self._measure_rates())
            self._reports.epoch_start(self._at())
        self._train_mode()
        if self._owes_validation:
            self._validate()
        count = self._cadence.train_batches
        state = randomness.collect(self._device) if self._batch else None
        for batch in self._batches.over("train", epoch=self.epoch, start=self._batch, stop=count):
            if state is not None:
                # Mid-epoch the numbers go on from the snapshot, whatever opening the data has drawn.
                randomness.restore(state, self._device)
                state = None
            self._stream.check_stop()
            self._train(batch, last=self._batch + 1 == count)
            if self._stopping:
                break
            if self._keeper.due:
                self._snapshot()
        if self._batch != count and not self._stopping:
            raise DataInvalid(f"The train split gave {self._batch} batches in epoch {self.epoch}, expected {count}")
        self._end_epoch()

    def _train(self, batch: Batch, *, last: bool) -> None:
        index, every = self._batch, self._training.accumulate_grad_batches
        if self._rates is not None and self._rates.logging_interval == "step" and self._logs_step:
            self._values.known.update(self._measure_rates())
        context = Context(Stage.TRAIN, self.epoch, index, self.step, self._job.resolve)
        share = self._batches.share("train", index, batch)
        self._replicas.mark()
        with self._precision.forward_context():
            outputs = self._replicas.forward(batch, context, self._losses.keys)
            total, parts = self._losses.sum(outputs)
        self._replicas.average_buffers(share.weight)
        if not total.requires_grad:
            raise InvalidInput("The loss depends on no trainable parameter; name its nodes in unfreeze_nodes")
        if share.own < share.all:
            total = total * share.weight
        self._precision.backward(total / every if every > 1 else total)
        stepped = last or (index + 1) % every == 0
        if stepped:
            self._step_optimizer()
        self._batch += 1
        self._frames += share.all
        self._values.add_train(self._replicas.mean(parts, share), self._losses.names, share.all)
        self._reports.batch(self._at(), self._frames, log_line=self._logs_step and self._group.leads)
        if stepped and self.checkpoints is not None:
            self.checkpoints.after_step(self._place, self._values.known, self._content)
        if self._cadence.validates(self.epoch, self._batch):
            if self._keeper.due:
                self._owes_validation = True
                self._snapshot()
            self._validate()

    def _step_optimizer(self) -> None:
        self._replicas.add_gradients(self._parameters)
        clip = self._training.gradient_clip_val
        if clip:
            self._precision.unscale_gradients(self._optimizer)
            torch.nn.utils.clip_grad_norm_(self._parameters, clip)
        self._precision.optimizer_step(self._optimizer)
        for parameter in self._parameters:
            parameter.grad = None
        self.step += 1

    def _validate(self) -> None:
        self._owes_validation = True
        self._steady = self._hold()
        self._release()
        known = self._validation.run(
            self._cadence.val_batches,
            self._values,
            epoch=self.epoch,
            step=self.step,
            epochs=self._reports.epochs(self.epoch),
        )
        self._values.known.update(known)
        self._values.pool_train()
        self._steady = None
        self._owes_validation = False
        self._validated = True
        self._release()
        self._train_mode()
        self._reports.validation_end(self._at(Stage.VAL))
        self._check_stoppers(at_epoch_end=False)
        if self.checkpoints is not None:
            self.checkpoints.after_validation(self._place, self._values.known, self._content)

    def _end_epoch(self) -> None:
        self._values.pool_train()
        self._completed = self.epoch + 1
        self._reports.epoch_end(self._at())
        self._check_stoppers(at_epoch_end=True)
        if self.checkpoints is not None:
            self.checkpoints.after_epoch(
                self._place,
                self._values.known,
                self._content,
                validated=self._validated or not self._cadence.val_batches,
            )
        if self._schedule.monitor is None or self._will_know(self._schedule.monitor):
            self._schedule.step(self._values.known)
        self.epoch += 1
        self._batch = 0
        self._open = False
        if self._keeper.active:
            self._snapshot()

    def _check_stoppers(self, *, at_epoch_end: bool) -> None:
        for stopper in self._stoppers:
            if stopper.at_epoch_end is at_epoch_end and self._will_know(stopper.monitor):
                self._stopping |= stopper.should_stop(self._values.known)

    def _will_know(self, name: str) -> bool:
        """Whether a value is known or overdue; not where the validation that brings it is still to come."""
        return name in self._values.known or self._validated or not self._cadence.val_batches

    def _train_mode(self) -> None:
        self._pipeline.train()
        for name in self._job.run.freeze_nodes:
            self._pipeline.nodes[name].eval()
        for node in self._pipeline.nodes.values():
            node.state_changed()

    def _at(self, stage: Stage = Stage.TRAIN) -> Position:
        return Position(stage, self.epoch, max(self._batch - 1, 0), self.step)

    @property
    def _place(self) -> Place:
        return Place(self.epoch, self.step)

    @property
    def _logs_step(self) -> bool:
        return self.step % self._training.log_every_n_steps == 0

    def _measure_rates(self) -> dict[str, float]:
        assert self._rates is not None
        return measure_rates(
            self._optimizer, momentum=self._rates.log_momentum, weight_decay=self._rates.log_weight_decay
        )

    def _release(self) -> None:
        if self._training.release_cuda_cache_on_validation and self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _content(self, weights_only: bool) -> dict[str, Any]:
        content: dict[str, Any] = {
            "state_dict": _on_cpu(self._pipeline.state()),
            "metadata": {"epoch": self.epoch, "global_step": self.step},
            "epoch": self.epoch,
            "global_step": self.step,
        }
        if not weights_only:
            content |= {"optimizer": self._optimizer.state_dict(), "scheduler": self._schedule.state()}
        return content

    def _hold(self) -> dict[str, Any]:
        """What a validation may change: kept aside, so that a run stopped within one can take it up again."""
        buffers = {
            name: {key: value.detach().clone() for key, value in node.named_buffers()}
            for name, node in self._pipeline.nodes.items()
        }
        return {
            "random": randomness.collect(self._device),
            "events": self._stream.count,
            "buffers": buffers,
            "values": self._values.state(),
        }

    def _snapshot(self, steady: dict[str, Any] | None = None) -> None:
        """Take a snapshot of now, or of the moment that `_hold` kept."""
        state = self._pipeline.state()
        for name, buffers in (steady or {}).get("buffers", {}).items():
            state[name] |= {key: value for key, value in buffers.items() if key in state[name]}
        gradients = [parameter.grad for parameter in self._parameters]
        own = {
            "gradients": gradients if any(gradient is not None for gradient in gradients) else [],
            "random": steady["random"] if steady else randomness.collect(self._device),
        }
        others = [load(each) for each in self._group.gather(dump(own))[1:]] if self._group.size > 1 else []
        content = {
            **own,
            "others": others,
            "state": state,
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state(),
            "precision": self._precision.state_dict(),
            "values": steady["values"] if steady else self._values.state(),
            "stoppers": [stopper.state() for stopper in self._stoppers],
            "checkpoints": self.checkpoints.state() if self.checkpoints is not None else {},
            "epoch": self.epoch,
            "step": self.step,
            "batch": self._batch,
            "frames": self._frames,
            "completed": self._completed,
            "stopping": self._stopping,
            "validated": self._validated,
            "owes_validation": self._owes_validation,
            "open": self._open,
        }
        self._keeper.keep(Phase.GRADIENT, steady["events"] if steady else self._stream.count, content)

    def _restore(self, content: dict[str, Any]) -> None:
        self._pipeline.load_state(content["state"], strict=True)
        self._optimizer.load_state_dict(content["optimizer"])
        self._schedule.restore(content["schedule"])
        self._precision.load_state_dict(content["precision"])
        own = content if self._group.leads else content["others"][self._group.rank - 1]
        for parameter, gradient in zip(self._parameters, own["gradients"], strict=False):
            parameter.grad = None if gradient is None else gradient.to(self._device)
        self._values.restore(content["values"])
        for stopper, state in zip(self._stoppers, content["stoppers"], strict=True):
            stopper.restore(state)
        if self.checkpoints is not None:
            self.checkpoints.restore(content["checkpoints"])
        self.epoch, self.step, self._batch = content["epoch"], content["step"], content["batch"]
        self._frames, self._completed = content["frames"], content["completed"]
        self._stopping, self._validated = content["stopping"], content["validated"]
        self._owes_validation, self._open = content["owes_validation"], content["open"]
        randomness.restore(own["random"], self._device)


def _on_cpu(state: dict[str, dict[str, Tensor]]) -> dict[str, dict[str, Tensor]]:
    return {name: {key: value.cpu() for key, value in entry.items()} for name, entry in state.items()}
