"""Nodes that weigh channels or pick bands."""

from swath.engine.nodes.channel_selector.indices import NDVISelector
from swath.engine.nodes.channel_selector.soft import SoftChannelSelector

__all__ = ["NDVISelector", "SoftChannelSelector"]
