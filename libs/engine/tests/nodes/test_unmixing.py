"""Abundances against scipy, and endmembers that are learnt."""

import numpy as np
import pytest
import torch
from scipy.optimize import nnls

from swath.engine.graph.registry import create
from swath.engine.nodes.unmixing.nmf import NMFUnmixing
from swath.engine.nodes.unmixing.nnls import NNLSUnmixing
from swath.engine.ops.unmixing import dominant, unmix
from swath.errors import DataInvalid, GraphInvalid, InputInvalid, NotFitted


def _random(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def _expected(cube, endmembers):
    rows = cube.double().reshape(-1, cube.shape[-1]).numpy()
    solved = [nnls(endmembers.double().T.numpy(), row, maxiter=10_000) for row in rows]
    abundances = np.array([solution for solution, _ in solved]).reshape(*cube.shape[:3], -1)
    return abundances, np.array([residual for _, residual in solved]).reshape(*cube.shape[:3], 1)


@pytest.mark.parametrize("count", [1, 2, 5, 12, 70])
def test_abundances_are_those_of_scipy(count):
    endmembers, cube = _random(count, 80), _random(2, 4, 5, 80, seed=1)
    outputs = NNLSUnmixing().forward(cube=cube, endmembers=endmembers)
    abundances, residual = _expected(cube, endmembers)
    np.testing.assert_allclose(outputs["abundances"].numpy(), abundances, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(outputs["scores"].numpy(), residual, rtol=1e-5)


def test_endmembers_may_be_nearly_alike_and_of_any_scale():
    base = _random(1, 60) + 1
    endmembers = torch.cat([base, base + 0.01 * _random(3, 60, seed=1)]) * torch.tensor([1e-3, 1, 1, 1e3])[:, None]
    cube = (_random(1, 3, 20, 4, seed=2) / endmembers.mean(dim=1)) @ endmembers
    outputs = NNLSUnmixing().forward(cube=cube, endmembers=endmembers)
    abundances, _ = _expected(cube, endmembers)
    np.testing.assert_allclose(outputs["abundances"].numpy(), abundances, rtol=1e-4, atol=1e-6 * abundances.max())


def test_the_same_endmember_twice_and_one_of_zeros_do_no_harm():
    endmember = _random(1, 6)
    endmembers = torch.cat([endmember, endmember, torch.zeros(1, 6)])
    outputs = NNLSUnmixing().forward(cube=(3 * endmember).reshape(1, 1, 1, 6), endmembers=endmembers)
    assert outputs["abundances"].sum().item() == pytest.approx(3)
    assert outputs["scores"].item() == pytest.approx(0, abs=1e-6)


def test_more_endmembers_than_bands_leave_the_least_residual():
    endmembers, cube = _random(9, 4), _random(1, 5, 5, 4, seed=1)
    outputs = NNLSUnmixing().forward(cube=cube, endmembers=endmembers)
    np.testing.assert_allclose(outputs["scores"].numpy(), _expected(cube, endmembers)[1], atol=1e-5)


def test_the_class_is_the_most_abundant_endmember_from_one():
    cube = torch.tensor([[5.0, 1.0], [1.0, 5.0], [0.1, 0.1], [0.0, 0.0], [-1.0, -1.0]]).reshape(1, 1, 5, 2)
    outputs = NNLSUnmixing(min_total=0.5).forward(cube=cube, endmembers=torch.eye(2))
    assert outputs["class_mask"].flatten().tolist() == [1, 2, 0, 0, 0]
    outputs = NNLSUnmixing().forward(cube=cube, endmembers=torch.eye(2))
    assert outputs["class_mask"].flatten().tolist() == [1, 2, 1, 0, 0]


@pytest.mark.parametrize("rounding", [0.0, 1e-7, -1e-7])
def test_of_equal_abundances_the_first_names_the_class(rounding):
    abundances = torch.tensor([0.1, 0.5, 0.5 + rounding]).reshape(1, 1, 1, 3)
    assert dominant(abundances).item() == 2


def test_a_pixel_that_is_not_finite_has_no_abundances_and_disturbs_no_other():
    cube = torch.tensor([[1.0, 2.0], [torch.nan, 1.0], [torch.inf, 1.0]]).reshape(1, 1, 3, 2)
    outputs = NNLSUnmixing().forward(cube=cube, endmembers=torch.eye(2))
    assert outputs["abundances"][0, 0, 0].tolist() == [1.0, 2.0]
    assert outputs["abundances"][0, 0, 1:].isnan().all()
    assert outputs["class_mask"].flatten().tolist() == [2, 0, 0]


def test_few_steps_leave_what_is_reached_by_then():
    cube = torch.ones(1, 1, 1, 2)
    reached = NNLSUnmixing(max_iter=2).forward(cube=cube, endmembers=torch.eye(2))["abundances"]
    assert sorted(reached.flatten().tolist()) == [0.0, 1.0]


@pytest.mark.parametrize("shape", [(0, 3), (2, 4)])
def test_endmembers_must_fit_the_cube(shape):
    with pytest.raises(InputInvalid, match="endmembers"):
        NNLSUnmixing().forward(cube=torch.ones(1, 1, 1, 3), endmembers=torch.ones(shape))


def test_gradients_are_those_of_finite_differences():
    cube, endmembers = _random(1, 2, 3, 7).double().requires_grad_(), _random(3, 7, seed=1).double().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda data, spectra: unmix(data, spectra, max_steps=100, tolerance=1e-9), (cube, endmembers)
    )


@pytest.fixture
def mixture():
    """A cube of three endmembers, without noise."""
    return _random(1, 12, 12, 3) @ _random(3, 8, seed=1)


@pytest.mark.parametrize("loss", ["frobenius", "kullback-leibler"])
def test_learnt_endmembers_explain_the_data(mixture, fit, loss):
    node = fit(NMFUnmixing(beta_loss=loss, max_iter=5000), {"cube": mixture})
    outputs = node.forward(cube=mixture)
    assert outputs["endmembers"].shape == (3, 8)
    assert outputs["scores"].max() < 0.03 * mixture.norm(dim=-1).max()
    torch.testing.assert_close(outputs["abundances"] @ outputs["endmembers"], mixture, atol=0.05, rtol=0)


def test_endmembers_travel_with_the_state(mixture, fit):
    node, other = fit(NMFUnmixing(max_iter=2000), {"cube": mixture}), NMFUnmixing()
    assert other.faults(node.state(), strict=True) == []
    other.restore(node.state())
    assert torch.equal(other.forward(cube=mixture)["abundances"], node.forward(cube=mixture)["abundances"])


def test_endmembers_can_be_trained(mixture, fit):
    node = fit(NMFUnmixing(max_iter=2000), {"cube": mixture})
    node.unfreeze()
    node.forward(cube=mixture + 0.1)["scores"].sum().backward()
    assert node.endmembers_buf.grad.abs().sum() > 0


def test_nmf_refuses_what_it_cannot_learn_from(mixture, fit):
    with pytest.raises(NotFitted):
        NMFUnmixing().forward(cube=mixture)
    with pytest.raises(DataInvalid, match="Negative values"):
        fit(NMFUnmixing(), {"cube": -mixture})
    with pytest.raises(InputInvalid, match="8 channels"):
        fit(NMFUnmixing(max_iter=2000), {"cube": mixture}).forward(cube=mixture[..., :4])
    with pytest.raises(GraphInvalid, match="beta_loss must be one of"):
        create("NMFUnmixing", "it", {"beta_loss": "l1"})
