"""Validation between training batches."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager

import torch

from swath.engine.graph.context import Context
from swath.engine.graph.pipeline import Pipeline
from swath.engine.graph.ports import Stage
from swath.engine.training.batches import Batches
from swath.engine.training.cadence import takes_all
from swath.engine.training.distributed.group import Group
from swath.engine.training.distributed.parallel import GatheredInputs, Replicas
from swath.engine.training.finite import require_finite_losses
from swath.engine.training.phases.evaluation import PassMetrics
from swath.engine.training.phases.losses import Losses
from swath.engine.training.reporting.events import EpochProgress, FrameProgress, Hook, Lifecycle, Position
from swath.engine.training.reporting.stream import EventStream
from swath.engine.training.reporting.values import Values
from swath.engine.training.spec import RunSpec

_SPLIT = Stage.VAL


class Validation:
    """Loss and metrics over the val split during training.

    Args:
        spec: What is measured.
        pipeline: What is validated; it stays in evaluation mode.
        losses: The loss.
        batches: The data.
        stream: Takes the events.
        precision: Returns the context of a forward in the run's number format.
        group: The processes of the run; each validates on its part of every batch.
    """

    def __init__(
        self,
        spec: RunSpec,
        pipeline: Pipeline,
        losses: Losses,
        batches: Batches,
        stream: EventStream,
        precision: Callable[[], AbstractContextManager[object]],
        group: Group,
    ) -> None:
        assert spec.training is not None
        self._spec, self._pipeline, self._losses = spec, pipeline, losses
        self._batches, self._stream, self._precision = batches, stream, precision
        self._metrics = PassMetrics(pipeline, spec.trainrun.metric_nodes)
        self._group, self._replicas, self._gathered = group, Replicas(pipeline, group), GatheredInputs(pipeline, group)
        self._keys = losses.keys | self._metrics.keys
        self._whole = takes_all(spec.training.limit_val_batches)

    @torch.no_grad()
    def run(self, count: int, values: Values, *, epoch: int, step: int, epochs: EpochProgress) -> dict[str, float]:
        """Validate on `count` batches, report each, and return the values by the names of monitors."""
        total, done = (self._batches.frames(_SPLIT) if self._whole else 0), 0
        metrics = values.metrics(_SPLIT)
        start = Lifecycle(Hook.VALIDATION_START, split=_SPLIT, epochs=epochs, progress=FrameProgress(0, total))
        self._stream.send(Position(_SPLIT, epoch, 0, step), start)
        self._begin()
        sums = [0.0] * (len(self._losses.names) + 1)
        for index, batch in enumerate(self._batches.over(_SPLIT, epoch=epoch, stop=count)):
            self._stream.check_stop()
            context = Context(_SPLIT, epoch, index, step, self._spec.resolve)
            share = self._batches.share(_SPLIT, index, batch)
            with self._precision(), self._gathered.over(self._metrics.names, share.own):
                outputs = self._replicas.forward(batch, context, self._keys)
            losses = self._replicas.mean(self._losses.sum(outputs)[1], share)
            require_finite_losses(losses, self._losses.names, _SPLIT, epoch, step)
            self._stream.measured(Position(_SPLIT, epoch, index, step), batch, losses[0])
            self._metrics.add(outputs)
            done += share.all
            sums = [former + loss * share.all for former, loss in zip(sums, losses, strict=True)]
            progress = Lifecycle(Hook.VALIDATION_PROGRESS, split=_SPLIT, progress=FrameProgress(done, total))
            self._stream.send(
                Position(_SPLIT, epoch, index, step), progress, losses={"total": losses[0]}, metrics=metrics
            )
        names = ("val_loss", *(f"val/{name}" for name in self._losses.names))
        means = {name: value / max(done, 1) for name, value in zip(names, sums, strict=True)}
        return means | json.loads(self._group.broadcast(json.dumps(self._metrics.result()).encode()))

    @torch.no_grad()
    def rehearse(self, count: int) -> None:
        """Validate on `count` batches without events; the pipeline's state does not change."""
        before = self._pipeline.state()
        self._begin()
        keys = [key.partition(".")[0] for key in self._keys]
        for index, batch in enumerate(self._batches.over(_SPLIT, stop=count)):
            self._stream.check_stop()
            context = Context(_SPLIT, 0, index, 0, self._spec.resolve)
            with self._precision():
                # Selected by node, so that nodes that write files do not run.
                self._pipeline(batch, context, upto=keys)
        self._pipeline.load_state(before, strict=True)

    def _begin(self) -> None:
        self._pipeline.eval()
        for node in self._pipeline.nodes.values():
            node.state_changed()
        self._metrics.begin()
