"""Evaluations that are asked for while a run trains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from swath.engine.graph.context import Context
from swath.engine.graph.pipeline import Pipeline
from swath.engine.training.batches import Batches, frames_of
from swath.engine.training.distributed.precision import Precision
from swath.engine.training.phases.evaluation import PassMetrics
from swath.engine.training.phases.losses import Losses
from swath.engine.training.reporting.events import Position
from swath.engine.training.spec import RunSpec


@dataclass
class LiveEvaluation:
    """Losses and metrics over a split.

    Args:
        spec: What the run does.
        pipeline: What is evaluated. Its state is left changed: the caller restores it.
        losses: The loss.
        precision: The number format.
        batches: The data, for one process.
    """

    spec: RunSpec
    pipeline: Pipeline
    losses: Losses
    precision: Precision
    batches: Batches

    def __post_init__(self) -> None:
        self._metrics = PassMetrics(self.pipeline, self.spec.trainrun.metric_nodes)
        self._sums = [0.0] * (len(self.losses.names) + 1)
        self._frames = 0

    @torch.no_grad()
    def measure(self, at: Position, count: int) -> Iterator[int]:
        """Take `count` batches of the split and yield after each how many are done."""
        self.pipeline.eval()
        for node in self.pipeline.nodes.values():
            node.state_changed()
        self._metrics.begin()
        keys = self.losses.keys | self._metrics.keys
        for index, batch in enumerate(self.batches.over(at.stage, epoch=at.epoch, stop=count)):
            context = Context(at.stage, at.epoch, index, at.global_step, self.spec.resolve)
            with self.precision.forward_context():
                outputs = self.pipeline(batch, context, only=keys)
            frames = frames_of(batch)
            losses = self.losses.sum(outputs)[1].tolist()
            self._metrics.add(outputs)
            self._frames += frames
            self._sums = [former + loss * frames for former, loss in zip(self._sums, losses, strict=True)]
            yield index + 1

    def result(self, split: str) -> dict[str, float]:
        """Return means over frames of the loss and its parts, and the metrics, by the names of monitors."""
        names = (f"{split}_loss", *(f"{split}/{name}" for name in self.losses.names))
        means = {name: total / max(self._frames, 1) for name, total in zip(names, self._sums, strict=True)}
        return means | self._metrics.result()
