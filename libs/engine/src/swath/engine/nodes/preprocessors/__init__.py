"""Nodes that prepare cubes and pictures."""

from swath.engine.nodes.preprocessors.bands import BandpassByWavelength
from swath.engine.nodes.preprocessors.boxes import BBoxRoiCropNode
from swath.engine.nodes.preprocessors.pictures import ChannelNormalizeNode, SpatialRotateNode
from swath.engine.nodes.preprocessors.validity import SaturatedPixelDetector, SpectralValidity

__all__ = [
    "BBoxRoiCropNode",
    "BandpassByWavelength",
    "ChannelNormalizeNode",
    "SaturatedPixelDetector",
    "SpatialRotateNode",
    "SpectralValidity",
]
