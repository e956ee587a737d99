"""Nodes that make few channels of many."""

from swath.engine.nodes.dimensionality_reduction.fixed import FixedPCAProjection
from swath.engine.nodes.dimensionality_reduction.pca import PCA, TrainablePCA

__all__ = ["PCA", "FixedPCAProjection", "TrainablePCA"]
