"""Nodes that weigh channels, pick bands, or make pictures and indices of them."""

from swath.engine.nodes.channel_selector.bands import (
    CIRSelector,
    FixedWavelengthSelector,
    HighContrastSelector,
    TopKIndices,
)
from swath.engine.nodes.channel_selector.base import ChannelSelectorBase
from swath.engine.nodes.channel_selector.curves import (
    CameraEmulationFalseRGBSelector,
    CIETristimulusRGBSelector,
    FastRGBSelector,
    RangeAverageFalseRGBSelector,
)
from swath.engine.nodes.channel_selector.differences import (
    GNDVISelector,
    NBRSelector,
    NDRESelector,
    NDVISelector,
    NDWISelector,
    PRISelector,
)
from swath.engine.nodes.channel_selector.soft import SoftChannelSelector
from swath.engine.nodes.channel_selector.supervised import (
    SupervisedCIRSelector,
    SupervisedFullSpectrumSelector,
    SupervisedSelectorBase,
    SupervisedWindowedSelector,
)
from swath.engine.nodes.channel_selector.vegetation import (
    CIRedEdgeSelector,
    EVI2Selector,
    EVISelector,
    MCARISelector,
    MSAVISelector,
    SAVISelector,
)

__all__ = [
    "CIETristimulusRGBSelector",
    "CIRSelector",
    "CIRedEdgeSelector",
    "CameraEmulationFalseRGBSelector",
    "ChannelSelectorBase",
    "EVI2Selector",
    "EVISelector",
    "FastRGBSelector",
    "FixedWavelengthSelector",
    "GNDVISelector",
    "HighContrastSelector",
    "MCARISelector",
    "MSAVISelector",
    "NBRSelector",
    "NDRESelector",
    "NDVISelector",
    "NDWISelector",
    "PRISelector",
    "RangeAverageFalseRGBSelector",
    "SAVISelector",
    "SoftChannelSelector",
    "SupervisedCIRSelector",
    "SupervisedFullSpectrumSelector",
    "SupervisedSelectorBase",
    "SupervisedWindowedSelector",
    "TopKIndices",
]
