"""Grids, resized and smoothed maps, and tiles."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from swath.engine.graph.registry import create
from swath.engine.nodes.spatial import GridSubsample, ScoreMapSmoothing, ScoreUpsample
from swath.engine.nodes.tiling import GridStitcher, ImageTiler
from swath.errors import GraphInvalid, InputInvalid


@pytest.fixture
def scores():
    return torch.rand(2, 15, 12, 3, generator=torch.Generator().manual_seed(0))


def _column(*values):
    return torch.tensor(values).reshape(1, -1, 1, 1)


def test_a_grid_starts_at_the_first_pixel():
    cube = torch.arange(35.0).reshape(1, 5, 7, 1)
    assert GridSubsample(stride=3).forward(cube=cube)["cube"].flatten().tolist() == [0, 3, 6, 21, 24, 27]


@pytest.mark.parametrize(
    ("mode", "expected"), [("nearest", [0, 0, 1, 1]), ("bilinear", [0, 0.25, 0.75, 1]), ("bicubic", None)]
)
def test_pixels_keep_their_place_when_maps_are_resized(mode, expected):
    node, reference = ScoreUpsample(mode), torch.zeros(1, 4, 1, 9)
    resized = node.forward(scores=_column(0.0, 1.0), reference=reference)["scores"]
    assert resized.shape == (1, 4, 1, 1)
    if expected is None:
        assert resized.sum().item() == pytest.approx(2)
    else:
        assert resized.flatten().tolist() == pytest.approx(expected)


@pytest.mark.parametrize("sigma", [0.5, 1.3, 2.6])
def test_smoothing_is_that_of_scipy(scores, sigma):
    # scipy calls a border that is mirrored without its outermost pixel "mirror".
    radius = round(4 * sigma)
    expected = gaussian_filter(scores.double().numpy(), sigma, mode="mirror", axes=(1, 2), radius=radius)
    np.testing.assert_allclose(ScoreMapSmoothing(sigma).forward(scores=scores)["scores"].numpy(), expected, rtol=1e-5)


def test_a_map_narrower_than_the_kernel_repeats_its_border(scores):
    expected = gaussian_filter(scores.double().numpy(), 8, mode="nearest", axes=(1, 2), radius=32)
    np.testing.assert_allclose(ScoreMapSmoothing(8.0).forward(scores=scores)["scores"].numpy(), expected, rtol=1e-5)


def test_no_smoothing_changes_nothing(scores):
    assert torch.equal(ScoreMapSmoothing(0).forward(scores=scores)["scores"], scores)
    assert ScoreMapSmoothing(3.0).state() == {}


def test_tiles_go_row_by_row():
    image = torch.arange(16.0).reshape(1, 4, 4, 1)
    tiles = ImageTiler(tiles=2).forward(image=image)["tiles"]
    assert tiles[..., 0].tolist() == [[[0, 1], [4, 5]], [[2, 3], [6, 7]], [[8, 9], [12, 13]], [[10, 11], [14, 15]]]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_stitching_undoes_tiling(count):
    image = torch.rand(2, 6, 12, 5)
    tiles = ImageTiler(count).forward(image=image)["tiles"]
    assert torch.equal(GridStitcher(count).forward(tiles=tiles)["grid"], image)


def test_tiles_are_equal_and_complete():
    with pytest.raises(InputInvalid, match="4 tiles a side divide evenly"):
        ImageTiler(4).forward(image=torch.zeros(1, 8, 6, 1))
    with pytest.raises(InputInvalid, match="a multiple of 4 maps"):
        GridStitcher(2).forward(tiles=torch.zeros(6, 1, 1, 1))


@pytest.mark.parametrize(
    ("name", "hparams", "words"),
    [
        ("GridSubsample", {"stride": 0}, "stride must be at least 1"),
        ("ScoreUpsample", {"mode": "area"}, "mode must be one of bilinear, bicubic, nearest"),
        ("ScoreMapSmoothing", {"sigma_px": -1}, "sigma_px must be at least 0"),
        ("ImageTiler", {"tiles": 1.5}, "tiles must be a whole number"),
    ],
)
def test_hparams_are_checked(name, hparams, words):
    with pytest.raises(GraphInvalid, match=words):
        create(name, "it", hparams)


def test_no_frames_give_no_frames(scores):
    none, reference = scores[:0], torch.zeros(0, 30, 24, 1)
    assert ScoreUpsample().forward(scores=none, reference=reference)["scores"].shape == (0, 30, 24, 3)
    assert ScoreMapSmoothing().forward(scores=none)["scores"].shape == (0, 15, 12, 3)
    assert ImageTiler(3).forward(image=none)["tiles"].shape == (0, 5, 4, 3)


@pytest.mark.parametrize(
    ("node", "port"),
    [
        (GridSubsample(2), "cube"),
        (ScoreUpsample(), "scores"),
        (ScoreMapSmoothing(0.6), "scores"),
        (ImageTiler(), "image"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_gradients_are_those_of_finite_differences(node, port):
    extra: dict[str, Any] = {"reference": torch.zeros(1, 7, 5, 1)} if isinstance(node, ScoreUpsample) else {}
    data = torch.rand(1, 4, 4, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda values: tuple(node.forward(**extra, **{port: values}).values()), data)
