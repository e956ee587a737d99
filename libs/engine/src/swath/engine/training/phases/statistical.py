"""The statistical phase: nodes learn statistics, as many as possible per pass over the training frames."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from swath.engine.error_text import first_line
from swath.engine.graph.context import Context
from swath.engine.graph.invalid import LinAlgError
from swath.engine.graph.pipeline import Pipeline
from swath.engine.graph.ports import Stage
from swath.engine.graph.roles import Fittable
from swath.engine.training.batches import Batch, Batches, frames_of
from swath.engine.training.control import StopRun
from swath.engine.training.finite import require_finite_state
from swath.engine.training.reporting.events import FrameProgress, Hook, Lifecycle, Position
from swath.engine.training.reporting.stream import EventStream
from swath.engine.training.snapshots import Phase, SnapshotWriter
from swath.errors import DataInvalid

log = logging.getLogger(__name__)

SPLIT = "train"

_UNFIT = "look for values in the training data that are finite and far out of range, or scale the data"

MAX_KEPT_BYTES = 256 << 20
"""Maximum bytes of training frames that are kept in memory between passes. Otherwise each pass reads them again."""


def fit(
    pipeline: Pipeline,
    batches: Batches,
    stream: EventStream,
    snapshots: SnapshotWriter,
    resolve: Callable[[str], Path],
    former: dict[str, Any] | None = None,
) -> int:
    """Fit every node that learns statistics; return how many invalid pixels of the training frames they left out.

    Nodes whose ancestors are all fitted share a pass. A snapshot is written after each pass.

    Args:
        pipeline: Changed in place.
        batches: The data.
        stream: Takes the events.
        snapshots: Takes the snapshots.
        resolve: Turns paths of nodes into real paths.
        former: Content of a snapshot to resume from.
    """
    first, left_out = 0, 0
    if former is not None:
        pipeline.load_state(former["state"], strict=True)
        first, left_out = int(former["wave"]), int(former.get("left_out", 0))
    pipeline.eval()
    waves = pipeline.fit_waves()
    frames = _Frames(batches, keep=not pipeline.sources)
    for number, wave in enumerate(waves):
        if number < first:
            continue
        events = stream.count
        try:
            _fit_wave(wave, pipeline, frames.read(again=number + 1 < len(waves)), frames.count, stream, resolve)
        except StopRun:
            # An aborted pass changes nothing, so it starts again.
            snapshots.write(Phase.STATISTICAL, events, _content(pipeline, number, left_out))
            raise
        fitted = [node for name in wave if isinstance(node := pipeline.nodes[name], Fittable)]
        left_out = max(left_out, *(node.left_out for node in fitted), 0)
        if snapshots.active:
            snapshots.write(Phase.STATISTICAL, stream.count, _content(pipeline, number + 1, left_out))
    return left_out


class _Frames:
    """The training frames in batches. They are read only once if they fit into memory.

    Args:
        batches: The data.
        keep: Whether they may be kept: nodes of plugins may change them in place.

    Attributes:
        count: How many frames there are.
    """

    def __init__(self, batches: Batches, *, keep: bool) -> None:
        self.count = batches.frames(SPLIT)
        self._batches = batches
        self._fits = keep
        self._kept: list[Batch] = []

    def read(self, *, again: bool) -> Iterator[Batch]:
        """Iterate over the batches.

        Args:
            again: Whether another pass follows.
        """
        return iter(self._kept) if self._kept else self._read(again=again)

    def _read(self, *, again: bool) -> Iterator[Batch]:
        kept: list[Batch] = []
        size = 0
        for batch in self._batches.over(SPLIT):
            if again and self._fits:
                size += sum(value.nbytes for value in batch.values() if isinstance(value, Tensor))
                self._fits = size <= MAX_KEPT_BYTES
                kept.append(_own(batch))
            if not self._fits:
                kept.clear()
            yield batch
        self._kept = kept


def _own(batch: Batch) -> Batch:
    """Copy a batch to memory of this process: memory shared by a loader process needs a descriptor per tensor."""
    return {
        key: value.clone() if isinstance(value, Tensor) and value.is_shared() else value for key, value in batch.items()
    }


def _content(pipeline: Pipeline, wave: int, left_out: int) -> dict[str, Any]:
    return {"state": pipeline.state(), "wave": wave, "left_out": left_out}


@torch.no_grad()
def _fit_wave(
    wave: tuple[str, ...],
    pipeline: Pipeline,
    batches: Iterator[Batch],
    total: int,
    stream: EventStream,
    resolve: Callable[[str], Path],
) -> None:
    nodes = {name: node for name in wave if isinstance(node := pipeline.nodes[name], Fittable)}
    done = 0
    for name, node in nodes.items():
        stream.check_stop()
        node.begin_fit()
        stream.send(Position(), Lifecycle(Hook.STATISTICAL_NODE_START, node=name, progress=FrameProgress(0, total)))
    for index, batch in enumerate(batches):
        stream.check_stop()
        fed = pipeline.inputs_of(wave, batch, Context(Stage.INFERENCE, 0, index, 0, resolve))
        done += frames_of(batch)
        for name, node in nodes.items():
            node.fit_batch(fed[name])
            progress = FrameProgress(done, total)
            stream.send(Position(batch_idx=index), Lifecycle(Hook.STATISTICAL_PROGRESS, node=name, progress=progress))
    for name, node in nodes.items():
        stream.check_stop()
        _end_fit(node)
        require_finite_state(pipeline, [name], "after its fit", _UNFIT)
        left_out = f"{node.left_out} invalid pixels (a band is not finite) left out" if node.left_out else ""
        if left_out:
            log.info("fit of %s: %s", name, left_out)
        message = f"Fitted {name}; {left_out}" if left_out else ""
        stream.send(Position(), Lifecycle(Hook.STATISTICAL_NODE_END, node=name), message=message)


def _end_fit(node: Fittable) -> None:
    try:
        node.end_fit()
    except LinAlgError as error:
        raise DataInvalid(
            f"Node '{node.name}' ({type(node).__name__}) cannot be fitted: {first_line(error)}; raise its "
            "eps, or fit it to more pixels",
            metadata={"node": node.name},
        ) from error
