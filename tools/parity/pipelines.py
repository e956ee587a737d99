"""Pipeline by pipeline: the shipped documents of the reference, the same weights in both, every output compared."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from swath.documents import load_yaml, parse
from swath.engine.graph.context import Context
from swath.engine.graph.pipeline import Pipeline
from swath.engine.graph.ports import Stage
from swath.errors import WeightsInvalid
from tools.parity import environment
from tools.parity.cases.losses import EXACT_PRECISION
from tools.parity.compare import Difference, difference
from tools.parity.example_scenes import ExampleScene
from tools.parity.exchange import plain, tensors

NAMES = (
    "anomaly/rx/channel_selector",
    "anomaly/rx/rx_statistical",
    "anomaly/deep_svdd/deep_svdd",
    "spectral_match/spectral_match",
    "spectral_match/spectral_match_validity",
    "medical/blood_perfusion/ndvi",
)
STAGES = ("inference", "val")
REASONS = {
    "SpectralAngleMapper": "the arc cosine near 1 multiplies rounding, in both (see the node)",
    "DeepSVDDCenterTracker": "nothing takes metrics at inference, so none are made there",
}
"""Why outputs of a class differ by more than the target."""


@dataclass(frozen=True)
class Row:
    """One output of one pipeline at one stage.

    Attributes:
        pipeline: Name of the document.
        weights: Where the weights of both come from.
        stage: Stage of the forward.
        output: ``node.port``.
        difference: The difference between the two.
        remark: Why it is larger than the target.
    """

    pipeline: str
    weights: str
    stage: str
    output: str
    difference: Difference
    remark: str = ""

    @property
    def on_purpose(self) -> bool:
        """Whether there is a reason for the difference."""
        return bool(self.remark)

    @property
    def met(self) -> bool:
        """Whether it is within the target."""
        return self.difference.met


def measure(scene: ExampleScene) -> list[Row]:
    """Run all pipelines in both over tiles of a scene."""
    documents = environment.packages() / "cuvis_ai" / "configs" / "pipeline"
    with tempfile.TemporaryDirectory(prefix="swath-parity-") as folder:
        orders = [_order(documents / f"{name}.yaml", scene, Path(folder) / "reference" / name) for name in NAMES]
        answers = environment.ask("pipelines", orders)
        return [
            row
            for name, order, answer in zip(NAMES, orders, answers, strict=True)
            for row in _rows(name, order, answer, Path(folder) / "swath" / name)
        ]


def _order(document: Path, scene: ExampleScene, folder: Path) -> dict[str, Any]:
    weights = document.with_suffix(".pt")
    batches = [scene.batch(slice(0, 4)), scene.batch(slice(4, 8))]
    for batch in batches:
        batch["spectral_signature"] = scene.cubes[:3, :1, :1]
    if "deep_svdd" in document.stem:  # written for an instrument with 27 channels from 700 nm on
        for batch in batches:
            batch["wavelengths"] = batch["wavelengths"] - (batch["wavelengths"][0, 34] - 700)
    return {
        "pipeline": str(document),
        "weights": str(weights) if weights.is_file() else None,
        "fit": batches,
        "batch": batches[1],
        "stages": list(STAGES),
        "folder": str(folder),
    }


def _rows(name: str, order: dict[str, Any], answer: dict[str, Any], folder: Path) -> Iterator[Row]:
    pipeline = Pipeline.from_document(parse("pipeline", load_yaml(Path(order["pipeline"]).read_bytes())))
    state = tensors(answer["state"])
    fitted = "the reference's fit" if any(state.values()) else "none"
    weights = "shipped" if order["weights"] else fitted
    try:
        pipeline.load_state(state, strict=True)
    except WeightsInvalid as error:
        yield Row(name, weights, "", "weights", Difference(faults=(" ".join(str(error).split()),)))
        pipeline.load_state(state, strict=False)
    for stage, theirs in answer["outputs"].items():
        with torch.inference_mode():
            context = Context(Stage(stage), resolve=folder.joinpath)
            ours = {key: plain(value) for key, value in pipeline(tensors(order["batch"]), context).items()}
        for output in dict.fromkeys((*theirs, *ours)):
            sides = ({output: side[output]} if output in side else {} for side in (ours, theirs))
            kind = type(pipeline.nodes[output.partition(".")[0]]).__name__
            exact = kind == "AnomalyDetectionMetrics" and output.endswith(".metrics")
            found = difference(*map(_without_precision, sides) if exact else sides)
            remark = EXACT_PRECISION if exact else REASONS.get(kind, "")
            yield Row(name, weights, stage, output, found, remark if exact or not found.met else "")
    pipeline.close()


def _without_precision(side: dict[str, Any]) -> dict[str, Any]:
    """Leave out the one metric that differs for a reason: cases of its own compare it, where it does not."""
    return {
        output: [metric for metric in metrics if metric["name"] != "average_precision"]
        for output, metrics in side.items()
    }
