"""Nodes that clean masks, weigh their blobs and join them."""

from swath.engine.nodes.mask_ops.blobs import MaskBlobFilter, MaskBlobGate, MaskMinArea, MaskPeakGate
from swath.engine.nodes.mask_ops.labels import LabelOffset, MajorityVoteByBlob, MaskComposite
from swath.engine.nodes.mask_ops.robust import ClassMapRobustifier, MaskRobustifier, NearestLabelFill
from swath.engine.nodes.mask_ops.suppression import ScoreMapSuppression
from swath.engine.nodes.mask_ops.tracking import MaskToBBoxKalman

__all__ = [
    "ClassMapRobustifier",
    "LabelOffset",
    "MajorityVoteByBlob",
    "MaskBlobFilter",
    "MaskBlobGate",
    "MaskComposite",
    "MaskMinArea",
    "MaskPeakGate",
    "MaskRobustifier",
    "MaskToBBoxKalman",
    "NearestLabelFill",
    "ScoreMapSuppression",
]
