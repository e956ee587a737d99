"""The post-fit phase: restore the best checkpoint, calibrate deciders, evaluate splits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from swath.engine.error_text import outcome_text
from swath.engine.graph.pipeline import Pipeline
from swath.engine.graph.ports import Stage
from swath.engine.training.batches import Batches
from swath.engine.training.checkpoints import Checkpoints
from swath.engine.training.phases.calibration import calibrate
from swath.engine.training.phases.evaluation import evaluate
from swath.engine.training.reporting.events import Hook, Lifecycle, Position
from swath.engine.training.reporting.names import metric_nodes
from swath.engine.training.reporting.outcomes import CalibrationOutcome, CheckpointRestored
from swath.engine.training.reporting.stream import EventStream
from swath.engine.training.spec import RunSpec


def run_post_fit(
    spec: RunSpec, pipeline: Pipeline, batches: Batches, stream: EventStream, position: Position
) -> CalibrationOutcome:
    """Calibrate on val, evaluate val and test, and report each step; return the outcome of the calibration."""
    pipeline.eval()
    for node in pipeline.nodes.values():
        node.state_changed()
    _release(spec)
    calibration = calibrate(
        Stage.VAL, pipeline=pipeline, batches=batches, stream=stream, position=position, resolve=spec.resolve
    )
    nodes = metric_nodes(pipeline, spec.trainrun.metric_nodes)
    for split in (Stage.VAL, Stage.TEST):
        _release(spec)
        evaluate(
            split,
            pipeline=pipeline,
            batches=batches,
            nodes=nodes,
            stream=stream,
            position=position,
            resolve=spec.resolve,
        )
    stream.send(position, Lifecycle(Hook.POST_FIT_END))
    return calibration


def restore_best(checkpoints: Checkpoints | None, pipeline: Pipeline) -> CheckpointRestored:
    """Load the weights of the best checkpoint; if that fails, the final weights stay."""
    if checkpoints is None:
        return CheckpointRestored(False, reason="no checkpoint callback")
    best = checkpoints.best
    if best is None or not best[0].is_file():
        return CheckpointRestored(False, reason="no checkpoint was saved")
    path, score = best
    try:
        content = read_checkpoint(path)
        pipeline.load_state(content["state_dict"], strict=True)
    except Exception as error:
        return CheckpointRestored(False, path=str(path), reason=outcome_text(error))
    return CheckpointRestored(
        True, path=str(path), epoch=int(content["epoch"]), monitor=checkpoints.monitor, score=score
    )


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint file; it can hold no code."""
    return torch.load(path, map_location="cpu", weights_only=True)


def _release(spec: RunSpec) -> None:
    if spec.training is not None and spec.training.release_cuda_cache_on_validation and torch.cuda.is_available():
        torch.cuda.empty_cache()
