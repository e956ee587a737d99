"""The fit of nodes that learn means and covariances."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor

from swath.engine.graph.roles import Fittable
from swath.engine.ops.statistics import Moments


class MomentsFit(Fittable):
    """A node whose fit takes the moments of all values at one input port, channel by channel.

    Attributes:
        fit_port: The input port; its last dimension is the channels.
        fit_covariance: Whether second moments between channels are computed, or those of each channel only.
        fit_min_rows: Minimum number of rows of a fit.
        fit_unit: Name of a row in messages.
    """

    fit_port: ClassVar[str] = "data"
    fit_covariance: ClassVar[bool] = False
    fit_min_rows: ClassVar[int] = 2
    fit_unit: ClassVar[str] = "pixel"

    def __init__(self) -> None:
        super().__init__()
        self.begin_fit()

    def begin_fit(self) -> None:
        self._moments = Moments(covariance=self.fit_covariance)

    def fit_batch(self, inputs: dict[str, Any]) -> None:
        values: Tensor = inputs[self.fit_port]
        self._moments.add(values.flatten(end_dim=-2))

    @torch.no_grad()
    def end_fit(self) -> None:
        moments = self._moments
        self.begin_fit()
        self.left_out = moments.left_out
        if moments.count < self.fit_min_rows:
            plural = "" if self.fit_min_rows == 1 else "s"
            raise self._too_few(f"{self.fit_min_rows} {self.fit_unit}{plural}", moments.count)
        self.learn(moments)
        self._done()

    @abstractmethod
    def learn(self, moments: Moments) -> None:
        """Set the statistics from the moments."""
