"""A run as it is exported: what it was, what it measured, and the files that came of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple


class Measured(NamedTuple):
    """One value of a curve.

    Attributes:
        name: What was measured, such as "val_loss" or "metrics/iou".
        split: Part of the data that it was measured on: "train", "val" or "test".
        step: Optimizer steps that the run had done.
        epoch: Epoch, from 0.
        value: May be infinite, or not a number.
    """

    name: str
    split: str
    step: int
    epoch: int
    value: float

    @property
    def curve(self) -> str:
        """Name of the curve, which says what it was measured on: "val/metrics/iou"."""
        return f"{self.split}/{self.name.removeprefix(f'{self.split}/')}" if self.split else self.name


@dataclass(frozen=True)
class RunRecord:
    """A run.

    Attributes:
        facts: What identifies it and how it ended: "run_id", "experiment", "name", "state", and what else is known.
        began: Unix time in seconds at which it started to run; None for one that never did.
        ended: And at which it was over; None before.
        specification: The trainrun document that it ran.
        measured: All values, in the order in which they were measured.
        files: What is to be kept of it: paths on this machine, by the names that they are to have.
    """

    facts: Mapping[str, str]
    began: float | None
    ended: float | None
    specification: Mapping[str, Any]
    measured: Sequence[Measured]
    files: Mapping[str, Path]

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.facts["run_id"]

    def parameters(self) -> dict[str, str]:
        """Return the leaves of the specification by their paths: {"training.optimizer.lr": "0.001"}."""
        return dict(_leaves(self.specification, ""))


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    children: Iterator[tuple[str, Any]] | None = None
    if isinstance(value, Mapping) and value:
        children = ((str(key), child) for key, child in value.items())
    elif isinstance(value, list) and any(isinstance(each, Mapping | list) for each in value):
        children = ((str(index), child) for index, child in enumerate(value))
    if children is None:
        yield path, value if isinstance(value, str) else json.dumps(value)
        return
    for key, child in children:
        yield from _leaves(child, f"{path}.{key}" if path else key)
