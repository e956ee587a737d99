"""Score maps that become one, by hand and against scipy."""

import numpy as np
import pytest
import torch
from scipy import special, stats

from swath.engine.nodes.fusion import ScoreMapFusion
from swath.errors import InputInvalid


def _map(*values):
    return torch.tensor(values).reshape(1, 1, -1, 1)


MAPS = [_map(1.0, 4.0), _map(4.0, 0.0), _map(2.0, 2.0)]


@pytest.mark.parametrize(
    ("hparams", "expected"),
    [
        ({}, [7 / 3, 2.0]),
        ({"mode": "min"}, [1.0, 0.0]),
        ({"mode": "max"}, [4.0, 4.0]),
        ({"mode": "gmean"}, [2.0, 0.0]),
        ({"mode": "wmean", "weights": [2, 1, 1]}, [2.0, 2.5]),
        ({"mode": "first"}, [1.0, 4.0]),
    ],
)
def test_maps_are_joined(hparams, expected):
    torch.testing.assert_close(
        ScoreMapFusion(**hparams).forward(scores=MAPS)["scores"].flatten(), torch.tensor(expected)
    )


def test_the_first_map_with_anything_in_it_is_taken_frame_by_frame():
    empty = torch.zeros(1, 1, 2, 1)
    maps = [torch.cat([empty, MAPS[0], empty]), torch.cat([MAPS[1], MAPS[2], empty])]
    joined = ScoreMapFusion("first").forward(scores=maps)["scores"]
    assert joined.flatten(1).tolist() == [[4.0, 0.0], [1.0, 4.0], [0.0, 0.0]]


def test_a_geometric_mean_does_not_leave_the_range_of_float32():
    maps = [torch.rand(1, 3, 3, 1) * scale for scale in (1e-30, 1e-30, 1e30, 1e30)]
    joined = ScoreMapFusion("gmean").forward(scores=maps)["scores"]
    expected = stats.gmean(torch.stack(maps).double().numpy(), axis=0)
    np.testing.assert_allclose(joined.numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("weights", [None, [1.0, 0.0, 3.0]])
def test_a_soft_minimum(weights):
    joined = ScoreMapFusion("softmin", weights=weights, beta=2.0).forward(scores=MAPS)["scores"]
    shares = np.reshape(np.array(weights or [1, 1, 1]) / sum(weights or [1, 1, 1]), (3, 1, 1, 1, 1))
    expected = -special.logsumexp(-2.0 * torch.stack(MAPS).double().numpy(), axis=0, b=shares) / 2.0
    np.testing.assert_allclose(joined.numpy(), expected, rtol=1e-6)


def test_a_map_without_weight_does_not_count_however_low_it_is():
    maps = [_map(-1e4), _map(1.0)]
    assert ScoreMapFusion("softmin", weights=[0, 1], beta=10.0).forward(scores=maps)["scores"].item() == 1.0


def test_maps_must_fit():
    with pytest.raises(InputInvalid, match="maps of one shape"):
        ScoreMapFusion().forward(scores=[MAPS[0], _map(1.0)])
    with pytest.raises(InputInvalid, match="has 2 weights, got 3 score maps"):
        ScoreMapFusion("wmean", weights=[1, 1]).forward(scores=MAPS)


@pytest.mark.parametrize(
    ("hparams", "words"),
    [
        ({"mode": "median"}, "mode"),
        ({"weights": [1]}, "weights need mode"),
        ({"mode": "wmean"}, "needs weights"),
        ({"mode": "wmean", "weights": [0, 0]}, "sum above 0"),
        ({"mode": "wmean", "weights": [-1, 2]}, "weights must be at least 0"),
        ({"mode": "softmin"}, "beta"),
        ({"beta": 1.0}, "beta needs mode softmin"),
    ],
)
def test_arguments_are_checked(hparams, words):
    with pytest.raises(ValueError, match=words):
        ScoreMapFusion(**hparams)


@pytest.mark.parametrize(
    "hparams",
    [{"mode": mode} for mode in ("mean", "min", "max", "gmean", "first")]
    + [{"mode": "wmean", "weights": [1, 2, 3]}, {"mode": "softmin", "beta": 2.0}],
    ids=lambda hparams: hparams["mode"],
)
def test_fusion_is_differentiable(hparams):
    maps = [torch.rand(1, 2, 2, 1, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    assert torch.autograd.gradcheck(lambda *maps: ScoreMapFusion(**hparams).forward(scores=list(maps))["scores"], maps)


def test_the_slope_of_a_geometric_mean_is_finite_at_zero():
    maps = [value.clone().requires_grad_() for value in MAPS]
    ScoreMapFusion("gmean").forward(scores=maps)["scores"].sum().backward()
    assert all(value.grad is not None and value.grad.isfinite().all() for value in maps)
