"""The adapter of a decider of the reference package's base class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from swath.engine.graph.roles import Decider
from swath.engine.plugins.adapted import Adapted
from swath.engine.plugins.reference_specs import plain

_MISSING = object()


class AdaptedDecider(Adapted, Decider):
    """One whose thresholds are calibrated on labelled data."""

    score_port = "logits"

    _moved: tuple[str, ...] | None = None

    @property
    def threshold_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """The hparams that the last calibration set; before one, those that are thresholds or quantiles by name."""
        if self._moved is not None:
            return self._moved
        return tuple(name for name in self.hparams if "threshold" in name or "quantile" in name)

    @property
    def placed(self) -> bool:
        own = getattr(self.inner, "is_calibrated", None)
        if own is not None:
            return bool(own)
        return all(self.hparams.get(name) is not None for name in self.threshold_names[:1])

    def calibrate(self, scores: list[Tensor], masks: list[Tensor]) -> dict[str, float] | None:
        targets = torch.cat([mask if mask.dim() == 4 else mask.unsqueeze(-1) for mask in masks])
        before = dict(self.hparams)
        mirrored = [name for name in before if self._attribute(name) == before[name]]
        report = self.inner.calibrate(torch.cat(scores), targets)
        self.state_changed()
        if report is None:
            return None
        self._note_hparams()
        # The pipeline's document is what carries thresholds, also those that a class keeps in attributes alone.
        changed = {name: self._attribute(name) for name in mirrored}
        changed |= {name: item["new"] for name, item in report.items() if name in before and _is_change(item)}
        self.hparams |= {name: plain(value) for name, value in changed.items() if self.hparams[name] == before[name]}
        own = getattr(self.inner, "hparams", None)
        if isinstance(own, dict):
            own |= {name: self.hparams[name] for name in changed}
        self.__dict__["_moved"] = tuple(
            name
            for name, value in self.hparams.items()
            if _is_number(value) and (value != before.get(name) or _is_change(report.get(name)))
        )
        return {str(key): float(value) for key, value in report.items() if _is_number(value)}

    def _attribute(self, name: str) -> Any:
        """Return the module's attribute of a name if it is a number or None."""
        value = getattr(self.inner, name, _MISSING)
        return value if value is None or _is_number(value) else _MISSING


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_change(item: Any) -> bool:
    """Whether an entry of a calibration's report is that of a threshold, before and after."""
    return isinstance(item, Mapping) and "new" in item
