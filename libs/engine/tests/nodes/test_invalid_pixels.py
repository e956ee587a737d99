"""Every node of the registry with pixels that are not finite: left out of fits and statistics, marked in outputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from swath.engine.graph import registry
from swath.engine.graph.context import Context
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.node import Node
from swath.engine.graph.ports import ANY, Port, Stage
from swath.engine.graph.roles import Fittable, Loss
from swath.errors import DataInvalid, InputInvalid, SwathError

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


def _pixel_ports(cls: type[Node]) -> list[str]:
    return [
        name
        for name, port in cls.inputs.items()
        if port.dtype in (torch.float32, ANY) and len(port.shape) == 4 and name not in cls.spectra
    ]


CLASSES = {name: cls for name, cls in registry.classes().items() if _pixel_ports(cls) and name not in ELSEWHERE}


def _build(name: str, channels: int, hparams: dict[str, Any] | None = None) -> Node:
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


def _inputs(cls: type[Node], shape: tuple[int, ...], seed: int = 1) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(seed)
    given: dict[str, Any] = {}
    for name, port in cls.inputs.items():
        labels = name == "mask" and ("Supervised" in cls.__name__ or cls.category == "visualizer")
        if port.optional and not labels and name not in _pixel_ports(cls):
            continue
        value = _value(name, port, (*shape[:3], 1) if cls.__name__ in ONE_CHANNEL else shape, generator)
        given[name] = [value, _value(name, port, shape, generator)] if port.variadic else value
    return given


def _invalid(shape: tuple[int, ...]) -> Tensor:
    """Return some pixels, bool [B, H, W]: single ones, and a row of the last frame."""
    chosen = torch.zeros(shape[:3], dtype=torch.bool)
    chosen[0, 0, 0] = chosen[0, 2, 3] = chosen[0, 4, 1] = True
    chosen[-1, 5] = True
    return chosen


def _spoilt(cls: type[Node], inputs: dict[str, Any], chosen: Tensor, *, every_band: bool) -> dict[str, Any]:
    """Put NaN and infinities into the chosen pixels: in every band, or in one band of each."""
    values = (torch.nan, torch.inf, -torch.inf)

    def spoil(value: Tensor) -> Tensor:
        spoilt = value.clone()
        for index, (frame, row, column) in enumerate(chosen.nonzero().tolist()):
            band = slice(None) if every_band else index % value.shape[-1]
            spoilt[frame, row, column, band] = values[index % 3]
        return spoilt

    return {
        name: ([spoil(each) for each in value] if isinstance(value, list) else spoil(value))
        if name in _pixel_ports(cls)
        else value
        for name, value in inputs.items()
    }


def _compact(inputs: dict[str, Any], valid: Tensor) -> dict[str, Any]:
    """Return the inputs with valid pixels only, as pictures of one column."""

    def compact(value: Any) -> Any:
        if isinstance(value, list):
            return [compact(each) for each in value]
        if not isinstance(value, Tensor) or value.shape[:3] != valid.shape:
            return value
        rows = value[valid]
        return rows.reshape(1, len(rows), 1, *rows.shape[1:])

    return {name: compact(value) for name, value in inputs.items()}


def _frame(cls: type[Node], inputs: dict[str, Any], index: int) -> dict[str, Any]:
    def of_frame(value: Any) -> Any:
        if isinstance(value, list):
            return [of_frame(each) for each in value]
        return value[index : index + 1] if isinstance(value, Tensor) and value.dim() >= 3 else value

    return {name: value if name in cls.spectra else of_frame(value) for name, value in inputs.items()}


def _ready(node: Node, inputs: dict[str, Any]) -> Node:
    if isinstance(node, Fittable) and node.needs_fit():
        node.begin_fit()
        node.fit_batch(inputs)
        node.end_fit()
    return node


def _context(cls: type[Node]) -> Context:
    return Context(Stage.INFERENCE if Stage.INFERENCE in cls.stages else Stage.VAL)


def _shape(cls: type[Node], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a batch for a node, some of which take one frame at a time."""
    single = any(port.shape[:1] == (1,) and len(port.shape) > 1 for port in cls.inputs.values())
    # Bounds of supervised selectors are the widest of those of frames.
    return (1, *shape[1:]) if single or "Supervised" in cls.__name__ else shape


def _maps(node: Node, outputs: dict[str, Any], shape: tuple[int, ...]) -> Iterator[tuple[str, Tensor]]:
    for name, value in outputs.items():
        if isinstance(value, Tensor) and len(node.outputs[name].shape) >= 3 and value.shape[:3] == shape[:3]:
            yield name, value


def _close(found: Any, expected: Any) -> None:
    torch.testing.assert_close(found, expected, rtol=2e-4, atol=2e-4, equal_nan=True)


def _learning(name: str, cls: type[Node]) -> bool:
    return issubclass(cls, Fittable) and name != "HighContrastSelector"


FITTABLE = sorted(name for name, cls in registry.classes().items() if _learning(name, cls))
SELECTORS = {name for name in FITTABLE if "norm_mode" in registry.classes()[name].parameters_accepted()}


@pytest.mark.parametrize("every_band", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", FITTABLE)
def test_a_fit_is_that_of_the_valid_pixels(name: str, shape: tuple[int, ...], every_band: bool) -> None:
    cls = registry.classes()[name]
    hparams = FITS.get(name, HPARAMS.get(name, {}))
    if name in SELECTORS - {"PercentileNormalizer"}:
        hparams = {"norm_mode": "statistical"}
        if not every_band:
            pytest.skip("selectors judge a pixel by the bands that they read")
    shape = _shape(cls, shape)
    chosen = _invalid(shape)
    inputs = _inputs(cls, shape)
    spoilt, valid = (_spoilt(cls, inputs, chosen, every_band=every_band), ~chosen)

    node, other = _build(name, shape[-1], hparams), _build(name, shape[-1], hparams)
    _ready(node, spoilt)
    _ready(other, _compact(inputs, valid))

    assert not node.needs_fit() or node.left_out == int(chosen.sum())
    state, expected = node.state(), other.state()
    assert state.keys() == expected.keys()
    for key in state:
        _close(state[key], expected[key])
    assert node.not_finite() == []


@pytest.mark.parametrize("name", FITTABLE)
def test_a_fit_without_a_valid_pixel_is_refused_in_words(name: str) -> None:
    cls = registry.classes()[name]
    hparams = {"norm_mode": "statistical"} if name in SELECTORS else FITS.get(name, HPARAMS.get(name, {}))
    node = _build(name, 8, hparams)
    if not node.needs_fit():
        pytest.skip("it has nothing to learn")
    inputs = _inputs(cls, SHAPES[0])
    spoilt = _spoilt(cls, inputs, torch.ones(SHAPES[0][:3], dtype=torch.bool), every_band=True)
    with pytest.raises(DataInvalid, match=rf"Node '{name}'.*needs at least.*84 invalid pixels"):
        _ready(node, spoilt)


@pytest.mark.parametrize("every_band", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", sorted(CLASSES))
def test_outputs_are_those_of_the_valid_pixels_and_marked_elsewhere(
    name: str, shape: tuple[int, ...], every_band: bool
) -> None:
    cls = CLASSES[name]
    context = _context(cls)
    shape = _shape(cls, shape)
    inputs, chosen = _inputs(cls, shape), _invalid(shape)
    node = _build(name, shape[-1])
    judged = node.invalid not in (Invalid.PASSED, Invalid.DRAWN)
    spoilt = _spoilt(cls, inputs, chosen, every_band=every_band)
    _ready(node, inputs)

    try:
        outputs = node.forward(context=context, **spoilt)
    except InputInvalid:
        assert name in ("SavitzkyGolay", "GridStitcher", "ImageTiler", "InsetComposer")
        return
    if node.invalid is Invalid.DRAWN:
        assert all(value.isfinite().all() for _, value in _maps(node, outputs, shape))
        return
    for port, value in _maps(node, outputs, shape):
        if value.dtype.is_floating_point and judged:
            assert value[chosen].isnan().all(), port
        elif value.dtype.is_floating_point and every_band and name not in MOVED:
            assert not value[chosen].isfinite().any(), port
        elif value.dtype is torch.bool and judged:
            assert not value[chosen].any(), port
        elif node.outputs[port].invalid is not None:
            assert (value[chosen] == node.outputs[port].invalid).all(), port
    if name in AROUND or not judged or isinstance(node, Loss):
        return
    for index in range(shape[0]):
        valid = ~chosen[index : index + 1]
        alone = node.forward(context=context, **_compact(_frame(cls, inputs, index), valid))
        for port, value in _maps(node, outputs, shape):
            rows = value[index : index + 1][valid]
            _close(rows, alone[port].reshape(rows.shape))


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_frames_without_a_valid_pixel_never_fail_but_in_words(name: str) -> None:
    cls, shape = CLASSES[name], SHAPES[0]
    shape = _shape(cls, shape)
    inputs = _inputs(cls, shape)
    node = _ready(_build(name, shape[-1]), inputs)
    for frames in (slice(1, 2), slice(None)):
        chosen = torch.zeros(shape[:3], dtype=torch.bool)
        chosen[frames] = True
        spoilt = _spoilt(cls, inputs, chosen, every_band=True)
        try:
            outputs = node.forward(context=_context(cls), **spoilt)
        except SwathError:
            continue
        if node.invalid in (Invalid.PASSED, Invalid.DRAWN):
            continue
        for port, value in _maps(node, outputs, shape):
            if value.dtype.is_floating_point:
                assert value[chosen].isnan().all(), port
                assert value[~chosen].isfinite().all(), port


LOSSES = sorted(name for name, cls in CLASSES.items() if issubclass(cls, Loss))


@pytest.mark.parametrize("every_band", [True, False])
@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_their_gradients_leave_invalid_pixels_out(name: str, every_band: bool) -> None:
    cls, shape = CLASSES[name], (1, *SHAPES[0][1:])
    chosen = _invalid(shape)
    inputs = _inputs(cls, shape)
    spoilt = _spoilt(cls, inputs, chosen, every_band=every_band)
    leaves = {port: spoilt[port].requires_grad_() for port in _pixel_ports(cls)}
    node = _build(name, shape[-1])

    loss = node.forward(context=Context(Stage.TRAIN), **spoilt)["loss"]
    alone = node.forward(context=Context(Stage.TRAIN), **_compact(inputs, ~chosen))["loss"]

    _close(loss, alone)
    loss.backward()
    for port, leaf in leaves.items():
        assert leaf.grad is not None
        assert leaf.grad.isfinite().all(), port
        assert (leaf.grad[chosen] == 0).all(), port
        assert (leaf.grad[~chosen] != 0).any(), port


@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_without_a_valid_pixel_has_no_loss(name: str) -> None:
    cls, shape = CLASSES[name], SHAPES[0]
    spoilt = _spoilt(cls, _inputs(cls, shape), torch.ones(shape[:3], dtype=torch.bool), every_band=True)
    leaves = [spoilt[port].requires_grad_() for port in _pixel_ports(cls)]
    loss = _build(name, shape[-1]).forward(context=Context(Stage.TRAIN), **spoilt)["loss"]
    assert loss.item() == 0
    loss.backward()
    assert all(leaf.grad is None or (leaf.grad == 0).all() for leaf in leaves)


def test_training_that_diverges_shows_in_the_loss() -> None:
    predictions = torch.zeros(1, 2, 2, 1)
    predictions[0, 0, 0] = torch.nan  # invalid in the batch
    predictions[0, 1, 1] = torch.nan  # what the network made of a valid pixel
    valid = torch.tensor([[[False, True], [True, True]]])
    node = _build("AnomalyBCEWithLogits", 1)
    targets = torch.zeros(1, 2, 2, 1, dtype=torch.bool)
    context = Context(Stage.TRAIN, valid={(1, 2, 2): valid})
    assert node.execute({"predictions": predictions, "targets": targets}, context)["loss"].isnan()


def test_a_projection_from_a_file_scales_by_the_valid_pixels(tmp_path: Any) -> None:
    cls = registry.classes()["FixedPCAProjection"]
    path = tmp_path / "projection.npz"
    rng = np.random.default_rng(0)
    np.savez(path, mean=np.zeros(8), comps=rng.random((2, 8)), lo=np.zeros(2), hi=np.ones(2) * 8)
    node = cls(str(path))
    inputs, chosen = _inputs(cls, SHAPES[0]), _invalid(SHAPES[0])
    projected = node.forward(**_spoilt(cls, inputs, chosen, every_band=False))["projected"]
    assert projected[chosen].isnan().all()
    for index in range(2):
        alone = node.forward(**_compact(_frame(cls, inputs, index), ~chosen[index : index + 1]))["projected"]
        _close(projected[index][~chosen[index]], alone.reshape(-1, 2))
