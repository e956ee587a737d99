"""Every node of the registry with pixels that are not finite: left out of fits and statistics, marked in outputs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from swath.engine.graph import registry
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.node import Node
from swath.engine.graph.roles import Fittable, Loss
from swath.errors import DataInvalid, InputInvalid, SwathError

from .spoiling import (
    AROUND,
    CLASSES,
    FITS,
    HPARAMS,
    MOVED,
    SHAPES,
    assert_close,
    build,
    compact,
    context_of,
    fitted,
    make_inputs,
    maps_of,
    one_frame,
    pixel_ports,
    shape_for,
    some_pixels,
    spoil,
)

PAGE = Path(__file__).parents[4] / "docs" / "explanation" / "invalid-pixels.md"


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
    shape = shape_for(cls, shape)
    chosen = some_pixels(shape)
    inputs = make_inputs(cls, shape)
    spoilt, valid = (spoil(cls, inputs, chosen, every_band=every_band), ~chosen)

    node, other = build(name, shape[-1], hparams), build(name, shape[-1], hparams)
    assert isinstance(node, Fittable)
    fitted(node, spoilt)
    fitted(other, compact(inputs, valid))

    assert not node.needs_fit() or node.left_out == int(chosen.sum())
    state, expected = node.state(), other.state()
    assert state.keys() == expected.keys()
    for key in state:
        assert_close(state[key], expected[key])
    assert node.not_finite() == []


@pytest.mark.parametrize("name", FITTABLE)
def test_a_fit_without_a_valid_pixel_is_refused_in_words(name: str) -> None:
    cls = registry.classes()[name]
    hparams = {"norm_mode": "statistical"} if name in SELECTORS else FITS.get(name, HPARAMS.get(name, {}))
    node = build(name, 8, hparams)
    assert isinstance(node, Fittable)
    if not node.needs_fit():
        pytest.skip("it has nothing to learn")
    inputs = make_inputs(cls, SHAPES[0])
    spoilt = spoil(cls, inputs, torch.ones(SHAPES[0][:3], dtype=torch.bool), every_band=True)
    with pytest.raises(DataInvalid, match=rf"Node '{name}'.*needs at least.*84 invalid pixels"):
        fitted(node, spoilt)


@pytest.mark.parametrize("every_band", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", sorted(CLASSES))
def test_outputs_are_those_of_the_valid_pixels_and_marked_elsewhere(
    name: str, shape: tuple[int, ...], every_band: bool
) -> None:
    cls = CLASSES[name]
    context = context_of(cls)
    shape = shape_for(cls, shape)
    inputs, chosen = make_inputs(cls, shape), some_pixels(shape)
    node = build(name, shape[-1])
    judged = node.invalid not in (Invalid.PASSED, Invalid.DRAWN)
    spoilt = spoil(cls, inputs, chosen, every_band=every_band)
    fitted(node, inputs)

    try:
        outputs = node.forward(context=context, **spoilt)
    except InputInvalid:
        assert name in ("SavitzkyGolay", "GridStitcher", "ImageTiler", "InsetComposer")
        return
    if node.invalid is Invalid.DRAWN:
        assert all(value.isfinite().all() for _, value in maps_of(node, outputs, shape))
        return
    for port, value in maps_of(node, outputs, shape):
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
        alone = node.forward(context=context, **compact(one_frame(cls, inputs, index), valid))
        for port, value in maps_of(node, outputs, shape):
            rows = value[index : index + 1][valid]
            assert_close(rows, alone[port].reshape(rows.shape))


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_frames_without_a_valid_pixel_never_fail_but_in_words(name: str) -> None:
    cls, shape = CLASSES[name], SHAPES[0]
    shape = shape_for(cls, shape)
    inputs = make_inputs(cls, shape)
    node = fitted(build(name, shape[-1]), inputs)
    for frames in (slice(1, 2), slice(None)):
        chosen = torch.zeros(shape[:3], dtype=torch.bool)
        chosen[frames] = True
        spoilt = spoil(cls, inputs, chosen, every_band=True)
        try:
            outputs = node.forward(context=context_of(cls), **spoilt)
        except SwathError:
            continue
        if node.invalid in (Invalid.PASSED, Invalid.DRAWN):
            continue
        for port, value in maps_of(node, outputs, shape):
            if value.dtype.is_floating_point:
                assert value[chosen].isnan().all(), port
                assert value[~chosen].isfinite().all(), port


def test_a_projection_from_a_file_scales_by_the_valid_pixels(tmp_path: Any) -> None:
    cls: Any = registry.classes()["FixedPCAProjection"]
    path = tmp_path / "projection.npz"
    rng = np.random.default_rng(0)
    np.savez(path, mean=np.zeros(8), comps=rng.random((2, 8)), lo=np.zeros(2), hi=np.ones(2) * 8)
    node = cls(str(path))
    inputs, chosen = make_inputs(cls, SHAPES[0]), some_pixels(SHAPES[0])
    projected = node.forward(**spoil(cls, inputs, chosen, every_band=False))["projected"]
    assert projected[chosen].isnan().all()
    for index in range(2):
        alone = node.forward(**compact(one_frame(cls, inputs, index), ~chosen[index : index + 1]))["projected"]
        assert_close(projected[index][~chosen[index]], alone.reshape(-1, 2))


@pytest.mark.parametrize("kind", [kind for kind in Invalid if kind is not Invalid.PASSED])
def test_the_page_names_the_nodes_of_each_kind(kind: Invalid) -> None:
    row = next(line for line in PAGE.read_text().splitlines() if line.startswith(f"| {kind.name} |"))
    named = set(re.findall(r"`(\w+)`", row))
    assert named == {name for name, cls in registry.classes().items() if pixel_ports(cls) and cls.invalid is kind}
