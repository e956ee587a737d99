"""Laplacian scores by the definition in float64."""

import pytest
import torch

from swath.engine.nodes.anomaly.lad_detector import LADGlobal
from swath.errors import DataInvalid, NotFitted


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, 5, 6, 4, generator=generator) + torch.tensor([1.0, 2.0, 4.0, 8.0])


def _laplacian(mean, *, normalized):
    count = len(mean)
    weights = torch.zeros(count, count, dtype=torch.float64)
    for i in range(count):
        for j in range(count):
            if i != j:
                weights[i, j] = 1 / (1 + ((mean[i] - mean[j]) / mean.mean()) ** 2)
    degrees = torch.diag(weights.sum(1))
    laplacian = degrees - weights
    root = torch.diag(degrees.diagonal() ** -0.5)
    return root @ laplacian @ root if normalized else laplacian


@pytest.mark.parametrize("normalized", [True, False])
def test_scores_are_a_quadratic_form_of_the_laplacian(fit_data, data, normalized):
    node = fit_data(LADGlobal(4, normalize_laplacian=normalized), *data.split(1))
    rows = data.double().reshape(-1, 4)
    laplacian = _laplacian(rows.mean(0), normalized=normalized)
    centred = rows - rows.mean(0)
    expected = (centred @ laplacian * centred).sum(1).reshape(2, 5, 6, 1)
    torch.testing.assert_close(node.L, laplacian)
    torch.testing.assert_close(node.forward(data=data)["scores"].double(), expected, rtol=1e-5, atol=1e-7)


def test_the_graph_of_two_bands_by_hand(fit_data):
    node = fit_data(LADGlobal(2, normalize_laplacian=False), torch.tensor([1.0, 3.0]).reshape(1, 1, 1, 2))
    # Mean 2, distance 2 of them: weight 1 / (1 + 1).
    assert node.L.tolist() == [[0.5, -0.5], [-0.5, 0.5]]
    assert node.forward(data=torch.tensor([2.0, 3.0]).reshape(1, 1, 1, 2))["scores"].item() == pytest.approx(0.5)


def test_a_single_band_has_no_neighbours(fit_data):
    node = fit_data(LADGlobal(1), torch.ones(1, 1, 2, 1))
    assert node.forward(data=torch.zeros(1, 1, 1, 1))["scores"].item() == 0.0


def test_a_mean_of_zero_is_no_division_by_zero(fit_data):
    node = fit_data(LADGlobal(2), torch.tensor([-1.0, 1.0]).reshape(1, 1, 1, 2))
    assert node.L.isfinite().all()


def test_it_needs_a_fit_with_data(fit_data):
    with pytest.raises(NotFitted, match="LADGlobal"):
        LADGlobal(2).forward(data=torch.zeros(1, 1, 1, 2))
    with pytest.raises(DataInvalid, match="at least 1 pixel"):
        fit_data(LADGlobal(2))


def test_state_makes_the_same_node(fit_data, data):
    node, twin = fit_data(LADGlobal(4), data), LADGlobal(4)
    assert set(node.state()) == {"M", "L"}
    twin.restore(node.state())
    assert torch.equal(twin.forward(data=data)["scores"], node.forward(data=data)["scores"])


@pytest.mark.parametrize("trained", [False, True])
def test_it_is_differentiable(fit_data, data, trained):
    node = fit_data(LADGlobal(4), data)
    if trained:
        node.unfreeze()
    small = data[:1, :1, :2].double().requires_grad_()
    leaves = (small, node.M, node.L) if trained else (small,)
    assert torch.autograd.gradcheck(lambda values, *_: node.forward(data=values)["scores"], leaves)
