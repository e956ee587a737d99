"""Metrics over a split."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import torch

from swath.engine.error_text import log_outcome, outcome_text
from swath.engine.graph.context import Context
from swath.engine.graph.pipeline import Pipeline
from swath.engine.graph.ports import Stage
from swath.engine.graph.records import Measurement, defined, flatten
from swath.engine.graph.roles import Metric
from swath.engine.training.batches import Batches, frames_of
from swath.engine.training.control import StopRun
from swath.engine.training.reporting.events import FrameProgress, Hook, Lifecycle, Position
from swath.engine.training.reporting.names import METRICS_PORT
from swath.engine.training.reporting.outcomes import EvaluationOutcome, EvaluationStatus
from swath.engine.training.reporting.stream import EventStream
from swath.errors import InputInvalid

log = logging.getLogger(__name__)


class PassMetrics:
    """Metrics of some nodes over one pass.

    Nodes of the class `Metric` compute them at the end of the pass; of other nodes, the numbers on their ``metrics``
    port are averaged over the batches that define them. What is NaN is left out.

    Args:
        pipeline: Whose nodes.
        nodes: Names of the nodes to pool.

    Attributes:
        names: These names.
        keys: All outputs of these nodes, as ``node.port``.
    """

    def __init__(self, pipeline: Pipeline, nodes: Collection[str]) -> None:
        self._pipeline = pipeline
        self.names = tuple(nodes)
        self._pooled = {name: node for name in nodes if isinstance(node := pipeline.nodes[name], Metric)}
        self._averaged = [name for name in nodes if name not in self._pooled]
        self._sums: dict[str, tuple[float, int]] = {}
        self.keys = frozenset(f"{name}.{port}" for name in nodes for port in pipeline.nodes[name].outputs)

    def begin(self) -> None:
        """Reset all metric nodes of the pipeline: those that are not pooled here run for monitors."""
        self._sums.clear()
        for node in self._pipeline.nodes.values():
            if isinstance(node, Metric):
                node.reset()

    def add(self, outputs: dict[str, Any]) -> None:
        """Take the outputs of one batch."""
        for name in self._averaged:
            for item in flatten([outputs.get(f"{name}.{METRICS_PORT}") or []]):
                if isinstance(item, Measurement) and not math.isnan(item.value):
                    key = f"{name}/{item.name}"
                    total, count = self._sums.get(key, (0.0, 0))
                    self._sums[key] = (total + float(item.value), count + 1)

    def result(self) -> dict[str, float]:
        """Return the metrics of the pass, keyed ``node/metric``."""
        values = {key: total / count for key, (total, count) in self._sums.items()}
        for name, node in self._pooled.items():
            values |= {f"{name}/{key}": float(value) for key, value in defined(node.compute()).items()}
        return values


def evaluate(
    split: Stage,
    *,
    pipeline: Pipeline,
    batches: Batches,
    nodes: Collection[str],
    stream: EventStream,
    position: Position,
    resolve: Callable[[str], Path],
) -> EvaluationOutcome:
    """Evaluate a split and report it; a missing split and a failure are outcomes too."""
    where = Position(split, position.epoch, 0, position.global_step)
    if not batches.has(split):
        outcome = EvaluationOutcome(split, EvaluationStatus.NO_SPLIT)
        stream.send(where, Lifecycle(Hook.EVALUATION_END, split=split, evaluation=outcome))
        return outcome
    stream.send(where, Lifecycle(Hook.EVALUATION_START, split=split))
    try:
        outcome = _measure(split, pipeline, batches, PassMetrics(pipeline, nodes), stream, where, resolve)
    except StopRun:
        raise
    except Exception as error:
        # An error of the evaluation must not lose the fit.
        told = (
            _unlabelled(split, error, nodes)
            if isinstance(error, InputInvalid) and "sources" in error.metadata
            else error
        )
        log_outcome(log, f"evaluation of {split} failed", told)
        outcome = EvaluationOutcome(split, EvaluationStatus.FAILED, error=outcome_text(told))
    stream.send(where, Lifecycle(Hook.EVALUATION_END, split=split, evaluation=outcome))
    return outcome


def _unlabelled(split: Stage, error: InputInvalid, nodes: Collection[str]) -> InputInvalid:
    """Return what is wrong with the frames of a split that lack what metrics need, and what to do about it."""
    node, port = error.metadata["node"], error.metadata["port"]
    needed = error.metadata["sources"].replace(", ", " or ") or port
    label = " (ground truth is a mask beside each cube)" if "mask" in needed or port in ("mask", "targets") else ""
    return InputInvalid(
        f"node '{node}' needs '{port}', and the frames of the {split} split have no {needed}{label}; "
        f"add it, take data.splits.{split} out, or choose other metric_nodes than {sorted(nodes)}",
        metadata=error.metadata,
    )


def _measure(
    split: Stage,
    pipeline: Pipeline,
    batches: Batches,
    measures: PassMetrics,
    stream: EventStream,
    where: Position,
    resolve: Callable[[str], Path],
) -> EvaluationOutcome:
    total, done = batches.frames(split), 0
    pipeline.eval()
    measures.begin()
    with torch.no_grad():
        for index, batch in enumerate(batches.over(split)):
            stream.check_stop()
            context = Context(split, where.epoch, index, where.global_step, resolve)
            measures.add(pipeline(batch, context, only=measures.keys))
            done += frames_of(batch)
            at = Position(split, where.epoch, index, where.global_step)
            stream.send(at, Lifecycle(Hook.EVALUATION_PROGRESS, split=split, progress=FrameProgress(done, total)))
    return EvaluationOutcome(split, EvaluationStatus.EVALUATED, done, measures.result())
