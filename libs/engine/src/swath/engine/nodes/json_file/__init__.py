"""Nodes that read and write detections and tracks as COCO JSON."""

from swath.engine.nodes.json_file.boxes import CocoTrackBBoxWriter, DetectionCocoJsonNode
from swath.engine.nodes.json_file.masks import CocoTrackMaskWriter
from swath.engine.nodes.json_file.readers import DetectionJsonReader, TrackingResultsReader

__all__ = [
    "CocoTrackBBoxWriter",
    "CocoTrackMaskWriter",
    "DetectionCocoJsonNode",
    "DetectionJsonReader",
    "TrackingResultsReader",
]
