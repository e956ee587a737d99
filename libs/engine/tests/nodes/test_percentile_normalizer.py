"""Quantile bounds against numpy."""

import numpy as np
import pytest
import torch

from swath.engine.nodes.normalization import PercentileNormalizer
from swath.errors import DataInvalid, InputInvalid, NotFitted


@pytest.fixture
def frames():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(6, 8, 7, 2, generator=generator) * torch.tensor([1.0, 5.0]) + 3


def _expected(data, low, high):
    return np.clip((data - low) / (high - low), 0, 1)


@pytest.mark.parametrize(
    ("hparams", "shares", "axes"),
    [
        ({}, (0, 1), (1, 2)),
        ({"joint_channels": True}, (0, 1), (1, 2, 3)),
        ({"per_frame_quantiles": True}, (0.005, 0.995), (1, 2)),
        ({"per_frame_quantiles": True, "joint_channels": True, "quantile_low": 0.1}, (0.1, 0.995), (1, 2, 3)),
    ],
)
def test_frames_by_themselves(frames, hparams, shares, axes):
    node = PercentileNormalizer(2, norm_mode="per_frame", **hparams)
    low, high = np.quantile(frames.double().numpy(), shares, axis=axes, keepdims=True)
    normalized = node.forward(data=frames)["normalized"]
    np.testing.assert_allclose(normalized.numpy(), _expected(frames.numpy(), low, high), rtol=1e-5, atol=1e-6)
    assert node.fitted
    assert not node.stateful


def test_running_bounds_widen_and_then_stay(frames):
    node = PercentileNormalizer(2, running_warmup_frames=1, freeze_running_bounds_after_frames=3)
    normalized = node.forward(data=frames)["normalized"]
    low, high = np.quantile(frames.double().numpy(), (0.005, 0.995), axis=(1, 2))
    for index, (least, largest) in enumerate([(0, 0), (0, 1), (0, 2), (0, 2), (0, 2), (0, 2)]):
        expected = _expected(frames[index].numpy(), low[least : largest + 1].min(0), high[least : largest + 1].max(0))
        np.testing.assert_allclose(normalized[index].numpy(), expected, rtol=1e-5, atol=1e-6)


def test_running_bounds_start_from_those_that_were_saved(frames):
    node, twin = PercentileNormalizer(2), PercentileNormalizer(2)
    node.forward(data=frames)
    twin.restore(node.state())
    first = twin.forward(data=frames)["normalized"]
    twin.forget()
    assert twin.stateful
    assert torch.equal(twin.forward(data=frames)["normalized"], first)
    assert twin.state()["_norm_frame_count"].item() == 12


def test_a_fresh_node_forgets_all(frames):
    node = PercentileNormalizer(2, running_warmup_frames=0)
    first = node.forward(data=frames[:1])["normalized"]
    node.forward(data=10 * frames)
    node.forget()
    assert torch.equal(node.forward(data=frames[:1])["normalized"], first)


@pytest.mark.parametrize(
    ("hparams", "sign", "low", "high"),
    [({}, 1, 0, 1), ({"clamp": "floor"}, 1, 0, np.inf), ({"clamp": "none", "invert": True}, -1, -np.inf, np.inf)],
)
def test_bounds_of_batches_widen_over_the_training_data(fit_data, frames, hparams, sign, low, high):
    node = fit_data(PercentileNormalizer(2, norm_mode="statistical", **hparams), *frames.split(3))
    values = sign * frames.double().numpy()
    bounds = np.quantile(values.reshape(2, -1, 2), (0.005, 0.995), axis=1)
    least, largest = bounds[0].min(0), bounds[1].max(0)
    expected = np.clip((values - least) / (largest - least), low, high)
    np.testing.assert_allclose(node.forward(data=frames)["normalized"].numpy(), expected, rtol=1e-5, atol=1e-5)


def test_pooled_bounds_are_those_of_all_pixels(fit_data, frames):
    node = PercentileNormalizer(2, norm_mode="statistical", statistical_fit="pooled", fit_subsample=2)
    fit_data(node, *frames.split(1))
    pixels = frames[:, ::2, ::2].reshape(-1, 2).double()
    low, high = np.quantile(pixels.numpy(), (0.005, 0.995), axis=0)
    np.testing.assert_allclose(node.running_min.numpy(), low, rtol=1e-5)
    np.testing.assert_allclose(node.running_max.numpy(), high, rtol=1e-5)


def test_a_pool_that_is_full_keeps_pixels_of_all_batches_alike(fit_data):
    hparams = {"statistical_fit": "pooled", "fit_subsample": 1, "max_fit_values": 400, "quantile_low": 0.25}
    node = PercentileNormalizer(1, norm_mode="statistical", quantile_high=0.75, **hparams)
    ramp = torch.arange(10_000.0).reshape(100, 10, 10, 1)
    fit_data(node, *ramp.split(5))
    # Quartiles of 400 pixels out of 10000 stray by some 200; they would sit far higher if late batches won.
    assert node.running_min.item() == pytest.approx(2500, abs=800)
    assert node.running_max.item() == pytest.approx(7500, abs=800)


def test_a_fit_is_repeatable_and_starts_anew(fit_data, frames):
    hparams = {"statistical_fit": "pooled", "fit_subsample": 1, "max_fit_values": 20}
    node = fit_data(PercentileNormalizer(2, norm_mode="statistical", **hparams), *frames.split(2))
    first = node.state()
    fit_data(node, 100 * frames)
    fit_data(node, *frames.split(2))
    assert torch.equal(node.state()["running_max"], first["running_max"])


def test_results_can_be_rounded_down_to_steps():
    node = PercentileNormalizer(1, norm_mode="per_frame", quantize_levels=2)
    data = torch.tensor([0.0, 0.4, 0.6, 1.0]).reshape(1, 1, 4, 1)
    assert node.forward(data=data)["normalized"].flatten().tolist() == [0.0, 0.0, 0.5, 1.0]


def test_fitted_bounds_need_a_fit_with_data(fit_data, frames):
    node = PercentileNormalizer(2, norm_mode="statistical")
    with pytest.raises(NotFitted):
        node.forward(data=frames)
    with pytest.raises(DataInvalid, match="1 pixel"):
        fit_data(node)
    with pytest.raises(DataInvalid, match="2 pixels"):
        fit_data(PercentileNormalizer(2, norm_mode="statistical", statistical_fit="pooled"), frames[:1, :1, :1])


def test_state_makes_the_same_node(fit_data, frames):
    node, twin = (PercentileNormalizer(2, norm_mode="statistical") for _ in range(2))
    twin.restore(fit_data(node, frames).state())
    assert twin.fitted
    assert torch.equal(twin.forward(data=frames)["normalized"], node.forward(data=frames)["normalized"])


def test_an_unfitted_state_of_the_reference_package_stays_unfitted():
    node = PercentileNormalizer(2, norm_mode="statistical")
    unfitted = {"running_min": torch.full((2,), torch.nan), "running_max": torch.full((2,), torch.nan)}
    node.restore(unfitted | {"_norm_frame_count": torch.tensor(0)})
    assert not node.fitted


def test_a_frame_needs_pixels():
    with pytest.raises(InputInvalid, match="at least one pixel"):
        PercentileNormalizer(2).forward(data=torch.zeros(1, 0, 3, 2))
    assert PercentileNormalizer(2).forward(data=torch.zeros(0, 3, 3, 2))["normalized"].shape == (0, 3, 3, 2)


@pytest.mark.parametrize(
    ("hparams", "words"),
    [
        ({"norm_mode": "never"}, "norm_mode"),
        ({"quantile_low": 0.9, "quantile_high": 0.1}, "quantile_low"),
        ({"clamp": "none"}, "clamp needs norm_mode 'statistical', got 'running'"),
        ({"joint_channels": True}, "joint_channels needs norm_mode 'per_frame'"),
        ({"norm_mode": "statistical", "seed": 1}, "seed needs statistical_fit 'pooled', got 'batch_bounds'"),
        ({"freeze_running_bounds_after_frames": 0}, "freeze_running_bounds_after_frames"),
        ({"quantize_levels": 0}, "quantize_levels"),
    ],
)
def test_arguments_are_checked(hparams, words):
    with pytest.raises(ValueError, match=words):
        PercentileNormalizer(2, **hparams)


@pytest.mark.parametrize("hparams", [{"norm_mode": "per_frame"}, {"norm_mode": "statistical", "clamp": "none"}])
def test_it_is_differentiable(fit_data, frames, hparams):
    node = PercentileNormalizer(2, **hparams)
    if node.needs_fit():
        fit_data(node, frames)
    leaf = frames[:1, :3, :3].double().requires_grad_()
    assert torch.autograd.gradcheck(lambda values: node.forward(data=values)["normalized"], leaf)
