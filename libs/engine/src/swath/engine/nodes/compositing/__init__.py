"""Nodes that put pictures together."""

from swath.engine.nodes.compositing.captions import LegendStrip, TitleOverlay
from swath.engine.nodes.compositing.layout import ImageConcatenator, InsetComposer, ROIZoomNode
from swath.engine.nodes.compositing.overlay import LabelOverlay

__all__ = ["ImageConcatenator", "InsetComposer", "LabelOverlay", "LegendStrip", "ROIZoomNode", "TitleOverlay"]
