"""Calibration: thresholds of deciders are placed on labelled frames, after training has changed the scores."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from swath.engine.error_text import log_outcome, outcome_text
from swath.engine.graph.context import Context
from swath.engine.graph.pipeline import Pipeline
from swath.engine.graph.ports import Stage
from swath.engine.graph.roles import Decider
from swath.engine.training.batches import Batches, frames_of
from swath.engine.training.control import StopRun
from swath.engine.training.reporting.events import FrameProgress, Hook, Lifecycle, Position
from swath.engine.training.reporting.outcomes import (
    CalibrationOutcome,
    DeciderCalibration,
    DeciderSkip,
    DeciderStatus,
    PhaseSkip,
    ThresholdChange,
)
from swath.engine.training.reporting.stream import EventStream

log = logging.getLogger(__name__)

MASK = "mask"

_Found = Mapping[str, Sequence[Tensor]]
"""Tensors of a pass by ``node.port``, one per batch, on the CPU."""


def calibrate(
    split: Stage,
    *,
    pipeline: Pipeline,
    batches: Batches,
    stream: EventStream,
    position: Position,
    resolve: Callable[[str], Path],
) -> CalibrationOutcome:
    """Set the thresholds of all deciders to the values with the best pixel F1 on a split, and report it.

    If that is not possible, thresholds stay as they are, and the outcome has the reason.
    """
    where = Position(split, position.epoch, 0, position.global_step)
    deciders = [node for node in pipeline.nodes.values() if isinstance(node, Decider)]
    if not deciders:
        outcome = CalibrationOutcome(split, applicable=False)
    else:
        stream.send(where, Lifecycle(Hook.CALIBRATION_START, split=split))
        outcome = _place_all(split, pipeline, deciders, batches, stream, where, resolve)
        log.info("calibration: %s", outcome.summary())
    stream.send(where, Lifecycle(Hook.CALIBRATION_END, split=split, calibration=outcome))
    return outcome


def _place_all(
    split: Stage,
    pipeline: Pipeline,
    deciders: list[Decider],
    batches: Batches,
    stream: EventStream,
    where: Position,
    resolve: Callable[[str], Path],
) -> CalibrationOutcome:
    sources = {decider.name: _score_key(pipeline, decider) for decider in deciders}

    def skip(kind: PhaseSkip, detail: str = "", frames: int = 0, anomalous: int = 0) -> CalibrationOutcome:
        records = tuple(
            _skipped(decider, DeciderSkip.NONE if sources[decider.name] else DeciderSkip.NOTHING_WIRED)
            for decider in deciders
        )
        return CalibrationOutcome(split, True, kind, detail, frames, anomalous, records)

    wired = [key for key in sources.values() if key]
    if not wired:
        return skip(PhaseSkip.NONE)
    if not batches.has(split):
        return skip(PhaseSkip.NO_SPLIT)
    try:
        found = _collect(split, pipeline, wired, batches, stream, where, resolve)
    except StopRun:
        raise
    except Exception as error:
        # An error of the calibration must not lose the fit.
        log_outcome(log, f"calibration: inference over {split} failed", error)
        return skip(PhaseSkip.INFERENCE_FAILED, outcome_text(error))

    origins = _mask_origins(pipeline, found)
    if len(origins) != 1:
        return skip(PhaseSkip.AMBIGUOUS_MASK, str([key.partition(".")[0] for key in origins]))
    masks = found[origins[0]]
    anomalous = sum(int((mask != 0).flatten(1).any(dim=1).sum()) for mask in masks)
    frames = sum(mask.shape[0] for mask in masks)
    if anomalous in (0, frames):
        return skip(PhaseSkip.SINGLE_CLASS, frames=frames, anomalous=anomalous)
    records = tuple(_place(decider, sources[decider.name], found, masks, split) for decider in deciders)
    return CalibrationOutcome(split, True, PhaseSkip.NONE, "", frames, anomalous, records)


def _score_key(pipeline: Pipeline, decider: Decider) -> str:
    """Return the output that is connected to a decider's scores; empty if there is none."""
    return next(
        (edge.key for edge in pipeline.edges if edge.target == decider.name and edge.input == decider.score_port), ""
    )


def _collect(
    split: Stage,
    pipeline: Pipeline,
    wired: Sequence[str],
    batches: Batches,
    stream: EventStream,
    where: Position,
    resolve: Callable[[str], Path],
) -> _Found:
    masks = [f"{name}.{MASK}" for name, node in pipeline.nodes.items() if MASK in node.outputs]
    keys = {*wired, *masks}
    nodes = {key.partition(".")[0] for key in keys}
    collected: defaultdict[str, list[Tensor]] = defaultdict(list)
    total, done = batches.frames(split), 0
    pipeline.eval()
    with torch.no_grad():
        for index, batch in enumerate(batches.over(split)):
            stream.check_stop()
            context = Context(Stage.INFERENCE, where.epoch, index, where.global_step, resolve)
            # Selected by node, so that nodes that write files do not run again.
            outputs = pipeline(batch, context, upto=nodes)
            for key in keys:
                if isinstance(value := outputs.get(key), Tensor):
                    collected[key].append(value.cpu())
            done += frames_of(batch)
            at = Position(split, where.epoch, index, where.global_step)
            stream.send(at, Lifecycle(Hook.CALIBRATION_PROGRESS, split=split, progress=FrameProgress(done, total)))
    return collected


def _mask_origins(pipeline: Pipeline, found: _Found) -> list[str]:
    """Return the masks that their node makes rather than passes on; all masks if every one is passed on."""
    masks = sorted(key for key in found if key.endswith(f".{MASK}"))
    passing = {edge.target for edge in pipeline.edges if edge.input == MASK}
    return [key for key in masks if key.partition(".")[0] not in passing] or masks


def _place(decider: Decider, key: str, found: _Found, masks: Sequence[Tensor], split: Stage) -> DeciderCalibration:
    if not key:
        return _skipped(decider, DeciderSkip.NOTHING_WIRED)
    scores = found.get(key)
    if not scores:
        return _skipped(decider, DeciderSkip.NO_SCORES, f"{key} produced no tensor over {split}")
    before = {name: decider.hparams.get(name) for name in decider.threshold_names}
    try:
        metrics = decider.calibrate(list(scores), [mask != 0 for mask in masks])
    except Exception as error:
        log_outcome(log, f"calibration of {decider.name} failed", error)
        return _skipped(decider, DeciderSkip.CALIBRATE_FAILED, outcome_text(error))
    if metrics is None:
        return _skipped(decider, DeciderSkip.NO_REPORT)
    return DeciderCalibration(
        name=decider.name,
        class_name=type(decider).__name__,
        status=DeciderStatus.CALIBRATED,
        thresholds={
            name: ThresholdChange(_number(before.get(name)), float(decider.hparams[name]))
            for name in decider.threshold_names
        },
        metrics=metrics,
        thresholds_present=decider.placed,
    )


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)


def _skipped(decider: Decider, skip: DeciderSkip, detail: str = "") -> DeciderCalibration:
    return DeciderCalibration(
        name=decider.name,
        class_name=type(decider).__name__,
        status=DeciderStatus.SKIPPED,
        skip=skip,
        skip_detail=detail,
        thresholds_present=decider.placed,
    )
