"""Nodes that bring cubes to a common scale."""

from swath.engine.nodes.normalization.frames import SigmoidNormalizer, ZScoreNormalizer
from swath.engine.nodes.normalization.minmax import MinMaxNormalizer
from swath.engine.nodes.normalization.percentile import PercentileNormalizer
from swath.engine.nodes.normalization.values import (
    DisplayNormalizer,
    IdentityNormalizer,
    PerPixelUnitNorm,
    SigmoidTransform,
)

__all__ = [
    "DisplayNormalizer",
    "IdentityNormalizer",
    "MinMaxNormalizer",
    "PerPixelUnitNorm",
    "PercentileNormalizer",
    "SigmoidNormalizer",
    "SigmoidTransform",
    "ZScoreNormalizer",
]
