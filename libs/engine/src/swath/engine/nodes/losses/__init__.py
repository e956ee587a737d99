"""Losses: scalars that gradient training makes small."""

from swath.engine.nodes.losses.anomaly import AnomalyBCEWithLogits, DeepSVDDSoftBoundaryLoss
from swath.engine.nodes.losses.contrast import ForegroundContrastLoss
from swath.engine.nodes.losses.reconstruction import MSEReconstructionLoss, OrthogonalityLoss
from swath.engine.nodes.losses.segmentation import CrossEntropyLoss, DiceLoss, IoULoss
from swath.engine.nodes.losses.selectors import (
    DistinctnessLoss,
    SelectorDiversityRegularizer,
    SelectorEntropyRegularizer,
)

__all__ = [
    "AnomalyBCEWithLogits",
    "CrossEntropyLoss",
    "DeepSVDDSoftBoundaryLoss",
    "DiceLoss",
    "DistinctnessLoss",
    "ForegroundContrastLoss",
    "IoULoss",
    "MSEReconstructionLoss",
    "OrthogonalityLoss",
    "SelectorDiversityRegularizer",
    "SelectorEntropyRegularizer",
]
