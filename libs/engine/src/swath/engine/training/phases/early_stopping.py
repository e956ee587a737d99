"""Early stopping."""

from __future__ import annotations

import logging
import math
from typing import Any

from swath.documents import EarlyStoppingDocument
from swath.engine.training.reporting.values import missing_value

log = logging.getLogger(__name__)


class EarlyStopping:
    """Decides after each check of a monitored value whether to stop.

    Args:
        document: What is monitored and how.
        at_epoch_end: Whether to check at the end of training epochs rather than after validations, if the document
            leaves it open.
    """

    def __init__(self, document: EarlyStoppingDocument, *, at_epoch_end: bool) -> None:
        self._document = document
        chosen = document.check_on_train_epoch_end
        self.at_epoch_end = at_epoch_end if chosen is None else chosen
        self._best = -math.inf if document.mode == "max" else math.inf
        self._waited = 0

    @property
    def monitor(self) -> str:
        """Name of the monitored value."""
        return self._document.monitor

    def should_stop(self, values: dict[str, float]) -> bool:
        """Check the monitored value.

        Raises:
            InvalidInput: The run does not report it, and the document is strict.
        """
        document = self._document
        if document.monitor not in values:
            if document.strict:
                raise missing_value("training.callbacks.early_stopping.monitor", document.monitor, values)
            return False
        current = values[document.monitor]
        reason = self._reason(current)
        if reason and document.verbose:
            log.info("early stopping: %s = %.6g %s", document.monitor, current, reason)
        return bool(reason)

    def _reason(self, current: float) -> str:
        document = self._document
        if document.check_finite and not math.isfinite(current):
            return "is not finite"
        if document.stopping_threshold is not None and self._better(current, document.stopping_threshold):
            return f"has reached {document.stopping_threshold:g}"
        if document.divergence_threshold is not None and self._better(document.divergence_threshold, current):
            return f"is worse than {document.divergence_threshold:g}"
        margin = document.min_delta if document.mode == "max" else -document.min_delta
        if self._better(current - margin, self._best):
            self._best = current
            self._waited = 0
            return ""
        self._waited += 1
        return f"has not improved for {self._waited} checks" if self._waited >= document.patience else ""

    def _better(self, this: float, that: float) -> bool:
        return this > that if self._document.mode == "max" else this < that

    def state(self) -> dict[str, Any]:
        """Return what `restore` takes."""
        return {"best": self._best, "waited": self._waited}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a state."""
        self._best = float(state["best"])
        self._waited = int(state["waited"])
