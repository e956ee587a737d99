"""Pictures of what a detector found: for monitors, and for videos."""

from swath.engine.nodes.anomaly_visualization.maps import (
    ChannelSelectorFalseRGBViz,
    ChannelWeightsViz,
    ScoreHeatmapVisualizer,
)
from swath.engine.nodes.anomaly_visualization.masks import AnomalyMask, RGBAnomalyMask
from swath.engine.nodes.anomaly_visualization.overlays import (
    BBoxesOverlayNode,
    MaskOverlayNode,
    TrackingOverlayNode,
    TrackingPointerOverlayNode,
)

__all__ = [
    "AnomalyMask",
    "BBoxesOverlayNode",
    "ChannelSelectorFalseRGBViz",
    "ChannelWeightsViz",
    "MaskOverlayNode",
    "RGBAnomalyMask",
    "ScoreHeatmapVisualizer",
    "TrackingOverlayNode",
    "TrackingPointerOverlayNode",
]
