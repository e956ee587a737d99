"""Checks before a run begins."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from swath.documents import TrainingDocument, TrainRunDocument, review
from swath.engine.graph.node import Node
from swath.engine.graph.pipeline import Pipeline
from swath.engine.graph.ports import LEARNING, Stage
from swath.engine.graph.roles import Decider
from swath.engine.training import checkpoints
from swath.engine.training.batches import Batches
from swath.engine.training.cadence import cadence
from swath.engine.training.distributed.precision import format_of
from swath.engine.training.monitors import check_monitors
from swath.engine.training.reporting.names import metric_nodes
from swath.errors import InvalidInput, NotFitted


def unplaced(pipeline: Pipeline) -> list[Decider]:
    """Return the deciders that lack a threshold."""
    return [node for node in pipeline.nodes.values() if isinstance(node, Decider) and not node.placed]


def refuse_unplaced(pipeline: Pipeline) -> None:
    """Refuse a graph in which a node requires the decisions of a decider without threshold."""
    clauses = [
        f"{edge.target} reads decisions from {decider.name}"
        for decider in unplaced(pipeline)
        for edge in pipeline.edges
        if edge.source == decider.name
        and edge.output == "decisions"
        and _needs(pipeline.nodes[edge.target], edge.input)
    ]
    if clauses:
        raise InvalidInput(
            f"{', '.join(clauses)}, whose thresholds are not calibrated; set thresholds in the pipeline or take the "
            "node out of the training graph"
        )


def _needs(node: Node, port: str) -> bool:
    return bool(node.stages & LEARNING) and not node.inputs[port].optional


def require_weights(pipeline: Pipeline, *, has_weights: bool) -> None:
    """Refuse to calibrate a pipeline that was neither fitted nor trained."""
    if not has_weights:
        raise NotFitted(
            "The session holds no trained weights: restore a saved run with its weights, load weights, or train before "
            "a calibration"
        )
    missing = pipeline.missing_fits()
    if missing:
        raise NotFitted(
            f"Nodes {', '.join(missing)} need a statistical fit before a calibration; train or load weights first",
            metadata={"nodes": ",".join(missing)},
        )


def require_gradient(run: TrainRunDocument, training: TrainingDocument, pipeline: Pipeline, batches: Batches) -> None:
    """Refuse settings and nodes that a gradient phase cannot work with."""
    if not run.loss_nodes:
        raise InvalidInput("loss_nodes must name at least one loss node for gradient training")
    for kind, names in (("loss", run.loss_nodes), ("unfreeze", run.unfreeze_nodes), ("freeze", run.freeze_nodes)):
        require_named(kind, names, pipeline)
    idle = [name for name in run.loss_nodes if Stage.TRAIN not in pipeline.nodes[name].stages]
    if idle:
        raise InvalidInput(f"loss_nodes: {', '.join(idle)} does not run in training")
    _require_scalars(run.loss_nodes, pipeline)
    both = sorted(set(run.unfreeze_nodes) & set(run.freeze_nodes))
    if both:
        raise InvalidInput(f"{', '.join(both)} is in unfreeze_nodes and in freeze_nodes")
    errors, _ = review(training)
    if errors:
        raise InvalidInput("; ".join(errors))
    format_of(training)
    rhythm = cadence(training, batches)
    if training.callbacks is not None and training.callbacks.checkpoint is not None:
        checkpoints.check_document(training.callbacks.checkpoint)
    check_monitors(run, training, pipeline, validates=bool(rhythm.val_batches))
    _check_trainable(run, pipeline)
    missing = pipeline.missing_fits()
    if missing:
        raise NotFitted(
            f"Nodes {', '.join(missing)} need a statistical fit before gradient training; train statistically or load "
            "weights first",
            metadata={"nodes": ",".join(missing)},
        )


def require_named(kind: str, names: Iterable[str], pipeline: Pipeline) -> None:
    """Refuse unknown names of nodes."""
    for name in names:
        if name not in pipeline.nodes:
            raise InvalidInput(
                f"{kind.capitalize()} node '{name}' not found in pipeline. Available nodes: "
                f"{', '.join(sorted(pipeline.nodes))}",
                metadata={"node": name},
            )


def require_measuring(names: Iterable[str], pipeline: Pipeline) -> None:
    """Refuse metric nodes that do not exist or measure nothing."""
    require_named("metric", names, pipeline)
    measuring = sorted(metric_nodes(pipeline))
    idle = [name for name in names if name not in measuring]
    if idle:
        raise InvalidInput(
            f"metric_nodes: '{idle[0]}' ({type(pipeline.nodes[idle[0]]).__name__}) measures nothing; nodes that do: "
            f"{', '.join(measuring) or 'none'}",
            metadata={"node": idle[0]},
        )


def _require_scalars(names: Iterable[str], pipeline: Pipeline) -> None:
    for name in names:
        ports = pipeline.nodes[name].outputs
        scalar = all(
            isinstance(port.dtype, torch.dtype) and port.dtype.is_floating_point and not port.shape
            for port in ports.values()
        )
        if not ports or not scalar:
            raise InvalidInput(
                f"loss_nodes: '{name}' ({type(pipeline.nodes[name]).__name__}) does not give scalar losses"
            )


def _check_trainable(run: TrainRunDocument, pipeline: Pipeline) -> None:
    for name, node in pipeline.nodes.items():
        if name in run.freeze_nodes:
            continue
        if any(parameter.requires_grad for parameter in node.parameters()):
            return
        if name in run.unfreeze_nodes and (node.trainable_buffers or any(True for _ in node.parameters())):
            return
    raise nothing_to_train()


def nothing_to_train() -> InvalidInput:
    """Return the error for a run without trainable parameters."""
    return InvalidInput(
        "No trainable parameters found after unfreezing. Configure unfreeze_nodes in trainrun config to include "
        "trainable nodes."
    )
