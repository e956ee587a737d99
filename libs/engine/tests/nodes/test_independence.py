"""Every node of the registry that runs at inference keeps what its independence says, with invalid pixels too.

`FRAME`: items computed together are those computed alone. `PIXEL`: and rows of pixels are too. `BATCH`: says why.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from swath.engine.graph import registry
from swath.engine.graph.independence import Independence
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Stage
from swath.engine.nodes.channel_selector.base import ChannelSelectorBase

from .spoiling import HPARAMS, build, fitted, make_inputs, pixel_ports, spoil

SHAPE = (5, 6, 7, 8)
PARTS = {0: (slice(0, 1), slice(1, 2), slice(2, 5)), 1: (slice(0, 1), slice(1, 4), slice(4, 6))}

BATCH = {
    "BBoxPrompt": "one frame at a time",
    "BBoxRoiCropNode": "its output has a row for each box of the batch",
    "BBoxesOverlayNode": "one frame at a time",
    "BlobDetector": "boxes are filled up to the most that a frame of the batch has",
    "ClassMapAccumulator": "stateful",
    "CocoTrackBBoxWriter": "writes a file",
    "CocoTrackMaskWriter": "writes a file",
    "DetectionCocoJsonNode": "writes a file",
    "DetectionJsonReader": "reads frame after frame",
    "DistinctLabelCount": "a list of measurements",
    "FastRGBSelector": "band_info lists the factor of each frame",
    "GridStitcher": "its items are tiles of one map",
    "HighContrastSelector": "the bands are those of the first frame",
    "ImageTiler": "its items are tiles of one map",
    "MajorityVoteByBlob": "one frame at a time",
    "MaskPrompt": "one frame at a time",
    "MaskToBBoxKalman": "stateful",
    "NpyReader": "reads by the number of one frame",
    "NumpyFeatureWriterNode": "writes a file",
    "PCA": "its components are those of the last frame",
    "PatchSampler": "its output has a row for each pixel of the batch",
    "PngWriter": "writes a file",
    "PointPrompt": "one frame at a time",
    "PoissonCubeOcclusionNode": "one frame at a time",
    "PoissonOcclusionNode": "one frame at a time",
    "SignaturesToReferences": "one frame at a time",
    "SolidOcclusionNode": "one frame at a time",
    "SpectralSignatureExtractor": "one frame at a time",
    "TextPrompt": "one frame at a time",
    "ToImage": "writes files",
    "ToVideoNode": "writes a file",
    "TrackingOverlayNode": "one frame at a time",
    "TrackingPointerOverlayNode": "one frame at a time",
    "TrackingResultsReader": "reads frame after frame",
}
"""Why a node is left at `BATCH`."""

OPTIONS: dict[str, list[dict[str, Any]]] = {
    "CIRSelector": [{"norm_mode": "statistical"}, {"normalize_output": False}],
    "ConcreteChannelMixer": [{"use_hard_inference": False}],
    "DecisionFusion": [{"mode": "first"}, {"mode": "all"}],
    "FixedWavelengthSelector": [{"target_wavelengths": [500, 600], "normalize_output": False}],
    "LearnableChannelMixer": [
        {"output_channels": 3, "inference_normalization": "per_frame_minmax"},
        {"output_channels": 3, "inference_normalization": "sigmoid_only", "reduction_scheme": [8, 4, 3]},
        {"output_channels": 3, "normalize_output": False},
    ],
    "MinMaxNormalizer": [{}],
    "PercentileNormalizer": [{"norm_mode": "statistical"}],
    "QuantileBinaryDecider": [{"reduce_dims": [3]}, {"reduce_dims": [1, 3]}],
    "ScoreMapFusion": [{"mode": "first"}, {"mode": "gmean"}],
    "ScoreMapSmoothing": [{"sigma_px": 0.0}, {"sigma_px": 1.0}],
    "ScoreMapSuppression": [{"erode_px": 0}],
    "SoftChannelSelector": [{"n_select": 2, "hard": True}],
    "SpectralObjectMask": [{"threshold": "otsu", "stride": 1}],
    "TrainablePCA": [{"n_components": 2, "whiten": True}],
    "ZScoreNormalizer": [{"dims": [3]}, {"dims": [1]}],
}
"""Further arguments of nodes, on which the independence or the path through the node depends."""

ARGUMENTS: dict[str, dict[str, Any]] = {
    "BBoxSpectralExtractor": {"min_crop_pixels": 1},
    "InsetComposer": {"margin_px": 0, "border_px": 1},
    "MaskMinArea": {"min_area": 3, "cell": 1},
    "SpectrumPlotNode": {
        "wavelengths": list(range(400, 408)),
        "reference_wavelengths": list(range(400, 408)),
        "plot_width": 96,
        "plot_height": 64,
        "dpi": 40,
        "tracked_hold_frames": 0,
    },
    "SpectraPlot": {"plot_width": 96, "plot_height": 64, "dpi": 40},
    "TopKIndices": {"k": 3},
}

ROUNDED = {
    "CIETristimulusRGBSelector",
    "CIRSelector",
    "CameraEmulationFalseRGBSelector",
    "ConcreteChannelMixer",
    "ContinuumRemoval",
    "DeepSVDDProjection",
    "DeepSVDDScores",
    "DisplayNormalizer",
    "FixedPCAProjection",
    "FixedWavelengthSelector",
    "GaussianMixtureClusterer",
    "KMeansClusterer",
    "LADGlobal",
    "LearnableChannelMixer",
    "Logarithm",
    "NMFUnmixing",
    "NNLSUnmixing",
    "OneClassSVMDetector",
    "PerPixelUnitNorm",
    "RXGlobal",
    "RXPerBatch",
    "RangeAverageFalseRGBSelector",
    "SNVCorrection",
    "ScoreMapFusion",
    "ScoreMapSmoothing",
    "SigmoidNormalizer",
    "SigmoidTransform",
    "SpectralAngleMapper",
    "SpectralObjectMask",
    "SupervisedCIRSelector",
    "SupervisedFullSpectrumSelector",
    "SupervisedWindowedSelector",
    "TrainablePCA",
    "ZScoreNormalizer",
}
"""Nodes with sums, products of matrices or powers, whose kernels round by the number of rows; all others are exact."""

TOLERANCE = 2e-6
"""How far those go apart in float32, relative and absolute."""


def _inputs(name: str, generator: torch.Generator) -> dict[str, Any] | None:
    """Return inputs of nodes that those of the spoiling do not fit."""
    if name == "InsetComposer":
        return {
            "base": torch.rand(*SHAPE[:3], 3, generator=generator),
            "inset": torch.rand(5, 2, 3, 3, generator=generator),
        }
    if name == "ChannelNormalizeNode":
        return {"images": torch.rand(5, 3, 6, 7, generator=generator)}
    if name == "SpectrumPlotNode":
        spectra = torch.rand(5, 8, generator=generator)
        return {"tracked_spectrum": spectra, "reference_spectrum": torch.rand(1, 1, 1, 8, generator=generator)}
    if name == "SpectraPlot":
        return {"signatures": torch.rand(5, 2, 8, generator=generator), "wavelengths": torch.arange(400, 408)}
    return None


def _nodes() -> dict[str, type[Node]]:
    return {name: cls for name, cls in registry.classes().items() if Stage.INFERENCE in cls.stages}


def _arguments(name: str) -> dict[str, Any]:
    if issubclass(_nodes()[name], ChannelSelectorBase):
        return {"norm_mode": "per_frame"}  # with running bounds it is stateful, and never joined
    return ARGUMENTS.get(name, HPARAMS.get(name, {}))


CASES = [
    (name, hparams)
    for name in sorted(_nodes().keys() - BATCH.keys())
    for hparams in (_arguments(name), *OPTIONS.get(name, []))
]
SPOILT = [
    (name, hparams)
    for name, hparams in CASES
    if pixel_ports(_nodes()[name]) and _inputs(name, torch.Generator()) is None
]


@pytest.fixture
def make(tmp_path: Any) -> Callable[[str, dict[str, Any]], tuple[Node, dict[str, Any]]]:
    """A node of a class and with arguments, fitted where it can be, and inputs for it."""

    def make(name: str, hparams: dict[str, Any]) -> tuple[Node, dict[str, Any]]:
        if name == "FixedPCAProjection":
            rng = np.random.default_rng(0)
            path = tmp_path / "projection.npz"
            np.savez(path, mean=np.zeros(8), comps=rng.random((2, 8)), lo=np.zeros(2), hi=np.ones(2) * 8)
            hparams = {"projection_path": str(path)} | hparams
        generator = torch.Generator().manual_seed(7)
        node = build(name, SHAPE[-1], hparams)
        inputs = _inputs(name, generator) or make_inputs(type(node), SHAPE)
        fitted(node, inputs)
        # Frames of different brightness and contrast: what one takes from another shows.
        for frame in range(SHAPE[0]):
            for port, value in inputs.items():
                for each in value if isinstance(value, list) else [value]:
                    if not node.inputs[port].common and each.is_floating_point() and each.dim() == 4:
                        each[frame] = each[frame] ** (1 + frame) * (1 + 0.1 * frame)
        return node, inputs

    return make


def _part(node: Node, inputs: dict[str, Any], part: slice, dim: int) -> dict[str, Any]:
    def cut(port: str, value: Any) -> Any:
        if isinstance(value, list):
            return [cut(port, each) for each in value]
        if node.inputs[port].common or (dim == 1 and value.dim() < 3):
            return value
        return value[(slice(None),) * dim + (part,)]

    return {port: cut(port, value) for port, value in inputs.items()}


def _assert_joined(node: Node, inputs: dict[str, Any], dim: int) -> None:
    whole = node.forward(**inputs)
    parts = [node.forward(**_part(node, inputs, part, dim)) for part in PARTS[dim]]
    assert whole
    for port, value in whole.items():
        shared = node.outputs[port].common or (isinstance(value, Tensor) and dim == 1 and value.dim() < 3)
        if shared and not isinstance(value, Tensor):
            assert all(part[port] == value for part in parts), port
            continue
        assert isinstance(value, Tensor), f"{port}: {type(value).__name__} can neither be cut nor shared"
        joined = parts[0][port] if shared else torch.cat([part[port] for part in parts], dim)
        near = TOLERANCE if type(node).__name__ in ROUNDED and value.is_floating_point() else 0
        torch.testing.assert_close(
            joined, value, rtol=near, atol=near, equal_nan=True, msg=lambda text, p=port: f"{p}: {text}"
        )


def _spoilt(node: Node, inputs: dict[str, Any]) -> dict[str, Any]:
    """Make pixels of two frames invalid, and all of a third; two stay as they are."""
    chosen = torch.zeros(SHAPE[:3], dtype=torch.bool)
    chosen[1, 0, 0] = chosen[1, 2, 3] = chosen[4, 1, 1] = True
    chosen[4, 5] = True
    chosen[3] = True
    return spoil(type(node), inputs, chosen, every_band=False)


def _assert_independent(node: Node, inputs: dict[str, Any]) -> None:
    assert not node.stateful
    assert node.independence >= Independence.FRAME
    _assert_joined(node, inputs, dim=0)
    if node.independence is Independence.PIXEL:
        _assert_joined(node, inputs, dim=1)


@pytest.mark.parametrize(("name", "hparams"), CASES)
def test_parts_computed_together_are_those_computed_apart(make, name: str, hparams: dict[str, Any]) -> None:
    _assert_independent(*make(name, hparams))


@pytest.mark.parametrize(("name", "hparams"), SPOILT)
def test_invalid_pixels_of_one_part_change_no_other(make, name: str, hparams: dict[str, Any]) -> None:
    node, inputs = make(name, hparams)
    _assert_independent(node, _spoilt(node, inputs))


@pytest.mark.parametrize("name", sorted(BATCH))
def test_a_node_with_a_reason_says_nothing_else(name: str) -> None:
    declared = _nodes()[name].independence
    # The constructor of this one takes back what its base class says.
    assert declared is Independence.BATCH or name == "HighContrastSelector"


@pytest.mark.parametrize(
    ("name", "hparams", "expected"),
    [
        ("MinMaxNormalizer", {}, Independence.PIXEL),
        ("MinMaxNormalizer", {"use_running_stats": False}, Independence.FRAME),
        ("ZScoreNormalizer", {}, Independence.FRAME),
        ("ZScoreNormalizer", {"dims": [-1]}, Independence.PIXEL),
        ("ZScoreNormalizer", {"dims": [0, 1, 2]}, Independence.BATCH),
        ("QuantileBinaryDecider", {"reduce_dims": [0, 1, 2]}, Independence.BATCH),
        ("PercentileNormalizer", {"norm_mode": "statistical"}, Independence.PIXEL),
        ("PercentileNormalizer", {"norm_mode": "per_frame"}, Independence.FRAME),
        ("HighContrastSelector", {"norm_mode": "per_frame"}, Independence.BATCH),
        ("CIRSelector", {"norm_mode": "per_frame"}, Independence.FRAME),
        ("CIRSelector", {"normalize_output": False}, Independence.PIXEL),
        ("ScoreMapFusion", {"mode": "first"}, Independence.FRAME),
        ("ScoreMapFusion", {}, Independence.PIXEL),
    ],
)
def test_arguments_decide_where_they_do(name: str, hparams: dict[str, Any], expected: Independence) -> None:
    assert build(name, 8, hparams).independence is expected
