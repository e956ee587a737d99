"""Inputs for any node of the registry, and invalid pixels in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from swath.engine.graph import registry
from swath.engine.graph.context import Context
from swath.engine.graph.node import Node
from swath.engine.graph.ports import ANY, Port, Stage
from swath.engine.graph.roles import Fittable

SHAPES = [(2, 6, 7, 8), (1, 11, 20, 189)]

HPARAMS: dict[str, dict[str, Any]] = {
    "AnomalyDataNode": {"normal_class_ids": [0]},
    "LentilsAnomalyDataNode": {"normal_class_ids": [0]},
    "PatchSampler": {"patch_size": 3},
    "BandpassByWavelength": {"min_wavelength_nm": 500},
    "BinaryAnomalyLabelMapper": {"normal_class_ids": [0]},
    "AnomalyMask": {"channel": 0},
    "FrameScoreGate": {"threshold": 0.1},
    "GaussianMixtureClusterer": {"reg_covar": 1e-3, "max_iter": 300},
    "LegendStrip": {"entries": [["a", [255, 0, 0]]]},
    "MinMaxNormalizer": {"use_running_stats": False},
    "MultiRangeSlicer": {"edges": [0.5, 1.0]},
    "PCA": {"n_components": 2},
    "PercentileNormalizer": {"norm_mode": "per_frame", "per_frame_quantiles": True},
    "RXPerBatch": {"eps": 1e-3},
    "SoftChannelSelector": {"n_select": 2, "init_method": "variance"},
    "TrainablePCA": {"n_components": 2},
    "TwoStageBinaryDecider": {"quantile": 0.7},
    "QuantileBinaryDecider": {"quantile": 0.7},
    "LearnableChannelMixer": {"output_channels": 3, "init_method": "pca"},
}
FITS: dict[str, dict[str, Any]] = {
    "MinMaxNormalizer": {},
    "PercentileNormalizer": {"norm_mode": "statistical"},
}
"""Arguments that give a node something to fit."""

CHANNELS = ("num_channels", "input_channels", "in_channels", "n_channels", "num_spectral_bands", "rep_dim")

AROUND = {
    "BBoxRoiCropNode",
    "BlobDetector",
    "MaskBlobFilter",
    "MaskPeakGate",
    "PatchSampler",
    "ScoreMapSmoothing",
    "ScoreMapSuppression",
    "ScoreUpsample",
    "SpectralObjectMask",
    "HighContrastSelector",
}
"""Nodes that look at pixels around, so that a pixel's output is no function of it and of statistics."""

MOVED = {"SpatialRotateNode", "GridSubsample"}
"""Nodes that give a pixel another place."""

ONE_CHANNEL = {"BinaryDecider", "QuantileBinaryDecider"}

ELSEWHERE = {
    "ChannelNormalizeNode",  # [N, C, H, W], value by value
    "SpectrumPlotNode",  # spectra
    "FixedPCAProjection",
    "PngWriter",
    "PoissonCubeOcclusionNode",
    "PoissonOcclusionNode",
    "SolidOcclusionNode",
    "ToImage",
    "ToVideoNode",
}
"""Nodes without pixels, and those that read or write a file: see the tests below and those of their own."""


def pixel_ports(cls: type[Node]) -> list[str]:
    return [
        name
        for name, port in cls.inputs.items()
        if port.dtype in (torch.float32, ANY) and len(port.shape) == 4 and name not in cls.spectra
    ]


CLASSES = {name: cls for name, cls in registry.classes().items() if pixel_ports(cls) and name not in ELSEWHERE}


def build(name: str, channels: int, hparams: dict[str, Any] | None = None) -> Node:
    cls = registry.classes()[name]
    given = dict(HPARAMS.get(name, {}) if hparams is None else hparams)
    accepted = cls.parameters_accepted()
    given |= {key: channels for key in CHANNELS if key in accepted}
    torch.manual_seed(0)
    return cls(**given).eval()


def _value(name: str, port: Port, shape: tuple[int, ...], generator: torch.Generator) -> Any:
    frames, height, width, channels = shape
    if "wavelengths" in name:
        nm = torch.linspace(410, 910, channels)
        return nm.expand(frames, -1).contiguous() if len(port.shape) == 2 else nm
    if name == "bboxes":
        return torch.tensor([[1.0, 1.0, 5.0, 4.0]]).expand(frames, 1, 4).contiguous()
    if name == "bbox":
        return torch.tensor([[1.0, 1.0, 5.0, 4.0]]).expand(frames, 4).contiguous()
    if name == "spectral_signature":
        return torch.rand(2, 1, 1, channels, generator=generator) + 0.5
    if name == "reference_spectrum":
        return torch.rand(1, 1, 1, channels, generator=generator)
    if name == "endmembers":
        return torch.rand(3, channels, generator=generator) + 0.1
    if name in ("center", "weights"):
        return torch.rand(channels, generator=generator)
    if name == "tracked_spectrum":
        return torch.rand(frames, channels, generator=generator)
    if name == "category_ids":
        return torch.zeros(frames, 1, dtype=torch.int64)
    last = port.shape[-1] if len(port.shape) == 4 else None
    size = (frames, height, width) if last is None else (frames, height, width, last if last in (1, 3) else channels)
    if port.dtype is torch.bool:
        return torch.rand(size, generator=generator) > 0.6
    if port.dtype in (torch.int32, torch.int64):
        return torch.randint(0, 2, size, generator=generator).to(port.dtype)
    base = torch.rand(size, generator=generator) + 0.2
    return base * (1 + torch.arange(base.shape[-1]) / base.shape[-1])


def make_inputs(cls: type[Node], shape: tuple[int, ...], seed: int = 1) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(seed)
    given: dict[str, Any] = {}
    for name, port in cls.inputs.items():
        labels = name == "mask" and ("Supervised" in cls.__name__ or cls.category == "visualizer")
        if port.optional and not labels and name not in pixel_ports(cls):
            continue
        value = _value(name, port, (*shape[:3], 1) if cls.__name__ in ONE_CHANNEL else shape, generator)
        given[name] = [value, _value(name, port, shape, generator)] if port.variadic else value
    return given


def some_pixels(shape: tuple[int, ...]) -> Tensor:
    """Return some pixels, bool [B, H, W]: single ones, and a row of the last frame."""
    chosen = torch.zeros(shape[:3], dtype=torch.bool)
    chosen[0, 0, 0] = chosen[0, 2, 3] = chosen[0, 4, 1] = True
    chosen[-1, 5] = True
    return chosen


def spoil(cls: type[Node], inputs: dict[str, Any], chosen: Tensor, *, every_band: bool) -> dict[str, Any]:
    """Put NaN and infinities into the chosen pixels: in every band, or in one band of each."""
    values = (torch.nan, torch.inf, -torch.inf)

    def each(value: Tensor) -> Tensor:
        spoilt = value.clone()
        for index, (frame, row, column) in enumerate(chosen.nonzero().tolist()):
            band = slice(None) if every_band else index % value.shape[-1]
            spoilt[frame, row, column, band] = values[index % 3]
        return spoilt

    return {
        name: ([each(one) for one in value] if isinstance(value, list) else each(value))
        if name in pixel_ports(cls)
        else value
        for name, value in inputs.items()
    }


def compact(inputs: dict[str, Any], valid: Tensor) -> dict[str, Any]:
    """Return the inputs with valid pixels only, as pictures of one column."""

    def rows_of(value: Any) -> Any:
        if isinstance(value, list):
            return [rows_of(each) for each in value]
        if not isinstance(value, Tensor) or value.shape[:3] != valid.shape:
            return value
        rows = value[valid]
        return rows.reshape(1, len(rows), 1, *rows.shape[1:])

    return {name: rows_of(value) for name, value in inputs.items()}


def one_frame(cls: type[Node], inputs: dict[str, Any], index: int) -> dict[str, Any]:
    def of_frame(value: Any) -> Any:
        if isinstance(value, list):
            return [of_frame(each) for each in value]
        return value[index : index + 1] if isinstance(value, Tensor) and value.dim() >= 3 else value

    return {name: value if name in cls.spectra else of_frame(value) for name, value in inputs.items()}


def fitted(node: Node, inputs: dict[str, Any]) -> Node:
    if isinstance(node, Fittable) and node.needs_fit():
        node.begin_fit()
        node.fit_batch(inputs)
        node.end_fit()
    return node


def context_of(cls: type[Node]) -> Context:
    return Context(Stage.INFERENCE if Stage.INFERENCE in cls.stages else Stage.VAL)


def shape_for(cls: type[Node], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a batch for a node, some of which take one frame at a time."""
    single = any(port.shape[:1] == (1,) and len(port.shape) > 1 for port in cls.inputs.values())
    # Bounds of supervised selectors are the widest of those of frames.
    return (1, *shape[1:]) if single or "Supervised" in cls.__name__ else shape


def maps_of(node: Node, outputs: dict[str, Any], shape: tuple[int, ...]) -> Iterator[tuple[str, Tensor]]:
    for name, value in outputs.items():
        if isinstance(value, Tensor) and len(node.outputs[name].shape) >= 3 and value.shape[:3] == shape[:3]:
            yield name, value


def assert_close(found: Any, expected: Any) -> None:
    torch.testing.assert_close(found, expected, rtol=2e-4, atol=2e-4, equal_nan=True)
