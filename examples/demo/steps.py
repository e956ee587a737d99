"""What the demo does with the server, step by step, as a remote client over gRPC only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from methods import Method
from numpy.typing import NDArray
from rich.console import Console

from swath.client import Client, RunSummary, Scene, Session, TrainView, roc_auc, roc_curve
from swath.client.cli.progress import bars
from swath.client.data.pictures import as_map
from swath.client.workspace.transfer import files_below

Tile = tuple[slice, slice]

CONFIG_GROUPS = ("data", "pipeline", "trainrun", "training")


class ExpectationError(Exception):
    """Something did not come out as it must."""


@dataclass
class Result:
    """What one method came to.

    Attributes:
        method: Which one.
        scores: Score map of the whole scene, [H, W].
        judged: The scores that ROC AUC was taken over, flat.
        truth: Their ground truth, flat.
        tiles: Tiles of the test split as rows and columns, where ROC AUC was taken over them.
        seconds: From the session's first call to the scores.
        evaluation: Metrics of the server's own evaluation on the test split, if it made one.
    """

    method: Method
    scores: NDArray[np.float32]
    judged: NDArray[np.float32]
    truth: NDArray[np.bool_]
    tiles: list[Tile]
    seconds: float
    evaluation: dict[str, float]

    @property
    def auc(self) -> float:
        """Area under the ROC curve."""
        return roc_auc(self.judged, self.truth)

    def curve(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """False and true positive rates."""
        return roc_curve(self.judged, self.truth)


def expect(holds: bool, sentence: str) -> None:
    """Fail the demo with a sentence unless something holds."""
    if not holds:
        raise ExpectationError(sentence)


def upload(client: Client, scene: Path, configs: Path, console: Console) -> int:
    """Put the scene and the configs into the server's workspace; returns the bytes sent."""
    files = [(scene, f"data/{scene.name}")]
    for group in CONFIG_GROUPS:
        files += [(file, f"configs/{group}/{name}") for file, name in files_below(configs / group)]
    total = sum(file.stat().st_size for file, _ in files)
    with bars(console) as progress:
        task = progress.add_task("upload", total=total, note="")
        for file, path in files:
            progress.update(task, note=path)
            client.workspace.put(file, path)
            progress.advance(task, file.stat().st_size)
    return total


def train(session: Session, method: Method, console: Console) -> tuple[dict[str, Any], dict[str, float]]:
    """Resolve and set a method's trainrun and run its phases.

    Returns:
        The resolved config, and the metrics of the evaluation on the test split.
    """
    config = session.resolve("trainrun", method.trainrun, method.overrides)
    session.set_run_config(config)
    summary = RunSummary()
    for phase in method.phases:
        started = perf_counter()
        with TrainView(f"{method.title}: {phase}", console) as view:
            summary = view.follow(session.train(phase))
        expect(summary.complete, f"{method.title}: {phase} training ended as {summary.status}: {summary.message}")
        console.print(
            f"  [green]✓[/] {phase:<11} [dim]{perf_counter() - started:4.1f} s  {_told(summary)}[/]", highlight=False
        )
    if "gradient" in method.phases:
        skips = summary.calibration_skips()
        expect(not skips, f"{method.title}: calibration left something out: {'; '.join(skips)}")
        expect("test" in summary.evaluations, f"{method.title}: there was no evaluation on the test split")
    test = summary.evaluations.get("test")
    return config, dict(test.metrics) if test else {}


def _told(summary: RunSummary) -> str:
    """What a phase came to, short enough for one line."""
    parts = [f"fitted {', '.join(summary.nodes)}"] if summary.nodes else []
    losses = {"loss": "train_loss", "val loss": "val_loss"}
    parts += [f"{name} {summary.losses[key]:.2g}" for name, key in losses.items() if key in summary.losses]
    for split, evaluation in summary.evaluations.items():
        parts += [f"{split} F1 {value:.2f}" for name, value in evaluation.metrics.items() if name.endswith("f1_score")]
    return "  ".join(parts)


def run(session: Session, method: Method, scene: Scene, console: Console) -> Result:
    """Train a method and judge its scores."""
    started = perf_counter()
    config, evaluation = train(session, method, console)
    scores = infer(session, method, scene)
    judged, truth = scores, _truth(scene)
    tiles = test_tiles(config) if method.tiles else []
    if tiles:
        judged, truth = infer_tiles(session, method, scene, tiles), np.stack([truth[tile] for tile in tiles])
    result = Result(method, scores, judged.ravel(), truth.ravel(), tiles, perf_counter() - started, evaluation)
    low, high = method.auc_range
    expect(
        low <= result.auc <= high,
        f"{method.title}: ROC AUC over the {method.scope} is {result.auc:.4f}, expected {low} to {high}",
    )
    return result


def infer(session: Session, method: Method, scene: Scene) -> NDArray[np.float32]:
    """Scores of the whole scene, [H, W]."""
    found = session.infer(outputs=[method.output], **scene.inputs())
    return as_map(found.only(method.output)).astype(np.float32)


def infer_tiles(session: Session, method: Method, scene: Scene, tiles: list[Tile]) -> NDArray[np.float32]:
    """Scores of tiles, [N, h, w], sent as one batch."""
    whole = scene.inputs()
    cubes = np.stack([whole["cube"][0][tile] for tile in tiles])
    wavelengths = None if whole["wavelengths"] is None else np.repeat(whole["wavelengths"], len(tiles), axis=0)
    found = session.infer(outputs=[method.output], cube=cubes, wavelengths=wavelengths)
    return found.only(method.output)[..., 0]


def test_tiles(config: dict[str, Any]) -> list[Tile]:
    """Tiles of the test split, as rows and columns, from the data section of a trainrun."""
    params = config["data"]["params"]
    height, width = params["tile"]
    return [
        (slice(top, top + height), slice(left, left + width))
        for first_row, end_row, first_column, end_column in params["regions"]["test"]
        for top in range(first_row, end_row - height + 1, height)
        for left in range(first_column, end_column - width + 1, width)
    ]


def save(session: Session, method: Method) -> None:
    """Save pipeline, trainrun and weights on the server."""
    session.save_pipeline(f"demo/{method.key}.yaml")
    session.save_trainrun(method.saved_as, weights=True)


def check_restored(client: Client, result: Result, scene: Scene) -> None:
    """Restore a saved trainrun and check that it gives the same scores, bit by bit."""
    method = result.method
    with client.restore(method.saved_as, method.saved_as.replace(".yaml", "_pipeline.pt")) as session:
        again = infer(session, method, scene)
    expect(
        np.array_equal(again.view(np.uint32), result.scores.view(np.uint32)),
        f"{method.title}: the restored pipeline gives other scores; they differ by up to "
        f"{np.abs(again - result.scores).max():.3g}",
    )


def check_still_open(client: Client, session_id: str, result: Result, scene: Scene) -> None:
    """Check that a session still has its pipeline, weights and config."""
    session, method = client.attach(session_id), result.method
    again = infer(session, method, scene)
    expect(np.array_equal(again, result.scores), f"{method.title}: the open session gives other scores than before")
    before = client.workspace.read(method.saved_as)
    path = method.saved_as.replace(".yaml", "_again.yaml")
    session.save_trainrun(path, weights=False)
    after = client.workspace.read(path).replace(b"_again_pipeline", b"_pipeline")
    expect(after == before, f"{method.title}: the open session has another config than before")


def _truth(scene: Scene) -> NDArray[np.bool_]:
    if scene.mask is None:
        raise ExpectationError(f"the scene {scene.name} has no mask to judge by")
    return scene.mask != 0
