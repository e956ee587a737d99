"""The three detectors of the demo, and what is expected of each."""

from __future__ import annotations

from dataclasses import dataclass

TRAINRUNS = "demo/trainruns"


@dataclass(frozen=True, slots=True)
class Method:
    """One detector.

    Attributes:
        key: Short name, for paths.
        title: Name for people.
        trainrun: Config below ``configs/trainrun``.
        overrides: Hydra overrides that the demo sets.
        phases: Training phases, in order.
        output: ``node.port`` of the score map.
        tiles: Whether ROC AUC is taken over the test tiles alone; over the whole scene otherwise.
        auc_range: Lowest and highest ROC AUC that is accepted.
    """

    key: str
    title: str
    trainrun: str
    overrides: tuple[str, ...]
    phases: tuple[str, ...]
    output: str
    tiles: bool
    auc_range: tuple[float, float]

    @property
    def scope(self) -> str:
        """What ROC AUC is taken over."""
        return "test tiles" if self.tiles else "whole scene"

    @property
    def saved_as(self) -> str:
        """Where the trainrun is saved in the server's workspace."""
        return f"{TRAINRUNS}/{self.key}.yaml"


METHODS = (
    Method(
        key="rx",
        title="Global RX",
        trainrun="san_diego_rx",
        overrides=("data.batch_size=1", "pipeline.nodes.rx.hparams.eps=1e-6"),
        phases=("statistical",),
        output="rx.scores",
        tiles=False,
        auc_range=(0.939, 0.941),
    ),
    Method(
        key="channel_selector",
        title="Channel selector",
        trainrun="san_diego_channel_selector",
        overrides=(),
        phases=("statistical", "gradient"),
        output="rx.scores",
        tiles=True,
        auc_range=(0.95, 1.0),
    ),
    Method(
        key="deep_svdd",
        title="Deep SVDD",
        trainrun="san_diego_deep_svdd",
        overrides=(),
        phases=("statistical", "gradient"),
        output="scores.scores",
        tiles=True,
        auc_range=(0.96, 1.0),
    ),
)
