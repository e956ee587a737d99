"""Quantiles and means of the highest values against torch and by hand."""

import pytest
import torch

from swath.engine.ops.ranks import first_largest, largest, quantile, top_mean

SHARES = [0.0, 0.005, 0.25, 0.5, 0.51, 0.995, 1.0]


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("size", [1, 2, 7, 400])
def test_a_quantile_is_that_of_torch(share, size):
    rows = torch.randn(3, 2, size, dtype=torch.float64)
    torch.testing.assert_close(quantile(rows, share), torch.quantile(rows, share, dim=-1))


@pytest.mark.parametrize("share", SHARES)
def test_a_nan_makes_its_row_nan(share):
    rows = torch.tensor([[1.0, torch.nan, 3.0], [1.0, 2.0, 3.0]])
    assert quantile(rows, share).isnan().tolist() == [True, False]


def test_infinities_do_not_spoil_exact_ranks():
    assert quantile(torch.tensor([-torch.inf, 0.0, torch.inf]), 0.5).item() == 0.0


@pytest.mark.parametrize(("share", "expected"), [(0.25, 4.0), (0.3, 3.5), (1.0, 2.5), (1e-9, 4.0)])
def test_the_highest_are_averaged(share, expected):
    assert top_mean(torch.tensor([1.0, 4.0, 2.0, 3.0]), share).item() == expected


def test_a_thousandth_of_a_million_is_a_thousand():
    rows = torch.zeros(3_000_000)
    rows[:3000] = 1.0
    assert top_mean(rows, 0.001).item() == 1.0


def test_the_first_of_what_only_rounding_tells_apart_is_taken():
    values = torch.tensor([[1.0, 3.0, 3.0 + 3e-7], [3.0, 3.0, 3.0], [-2.0, -1.0 - 1e-7, -1.0], [0.0, 1e-3, 2e-3]])
    assert first_largest(values, 1e-6).tolist() == [1, 0, 1, 2]
    assert first_largest(torch.tensor([1.0, torch.nan, 3.0]), 1e-6).item() == 0


def test_of_equal_values_the_first_come_first():
    assert largest(torch.tensor([1.0, 3.0] + [2.0] * 30), 4).tolist() == [1, 2, 3, 4]
    assert largest(torch.zeros(100), 3).tolist() == [0, 1, 2]
    assert largest(torch.ones(2), 5).tolist() == [0, 1]
