"""Mahalanobis distances against straightforward float64 computations."""

import copy

import pytest
import torch

from swath.engine.nodes.anomaly.rx_detector import RXGlobal, RXPerBatch
from swath.errors import DataInvalid, NotFitted


def _expected(data, mean, covariance):
    centred = data.double().reshape(-1, data.shape[-1]) - mean
    return (centred @ torch.linalg.inv(covariance) * centred).sum(-1).reshape(*data.shape[:-1], 1)


@pytest.fixture
def data():
    """Correlated bands on a large offset, as radiances are."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(3 * 8 * 9, 4, generator=generator, dtype=torch.float64)
    mixed = rows @ torch.randn(4, 12, generator=generator, dtype=torch.float64) + 2000
    noise = 0.01 * torch.randn(3 * 8 * 9, 12, generator=generator, dtype=torch.float64)
    return (mixed + noise).float().reshape(3, 8, 9, 12)


def test_scores_are_squared_mahalanobis_distances(fit_data, data):
    node = fit_data(RXGlobal(num_channels=12), data)
    rows = data.double().reshape(-1, 12)
    covariance = rows.T.cov() + 1e-6 * torch.eye(12)
    scores = node.forward(data=data)["scores"]
    torch.testing.assert_close(node.mu, rows.mean(0))
    torch.testing.assert_close(node.cov, covariance, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(scores.double(), _expected(data, rows.mean(0), covariance), rtol=1e-4, atol=1e-4)


def test_the_mean_score_of_the_training_data_is_known(fit_data, data):
    count = data[..., 0].numel()
    node = fit_data(RXGlobal(num_channels=12, eps=0), data)
    assert node.forward(data=data)["scores"].mean().item() == pytest.approx(12 * (count - 1) / count, rel=1e-4)


def test_batches_merge_to_the_statistics_of_the_whole(fit_data, data):
    whole, parts = fit_data(RXGlobal(num_channels=12), data), fit_data(RXGlobal(num_channels=12), *data.split(1))
    torch.testing.assert_close(parts.cov, whole.cov, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(parts.mu, whole.mu, rtol=1e-13, atol=0)


def test_it_can_solve_with_the_covariance_instead(fit_data, data):
    cached, solved = fit_data(RXGlobal(12), data), fit_data(RXGlobal(12, cache_inverse=False), data)
    assert solved.state()["cov_inv"].numel() == 0
    torch.testing.assert_close(
        solved.forward(data=data)["scores"], cached.forward(data=data)["scores"], rtol=1e-3, atol=1e-3
    )


def test_a_trained_inverse_need_not_be_positive():
    node = RXGlobal(2)
    node.restore({"mu": torch.zeros(2), "cov": torch.eye(2), "cov_inv": torch.tensor([[1.0, 2.0], [0.0, -3.0]])})
    scores = node.forward(data=torch.tensor([1.0, 2.0]).reshape(1, 1, 1, 2))["scores"]
    assert scores.item() == pytest.approx(1 + 4 - 12)


def test_a_new_state_counts_at_once(fit_data, data):
    node = fit_data(RXGlobal(12), data)
    before = node.forward(data=data)["scores"]
    node.restore({"cov_inv": 2 * node.cov_inv})
    torch.testing.assert_close(node.forward(data=data)["scores"], 2 * before, rtol=1e-4, atol=1e-3)


def test_it_needs_a_fit_of_two_pixels(fit_data):
    node = RXGlobal(2)
    with pytest.raises(NotFitted, match="RXGlobal"):
        node.forward(data=torch.zeros(1, 1, 1, 2))
    with pytest.raises(DataInvalid, match="at least 2 pixels"):
        fit_data(node, torch.zeros(1, 1, 1, 2))


def test_a_pass_that_is_given_up_changes_nothing(fit_data, data):
    node = fit_data(RXGlobal(12), data)
    before = node.state()
    node.begin_fit()
    node.fit_batch({"data": data * 2})
    assert torch.equal(node.state()["mu"], before["mu"])
    node.begin_fit()
    node.fit_batch({"data": data})
    node.end_fit()
    assert torch.equal(node.state()["cov"], before["cov"])


@pytest.mark.parametrize("trained", [False, True])
def test_gradients_reach_the_data_and_the_unfrozen_statistics(fit_data, data, trained):
    node = fit_data(RXGlobal(12), data / 2000)
    if trained:
        node.unfreeze()
    small = (data[:1, :1, :2] / 2000).double().requires_grad_()
    leaves = (small, node.mu, node.cov_inv) if trained else (small,)

    def scores(values, *_):
        return node.forward(data=values)["scores"]

    assert torch.autograd.gradcheck(scores, leaves, rtol=1e-2, atol=1e-2)


def test_inference_does_not_spoil_later_training(fit_data, data):
    node = fit_data(RXGlobal(12), data)
    with torch.inference_mode():
        node.forward(data=data)
    leaf = data.clone().requires_grad_()
    node.forward(data=leaf)["scores"].sum().backward()
    assert leaf.grad is not None


def test_per_batch_takes_the_statistics_of_each_image(data):
    scores = RXPerBatch().forward(data=data)["scores"]
    for image, score in zip(data, scores, strict=True):
        rows = image.double().reshape(-1, 12)
        covariance = rows.T.cov() + 1e-6 * torch.eye(12)
        torch.testing.assert_close(score.double(), _expected(image, rows.mean(0), covariance), rtol=1e-4, atol=1e-4)


def test_a_copy_is_a_node_of_its_own(fit_data, data):
    node = fit_data(RXGlobal(12), data)
    twin = copy.deepcopy(node)
    node.restore({"mu": node.mu + 1})
    assert twin.hparams == node.hparams
    assert twin.fitted
    assert not torch.equal(twin.forward(data=data)["scores"], node.forward(data=data)["scores"])
