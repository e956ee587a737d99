"""Values measured by a gradient phase, by the names that monitors and clients use."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from swath.engine.graph.ports import Stage
from swath.errors import InvalidInput

_PREFIXES = tuple(f"{stage}{mark}" for stage in (Stage.TRAIN, Stage.VAL, Stage.TEST) for mark in "_/")


class Values:
    """Latest values by name.

    ``train_loss`` and ``train/<loss node>`` are those of the latest batch during an epoch, and means over its frames at
    its end and after a validation. ``val_loss``, ``val/<loss node>`` and ``<metric node>/<metric>`` are those of the
    latest validation, ``lr-<Optimizer>`` those of the latest measurement.

    Attributes:
        known: All of them.
        batch_loss: Loss of the latest training batch.
    """

    def __init__(self) -> None:
        self.known: dict[str, float] = {}
        self.batch_loss = 0.0
        self._sums: dict[str, float] = {}
        self._frames = 0

    def begin_epoch(self) -> None:
        """Reset the means."""
        self._sums = {}
        self._frames = 0

    def add_train(self, losses: Sequence[float], names: Sequence[str], frames: int) -> None:
        """Add the loss of a training batch and its named parts."""
        self.batch_loss = losses[0]
        self._frames += frames
        for key, value in zip(("train_loss", *(f"train/{name}" for name in names)), losses, strict=True):
            self.known[key] = value
            self._sums[key] = self._sums.get(key, 0.0) + value * frames

    def pool_train(self) -> None:
        """Replace the values of the latest batch by the means of the epoch so far."""
        for key, total in self._sums.items():
            self.known[key] = total / max(self._frames, 1)

    def losses(self) -> dict[str, float]:
        """Return the values with "loss" in their name, under their full names."""
        return {key: value for key, value in self.known.items() if "loss" in key.lower()}

    def metrics(self, stage: Stage) -> dict[str, float]:
        """Return all other values, without stage prefixes; the given stage's where several stages have a name."""
        found: dict[str, float] = {}
        for key, value in self.known.items():
            own, name = _metric_name(key)
            if name and (name not in found or own == stage):
                found[name] = value
        return found

    def state(self) -> dict[str, Any]:
        """Return what `restore` takes."""
        return {"known": dict(self.known), "batch": self.batch_loss, "sums": dict(self._sums), "frames": self._frames}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a state."""
        self.known, self._sums = dict(state["known"]), dict(state["sums"])
        self.batch_loss, self._frames = state["batch"], state["frames"]


def missing_value(field: str, name: str, values: dict[str, float]) -> InvalidInput:
    """Return the error for a monitored value that the run does not report."""
    known = ", ".join(sorted(values)) or "none yet"
    return InvalidInput(
        f"{field} '{name}' is not among the values that this run reports: {known}. A metric is missing where the "
        "ground truth does not define it, as where no pixel of the val split is anomalous"
    )


@cache
def _metric_name(key: str) -> tuple[str, str]:
    """Return stage and name of a metric, without its stage prefix; no name for a loss."""
    if "loss" in key.lower():
        return "", ""
    prefix = next((prefix for prefix in _PREFIXES if key.startswith(prefix)), "")
    return prefix[:-1], key[len(prefix) :]
