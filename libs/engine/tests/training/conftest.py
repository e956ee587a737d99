"""Small frames with small anomalies, and small pipelines to train on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from swath.documents import TrainingDocument, TrainRunDocument, parse
from swath.engine.data import WHOLE, Part
from swath.engine.graph.context import Context
from swath.engine.graph.node import Node
from swath.engine.graph.pipeline import Pipeline, State
from swath.engine.graph.ports import Port, Stage
from swath.engine.graph.structure import builder
from swath.engine.training import Event, RunSpec, Trainer

CHANNELS = 5
BATCH = 2


class Frames:
    """A data module over random frames of 6 x 6 pixels, a quarter of the frames without any anomaly."""

    def __init__(self, counts: dict[str, int], *, batch_size: int = BATCH, anomalous: bool = True) -> None:
        self.batch_size = batch_size
        self.opened: list[tuple[str, int, int]] = []
        generator = torch.Generator().manual_seed(7)
        self._frames: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
        for split, count in counts.items():
            cube = torch.randn(count, 6, 6, CHANNELS, generator=generator)
            mask = torch.zeros(count, 6, 6, dtype=torch.int32)
            for index in range(count if anomalous else 0):
                if index % 4:
                    cube[index, 2:4, 2:4] += 3.0
                    mask[index, 2:4, 2:4] = 1
            self._frames[split] = (cube, mask)

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(self._frames)

    def frames(self, split: str) -> int:
        return len(self._frames[split][0])

    def spoil(self, split: str) -> None:
        """Make all values of a split not a number."""
        self._frames[split][0].fill_(float("nan"))

    def loader(
        self, split: str, *, epoch: int, start_batch: int = 0, part: Part = WHOLE, batch_size: int | None = None
    ) -> Iterator[dict[str, Any]]:
        size = batch_size or self.batch_size
        self.opened.append((split, epoch, start_batch))
        cube, mask = self._frames[split]
        order = torch.arange(len(cube))
        if split == "train":
            order = torch.randperm(len(cube), generator=torch.Generator().manual_seed(epoch))
        for batch in order.split(size * part.size)[start_batch:]:
            own = batch[part.rank * size :][:size]
            chosen = own if len(own) else batch[-1:]
            yield {
                "cube": cube[chosen],
                "mask": mask[chosen],
                "wavelengths": torch.arange(CHANNELS, dtype=torch.int32).expand(len(chosen), -1),
            }


class Noise(Node):
    """Adds random numbers in training, as dropout would."""

    inputs = {"data": Port(torch.float32, (-1, -1, -1, -1))}
    outputs = {"data": Port(torch.float32, (-1, -1, -1, -1))}

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        data = inputs["data"]
        return {"data": data + 0.1 * torch.randn_like(data) if context.stage is Stage.TRAIN else data}


NODES = {
    "source": ("data.AnomalyDataNode", {"normal_class_ids": [0]}),
    "zscore": ("anomaly.deep_svdd.ZScoreNormalizerGlobal", {"num_channels": CHANNELS}),
    "projection": (
        "anomaly.deep_svdd.DeepSVDDProjection",
        {"in_channels": CHANNELS, "rep_dim": 3, "hidden": 4},
    ),
    "center": ("anomaly.deep_svdd.DeepSVDDCenterTracker", {"rep_dim": 3}),
    "scores": ("anomaly.deep_svdd.DeepSVDDScores", {}),
    "svdd_loss": ("losses.DeepSVDDSoftBoundaryLoss", {}),
    "logit": ("conversion.ScoreToLogit", {}),
    "bce": ("losses.AnomalyBCEWithLogits", {}),
    "decider": ("deciders.binary_decider.BinaryDecider", {}),
    "metrics": ("metrics.AnomalyDetectionMetrics", {}),
}
EDGES = (
    ("source.cube", "zscore.data"),
    ("zscore.normalized", "noise.data"),
    ("noise.data", "projection.data"),
    ("projection.embeddings", "center.embeddings"),
    ("projection.embeddings", "scores.embeddings"),
    ("projection.embeddings", "svdd_loss.embeddings"),
    ("center.center", "scores.center"),
    ("center.center", "svdd_loss.center"),
    ("scores.scores", "logit.scores"),
    ("logit.logits", "bce.predictions"),
    ("source.mask", "bce.targets"),
    ("logit.logits", "decider.logits"),
    ("logit.logits", "metrics.logits"),
    ("decider.decisions", "metrics.decisions"),
    ("source.mask", "metrics.targets"),
)


def make_pipeline(*, without: tuple[str, ...] = ()) -> Pipeline:
    """Build the pipeline above, unfitted."""
    document = parse(
        "pipeline",
        {
            "nodes": [
                {"name": name, "class_name": f"cuvis_ai.node.{class_name}", "hparams": hparams}
                for name, (class_name, hparams) in NODES.items()
                if name not in without
            ]
        },
    )
    nodes = {**builder.build_nodes(document), "noise": Noise()}
    nodes["noise"].name = "noise"
    edges = [builder.Edge(*source.split("."), *target.split(".")) for source, target in EDGES]
    return Pipeline(nodes, [edge for edge in edges if edge.source in nodes and edge.target in nodes]).eval()


@pytest.fixture
def frames() -> Frames:
    return Frames({"train": 7, "val": 5, "test": 4})


@pytest.fixture
def pipeline() -> Pipeline:
    return make_pipeline()


@pytest.fixture
def fitted(pipeline: Pipeline, frames: Frames) -> Pipeline:
    fit(pipeline, frames)
    return pipeline


def fit(pipeline: Pipeline, frames: Frames) -> None:
    """Fit the statistics without a run around it."""
    for wave in pipeline.fit_waves():
        nodes: list[Any] = [pipeline.nodes[name] for name in wave]
        for node in nodes:
            node.begin_fit()
        with torch.no_grad():
            for batch in frames.loader("train", epoch=0):
                fed = pipeline.inputs_of(wave, batch)
                for node in nodes:
                    node.fit_batch(fed[node.name])
        for node in nodes:
            node.end_fit()


def make_run(**changes: Any) -> TrainRunDocument:
    """A run's document; the data section only tells the batch size."""
    return parse(
        "trainrun",
        {
            "name": "small",
            "data": {"data_module": "frames", "batch_size": BATCH},
            "loss_nodes": ["svdd_loss"],
            "metric_nodes": ["metrics"],
            **changes,
        },
    )


def make_training(**changes: Any) -> TrainingDocument:
    """A gradient phase of two epochs on the CPU."""
    return parse(
        "training",
        {"max_epochs": 2, "accelerator": "cpu", "num_sanity_val_steps": 0, "optimizer": {"lr": 0.01}, **changes},
    )


@pytest.fixture
def gradient_spec(tmp_path: Path) -> Callable[..., RunSpec]:
    """Makes gradient jobs whose files go under a folder of their own."""

    def make(run: dict[str, Any] | None = None, **training: Any) -> RunSpec:
        return RunSpec(
            Trainer.GRADIENT, make_run(**(run or {})), make_training(**training), resolve=lambda path: tmp_path / path
        )

    return make


def short(event: Event) -> str:
    """The moment of an event as one word, with the split or node where it has one."""
    if event.event is None:
        return str(event.status)
    of = event.event.node or event.event.split or ""
    return f"{event.event.hook}:{of}" if of else str(event.event.hook)


def same_state(one: State, other: State) -> bool:
    """Whether two states hold the same nodes, keys and bits."""
    return one.keys() == other.keys() and all(
        one[node].keys() == other[node].keys() and all(one[node][key].equal(other[node][key]) for key in one[node])
        for node in one
    )


class StopAfter:
    """Asks a run to stop once it has emitted so many events."""

    def __init__(self, events: list[Event], count: int) -> None:
        self._events = events
        self._count = count

    def stop_requested(self) -> bool:
        return len(self._events) >= self._count


class SnapshotList:
    """Keeps every snapshot with the number of events before it."""

    def __init__(self) -> None:
        self.kept: list[tuple[bytes, int]] = []

    def save(self, snapshot: bytes, events: int) -> None:
        self.kept.append((snapshot, events))
