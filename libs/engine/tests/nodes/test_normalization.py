"""Normalisers and the affine head by hand-computed values."""

import pytest
import torch

from swath.engine.nodes.conversion import ScoreToLogit
from swath.engine.nodes.normalization import MinMaxNormalizer, PerPixelUnitNorm
from swath.errors import DataInvalid, NotFitted


def _fit(node, port, *batches):
    node.begin_fit()
    for batch in batches:
        node.fit_batch({port: batch})
    node.end_fit()
    return node


def test_min_and_max_are_one_pair_over_all_training_data():
    node = _fit(MinMaxNormalizer(), "data", torch.full((1, 2, 2, 2), 3.0), torch.tensor([1.0, 5.0]).reshape(1, 1, 1, 2))
    assert node.forward(data=torch.tensor([1.0, 2.0, 7.0]).reshape(1, 1, 1, 3))["normalized"].flatten().tolist() == [
        0.0,
        0.25,
        1.5,
    ]


def test_the_fit_looks_at_so_many_frames():
    frames = torch.arange(6.0).reshape(6, 1, 1, 1)
    node = _fit(MinMaxNormalizer(max_initialization_frames=3), "data", *frames.split(2))
    assert (node.running_min.item(), node.running_max.item()) == (0.0, 2.0)


def test_a_flat_scene_divides_by_eps():
    node = _fit(MinMaxNormalizer(eps=0.5), "data", torch.full((1, 1, 1, 1), 3.0))
    assert node.forward(data=torch.full((1, 1, 1, 1), 4.0))["normalized"].item() == 2.0


def test_without_running_statistics_each_image_and_channel_has_its_own():
    node = MinMaxNormalizer(use_running_stats=False)
    data = torch.tensor([[0.0, 10.0], [2.0, 30.0]]).reshape(1, 1, 2, 2)
    assert node.fitted
    assert node.forward(data=data)["normalized"].flatten().tolist() == [0.0, 0.0, 1.0, 1.0]


def test_min_and_max_need_a_fit_with_data():
    with pytest.raises(NotFitted):
        MinMaxNormalizer().forward(data=torch.zeros(1, 1, 1, 1))
    with pytest.raises(DataInvalid):
        _fit(MinMaxNormalizer(), "data")


def test_an_unfitted_state_of_the_reference_package_stays_unfitted():
    node = MinMaxNormalizer()
    node.restore({"running_min": torch.tensor(torch.nan), "running_max": torch.tensor(torch.nan)})
    assert not node.fitted


@pytest.mark.parametrize("running", [True, False])
def test_min_max_is_differentiable(running):
    data = torch.rand(1, 2, 3, 2, dtype=torch.float64)
    node = _fit(MinMaxNormalizer(use_running_stats=running).double(), "data", data)
    node.unfreeze()
    leaf = data.clone().requires_grad_()
    assert (
        torch.autograd.gradcheck(
            lambda values, *_: node.forward(data=values)["normalized"], (leaf, node.running_min, node.running_max)
        )
        or not running
    )


def test_each_pixel_loses_its_mean_and_gets_unit_length():
    normalized = PerPixelUnitNorm().forward(data=torch.tensor([1.0, 2.0, 3.0]).reshape(1, 1, 1, 3))["normalized"]
    torch.testing.assert_close(normalized.flatten(), torch.tensor([-1.0, 0.0, 1.0]) / 2**0.5)


def test_a_flat_spectrum_becomes_zero():
    assert PerPixelUnitNorm().forward(data=torch.ones(1, 1, 1, 3))["normalized"].abs().max() == 0


def test_the_bias_is_two_deviations_above_the_mean():
    scores = torch.tensor([1.0, 2.0, 3.0, 6.0]).reshape(1, 2, 2, 1)
    node = _fit(ScoreToLogit(init_scale=2.0), "scores", *scores.split(1, dim=1))
    bias = 3.0 + 2 * scores.flatten().std()
    torch.testing.assert_close(node.bias, bias)
    torch.testing.assert_close(node.forward(scores=scores)["logits"], 2 * (scores - bias))


def test_the_head_works_before_a_fit():
    node = ScoreToLogit(init_scale=3.0, init_bias=1.0)
    assert node.forward(scores=torch.full((1, 1, 1, 1), 2.0))["logits"].item() == 3.0
    assert not node.fitted


def test_the_head_is_differentiable():
    node = ScoreToLogit(init_scale=2.0, init_bias=1.0).double()
    node.unfreeze()
    scores = torch.rand(1, 2, 2, 1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda values, *_: node.forward(scores=values)["logits"], (scores, node.scale, node.bias)
    )
