"""Classes of pixels that are normal or anomalous."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


class AnomalousClasses:
    """Which classes are anomalous: those listed as such, or all that are not listed as normal.

    Args:
        normal_class_ids: Classes that are normal; all others are anomalous.
        anomaly_class_ids: Classes that are anomalous; all others are normal. Wins over the former.

    Raises:
        ValueError: A class is in both.
    """

    def __init__(self, normal_class_ids: Iterable[int], anomaly_class_ids: Iterable[int] | None) -> None:
        normal = [int(value) for value in normal_class_ids]
        anomalous = None if anomaly_class_ids is None else [int(value) for value in anomaly_class_ids]
        both = set(normal) & set(anomalous or ())
        if both:
            raise ValueError(f"classes {sorted(both)} are both in normal_class_ids and anomaly_class_ids")
        self._listed = normal if anomalous is None else anomalous
        self._normal = anomalous is None

    def __call__(self, classes: Tensor) -> Tensor:
        """Return whether each pixel is anomalous, as bool of the same shape."""
        found = torch.zeros_like(classes, dtype=torch.bool)
        for value in self._listed:
            found |= classes == value
        return ~found if self._normal else found
