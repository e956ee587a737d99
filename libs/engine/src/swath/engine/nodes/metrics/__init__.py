"""Nodes that measure."""

from swath.engine.nodes.metrics.components import ComponentOrthogonalityMetric, ExplainedVarianceMetric
from swath.engine.nodes.metrics.detection import AnomalyDetectionMetrics
from swath.engine.nodes.metrics.maps import AnomalyPixelStatisticsMetric, DistinctLabelCount, ScoreStatisticsMetric
from swath.engine.nodes.metrics.selectors import SelectorDiversityMetric, SelectorEntropyMetric

__all__ = [
    "AnomalyDetectionMetrics",
    "AnomalyPixelStatisticsMetric",
    "ComponentOrthogonalityMetric",
    "DistinctLabelCount",
    "ExplainedVarianceMetric",
    "ScoreStatisticsMetric",
    "SelectorDiversityMetric",
    "SelectorEntropyMetric",
]
