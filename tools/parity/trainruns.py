"""Run by run: the shipped trainruns of the reference on real scenes, trained in both."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from omegaconf import OmegaConf

from swath.client import roc_auc
from swath.documents import load_yaml, parse
from swath.engine.data import WHOLE, DataModule, Part, build
from swath.engine.graph.pipeline import Pipeline
from swath.engine.training import RunSpec, Trainer, run
from tools.parity import environment
from tools.parity.compare import difference
from tools.parity.example_scenes import ExampleScene
from tools.parity.exchange import plain, tensors

NAMES = ("rx_statistical", "default_statistical", "channel_selector", "default_gradient", "deep_svdd")
SEEDS = (42, 43, 44)
EPOCHS = 3
AUC_TARGET = 1e-4
_BATCH = 4
_SCORES = {"deep_svdd": "DeepSVDDScores.scores"}

_PICTURES = ("AnomalyMask", "CubeRGBVisualizer", "ScoreHeatmapVisualizer", "TensorBoardMonitorNode")

# The shipped default_gradient has no losses and is meant to be completed. Ours has these.
_COMPLETED = {
    "default_gradient": {
        "loss_nodes": ["bce"],
        "metric_nodes": ["metrics_anomaly"],
        "unfreeze_nodes": ["SoftChannelSelector"],
    }
}


@dataclass(frozen=True)
class Row:
    """One run on one scene.

    Attributes:
        run: Name of the trainrun.
        scene: Name of the scene.
        theirs: Area under the ROC curve of the reference, for each of `SEEDS`.
        ours: Ours, trained with frames in the order of the first of these.
        own_order: Ours, trained with frames in an order of our own.
        served: Ours with the weights that the reference trained with that seed.
        spread: Largest relative difference between the reference's own scores over its shuffles.
        scores: Relative difference of our scores to those of its first shuffle.
        same_weights: The same with its weights loaded here.
        kept: Number of directions that the reference's inverse covariance keeps, and of all; None without RX.
    """

    run: str
    scene: str
    theirs: tuple[float, ...]
    ours: float
    own_order: float
    served: float
    spread: float
    scores: float
    same_weights: float
    kept: tuple[int, int] | None

    @property
    def difference(self) -> float:
        """The difference between our area and that of the reference's first shuffle."""
        return abs(self.ours - self.theirs[0])

    @property
    def own_spread(self) -> float:
        """The spread of the reference's areas over its shuffles."""
        return max(self.theirs) - min(self.theirs)

    @property
    def met(self) -> bool:
        """Whether the areas are within 1e-4, or within the reference's own spread."""
        return self.difference <= max(AUC_TARGET, self.own_spread)

    @property
    def remark(self) -> str:
        """Why the difference is larger than that."""
        if self.met or self.kept is None or self.kept[0] == self.kept[1]:
            return ""
        return f"the reference's inverse keeps {self.kept[0]} of {self.kept[1]} directions, ours all"

    @property
    def on_purpose(self) -> bool:
        """Whether there is a reason for the difference."""
        return bool(self.remark)


def measure(scenes: Mapping[str, ExampleScene]) -> list[Row]:
    """Train all runs in both on each scene."""
    with tempfile.TemporaryDirectory(prefix="swath-parity-") as name:
        folder = Path(name)
        parts = [(run_name, scene_name) for scene_name in scenes for run_name in NAMES]
        orders = [
            _order(run_name, scenes[scene_name], folder / scene_name / run_name) for run_name, scene_name in parts
        ]
        answers = environment.ask("trainruns", orders)
        return [
            _row(*part, scenes[part[1]], order, answer)
            for part, order, answer in zip(parts, orders, answers, strict=True)
        ]


def _order(name: str, scene: ExampleScene, folder: Path) -> dict[str, Any]:
    configs = environment.packages() / "cuvis_ai" / "configs"
    document: Any = OmegaConf.load(configs / "trainrun" / f"{name}.yaml")
    defaults = OmegaConf.to_container(document.pop("defaults"))
    training = OmegaConf.load(configs / "training" / "default.yaml")
    if not isinstance(defaults, list) or {"/training@training": "default"} not in defaults:
        training = OmegaConf.create()
    composed: Any = OmegaConf.to_container(OmegaConf.merge({"training": training}, document), resolve=True)
    composed.pop("hydra", None)
    pipeline = folder / "pipeline.yaml"
    pipeline.parent.mkdir(parents=True)
    shipped = yaml.safe_load((configs / "trainrun" / composed.pop("pipeline")).read_text())
    pipeline.write_text(yaml.safe_dump(without_pictures(shipped), sort_keys=False))
    composed |= _COMPLETED.get(name, {}) | {"output_dir": "out", "data": scene.data(folder / "data", _BATCH)}
    if composed["training"]:
        composed["training"] |= {"max_epochs": EPOCHS, "accelerator": "cpu", "enable_progress_bar": False}
        composed["training"]["default_root_dir"] = "out"
    else:
        del composed["training"]
    batch = scene.batch(slice(None))
    if name == "deep_svdd":
        _relabel(batch, folder / "data")
    return {
        "pipeline": str(pipeline),
        "run": composed,
        "batch": batch,
        "scores": _SCORES.get(name, "RXGlobal.scores"),
        "seeds": list(SEEDS),
        "folder": str(folder / "reference"),
    }


def without_pictures(document: dict[str, Any]) -> dict[str, Any]:
    """Leave out the nodes that only draw and report: they take most of the time and change no numbers."""
    kept = [node for node in document["nodes"] if not node["class_name"].endswith(_PICTURES)]
    names = {node["name"] for node in kept}
    edges = [
        edge
        for edge in document["connections"]
        if {edge["source"].split(".")[0], edge["target"].split(".")[0]} <= names
    ]
    return {**document, "nodes": kept, "connections": edges}


def _relabel(batch: dict[str, np.ndarray], data: Path) -> None:
    """Label the channels so that 27 are at 700 nm or above, as the pipeline of Deep SVDD requires."""
    wavelengths = batch["wavelengths"][0] - (batch["wavelengths"][0, 34] - 700)
    batch["wavelengths"] = np.broadcast_to(wavelengths, batch["wavelengths"].shape).copy()
    for file in data.glob("*.npz"):
        with np.load(file) as arrays:
            content = dict(arrays)
        np.savez(file, **{**content, "wavelengths": wavelengths})  # pyright: ignore[reportArgumentType]


def _row(name: str, scene_name: str, scene: ExampleScene, order: dict[str, Any], answer: dict[str, Any]) -> Row:
    theirs = answer["scores"]
    folder, initial = Path(order["folder"]).parent, answer["initial"]
    ours = _train(order, initial, folder / "swath", answer["epochs"])
    own_order = _train(order, initial, folder / "own") if answer["epochs"] else ours
    served = _serve(order, tensors(answer["trained"]))
    return Row(
        run=name,
        scene=scene_name,
        theirs=tuple(roc_auc(scores, scene.masks) for scores in theirs),
        ours=roc_auc(ours, scene.masks),
        own_order=roc_auc(own_order, scene.masks),
        served=roc_auc(served, scene.masks),
        spread=max(difference(other, theirs[0]).relative for other in theirs[1:]),
        scores=difference(ours, theirs[0]).relative,
        same_weights=difference(served, theirs[0]).relative,
        kept=_kept(answer["trained"].get("RXGlobal")),
    )


class _Reordered:
    """A data module with the frames of its train split in a given order.

    Args:
        data: Where the frames are.
        epochs: The number of each frame, by epoch, batch and place in the batch.
    """

    def __init__(self, data: DataModule, epochs: list[list[list[int]]]) -> None:
        self.splits = data.splits
        self.frames = data.frames
        self._data = data
        self._epochs = epochs

    def loader(self, split: str, *, epoch: int, start_batch: int = 0, part: Part = WHOLE) -> Iterable[dict[str, Any]]:
        batches = self._data.loader(split, epoch=epoch, start_batch=start_batch, part=part)
        if split != "train":
            return batches
        frames = {
            int(number): {key: values[place] for key, values in batch.items()}
            for batch in batches
            for place, number in enumerate(batch["mesu_index"])
        }
        assert len(frames) == self.frames(split), "each frame has its own number, and one process reads them all"
        return [_stacked([frames[number] for number in numbers]) for numbers in self._epochs[epoch]]


def _stacked(frames: list[dict[str, Any]]) -> dict[str, Any]:
    columns = {key: [frame[key] for frame in frames] for key in frames[0]}
    return {key: torch.stack(column) if torch.is_tensor(column[0]) else column for key, column in columns.items()}


def _train(
    order: dict[str, Any], initial: dict[str, Any], folder: Path, epochs: list[list[list[int]]] | None = None
) -> np.ndarray:
    """Train here and return the scores, with frames of the gradient phase in a given order if there is one."""
    config = parse("trainrun", order["run"])
    pipeline = _load(order, tensors(initial))
    data = build(config.data, Path, seed=SEEDS[0])
    for trainer in _phases(config):
        gradient = trainer is Trainer.GRADIENT
        spec = RunSpec(trainer, config, config.training, resolve=folder.joinpath, post_fit=gradient)
        run(spec, _Reordered(data, epochs) if gradient and epochs else data, pipeline, lambda event: None)
    return _scores(order, pipeline)


def _serve(order: dict[str, Any], trained: dict[str, Any]) -> np.ndarray:
    return _scores(order, _load(order, trained))


def _load(order: dict[str, Any], state: dict[str, Any]) -> Pipeline:
    pipeline = Pipeline.from_document(parse("pipeline", load_yaml(Path(order["pipeline"]).read_bytes())))
    pipeline.load_state(state, strict=True)
    return pipeline


def _scores(order: dict[str, Any], pipeline: Pipeline) -> np.ndarray:
    with torch.inference_mode():
        outputs = pipeline(tensors(order["batch"]), only=[order["scores"]])
    return plain(outputs[order["scores"]])


def _kept(state: dict[str, np.ndarray] | None) -> tuple[int, int] | None:
    """Count the directions that an inverse covariance gives weight to; a pseudo-inverse drops some."""
    if state is None:
        return None
    largest = np.linalg.eigvalsh(state["cov"].astype(np.float64))[-1]
    weights = np.linalg.eigvalsh(state["cov_inv"].astype(np.float64))
    return int((weights > 0.5 / largest).sum()), len(weights)


def _phases(config: Any) -> Iterator[Trainer]:
    yield Trainer.STATISTICAL
    if config.training is not None:
        yield Trainer.GRADIENT
