"""Streaming moments against those of the whole."""

import pytest
import torch

from swath.engine.ops import statistics
from swath.engine.ops.statistics import Moments, principal_components


@pytest.fixture
def rows():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(500, 6, generator=generator) * torch.arange(1.0, 7.0) + 1e4


@pytest.mark.parametrize("sizes", [[500], [1, 499], [100, 0, 250, 150]])
def test_batches_of_any_size_merge(rows, sizes):
    moments = Moments(covariance=True)
    for part in rows.split(sizes):
        moments.add(part)
    exact = rows.double()
    assert moments.count == 500
    torch.testing.assert_close(moments.mean, exact.mean(0), rtol=1e-14, atol=0)
    torch.testing.assert_close(moments.covariance, exact.T.cov(), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(moments.variance, exact.var(0), rtol=1e-9, atol=0)


def test_large_batches_are_taken_in_pieces(rows, monkeypatch):
    monkeypatch.setattr(statistics, "_ROWS", 64)
    moments = Moments()
    moments.add(rows)
    torch.testing.assert_close(moments.variance, rows.double().var(0), rtol=1e-9, atol=0)


def test_the_data_stays_as_it_was(rows):
    exact, before = rows.double(), rows.double()
    Moments().add(exact)
    assert torch.equal(exact, before)


@pytest.mark.parametrize("rounding", [0.0, 1e-14, -1e-14])
def test_the_first_of_two_entries_that_only_rounding_tells_apart_gives_a_direction_its_sign(rounding):
    covariance = torch.tensor([[1.0 + rounding, -0.9], [-0.9, 1.0]], dtype=torch.float64)
    _, directions = principal_components(covariance, 2)
    expected = torch.tensor([[1.0, -1.0], [1.0, 1.0]], dtype=torch.float64) / 2**0.5
    torch.testing.assert_close(directions, expected)
