"""The statistical phase: nodes learn statistics, as many as possible in each pass over the training frames."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from swath.engine.context import Context
from swath.engine.node import Fittable
from swath.engine.pipeline import Pipeline
from swath.engine.ports import Stage
from swath.engine.training.control import StopRun
from swath.engine.training.events import FrameProgress, Hook, Lifecycle, Position
from swath.engine.training.passes import Batches, frames_of
from swath.engine.training.resume import Keeper, Phase
from swath.engine.training.stream import Stream

SPLIT = "train"


def fit(
    pipeline: Pipeline,
    batches: Batches,
    stream: Stream,
    keeper: Keeper,
    resolve: Callable[[str], Path],
    former: dict[str, Any] | None = None,
) -> None:
    """Fit every node that learns statistics.

    Nodes whose ancestors are all fitted share one pass. A snapshot follows each pass.

    Args:
        pipeline: Changed in place.
        batches: The data.
        stream: Takes the events.
        keeper: Takes the snapshots.
        resolve: Turns paths of nodes into places.
        former: Content of a snapshot to go on from.
    """
    first = 0
    if former is not None:
        pipeline.load_state(former["state"], strict=True)
        first = int(former["wave"])
    pipeline.eval()
    for number, wave in enumerate(pipeline.fit_waves()):
        if number < first:
            continue
        events = stream.count
        try:
            _fit_wave(wave, pipeline, batches, stream, resolve)
        except StopRun:
            # A pass that is given up changes nothing, so it starts over.
            keeper.keep(Phase.STATISTICAL, events, _content(pipeline, number))
            raise
        if keeper.active:
            keeper.keep(Phase.STATISTICAL, stream.count, _content(pipeline, number + 1))


def _content(pipeline: Pipeline, wave: int) -> dict[str, Any]:
    return {"state": pipeline.state(), "wave": wave}


@torch.no_grad()
def _fit_wave(
    wave: tuple[str, ...], pipeline: Pipeline, batches: Batches, stream: Stream, resolve: Callable[[str], Path]
) -> None:
    nodes = {name: node for name in wave if isinstance(node := pipeline.nodes[name], Fittable)}
    total, done = batches.frames(SPLIT), 0
    for name, node in nodes.items():
        stream.check_stop()
        node.begin_fit()
        stream.send(Position(), Lifecycle(Hook.STATISTICAL_NODE_START, node=name, progress=FrameProgress(0, total)))
    for index, batch in enumerate(batches.over(SPLIT)):
        stream.check_stop()
        fed = pipeline.feeds(wave, batch, Context(Stage.INFERENCE, 0, index, 0, resolve))
        done += frames_of(batch)
        for name, node in nodes.items():
            node.fit_batch(fed[name])
            progress = FrameProgress(done, total)
            stream.send(Position(batch_idx=index), Lifecycle(Hook.STATISTICAL_PROGRESS, node=name, progress=progress))
    for name, node in nodes.items():
        stream.check_stop()
        node.end_fit()
        stream.send(Position(), Lifecycle(Hook.STATISTICAL_NODE_END, node=name))
