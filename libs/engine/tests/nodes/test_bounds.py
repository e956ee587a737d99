"""Running bounds against a walk over the frames."""

import math

import numpy as np
import pytest
import torch

from swath.engine.mixins.bounds import RunningBounds, frame_bounds, to_unit


@pytest.fixture
def frames():
    return torch.rand(9, 6, 5, 2, generator=torch.Generator().manual_seed(0))


def _walk(frames, warmup, freeze):
    """The rule, one frame at a time."""
    low = torch.full((2,), torch.inf)
    high = -low
    rows = []
    for number, frame in enumerate(frames, start=1):
        pixels = frame.reshape(-1, 2)
        own = torch.quantile(pixels, 0.1, dim=0), torch.quantile(pixels, 0.8, dim=0)
        if freeze is None or number <= freeze:
            low, high = torch.minimum(low, own[0]), torch.maximum(high, own[1])
        rows.append(torch.stack(own if number <= warmup else (low, high)))
    return torch.stack(rows)


@pytest.mark.parametrize("sizes", [[9], [1] * 9, [4, 0, 5]])
@pytest.mark.parametrize(("warmup", "freeze"), [(2, 5), (5, 2), (0, None), (20, 20), (0, 1)])
def test_bounds_follow_the_rule_however_frames_come(frames, sizes, warmup, freeze):
    bounds = RunningBounds(0.1, 0.8, warmup=warmup, freeze_after=freeze)
    memory = torch.full((2,), torch.nan), torch.full((2,), torch.nan), torch.tensor(0)
    found = [torch.stack(bounds.advance(part, *memory), dim=1) for part in frames.split(sizes)]
    torch.testing.assert_close(torch.cat(found), _walk(frames, warmup, freeze))
    assert memory[2].item() == 9


def test_the_whole_range_needs_no_quantiles(frames):
    low, high = frame_bounds(frames, 0, 1)
    assert torch.equal(low, frames.reshape(9, -1, 2).amin(1))
    assert torch.equal(high, frames.reshape(9, -1, 2).amax(1))


def test_a_flat_channel_divides_by_the_least_span():
    assert to_unit(torch.tensor(3.0), torch.tensor(2.0), torch.tensor(2.0), 0.5).item() == 2.0


def test_quantiles_leave_out_what_is_not_finite():
    data = torch.tensor([5.0, math.nan, 1.0, math.inf, 3.0, 2.0]).reshape(1, 2, 3, 1)
    low, high = frame_bounds(data, 0.1, 0.5)
    assert (low.item(), high.item()) == pytest.approx(tuple(np.quantile([5, 1, 3, 2], [0.1, 0.5])))


def test_a_frame_without_a_finite_value_has_no_quantiles():
    low, high = frame_bounds(torch.full((1, 2, 2, 3), math.nan), 0.1, 0.9)
    assert low.isnan().all()
    assert high.isnan().all()
