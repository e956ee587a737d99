"""Samples of pixels, and states that get their size at a fit."""

import re

import pytest
import torch

from swath.engine.mixins.pixel_fit import PixelSample
from swath.engine.nodes.clustering.gmm import GaussianMixtureClusterer
from swath.engine.nodes.clustering.kmeans import KMeansClusterer
from swath.engine.nodes.pretreatments.scaling import MeanCenter
from swath.engine.nodes.unmixing.nmf import NMFUnmixing


def _rows(count):
    return torch.arange(float(count)).reshape(-1, 1)


@pytest.mark.parametrize("size", [0, 10, 11])
def test_all_rows_stay_where_there_are_few(size):
    sample = PixelSample(size, seed=0)
    for batch in _rows(10).split(4):
        sample.add(batch)
    assert torch.equal(sample.draw(), _rows(10))


def test_more_rows_than_asked_for_are_chosen_by_one_permutation():
    sample = PixelSample(5, seed=3)
    for batch in _rows(20).split(6):
        sample.add(batch)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(3))
    assert torch.equal(sample.draw().flatten(), order[:5].float())


def test_a_long_pass_is_thinned_evenly():
    taken = torch.zeros(60)
    for seed in range(400):
        sample = PixelSample(6, seed=seed, held_values=10)
        for batch in _rows(60).split(7):
            sample.add(batch)
        chosen = sample.draw().flatten().long()
        assert len(chosen.unique()) == 6
        taken[chosen] += 1
    # 40 of 400 times each, with a standard deviation of 6.
    assert taken.min() > 15
    assert taken.max() < 65


def test_no_rows_give_no_rows():
    assert PixelSample(5, seed=0).draw().numel() == 0


def test_rows_are_copied():
    batch = _rows(3)
    sample = PixelSample(0, seed=0)
    sample.add(batch)
    batch.zero_()
    assert torch.equal(sample.draw(), _rows(3))


def test_an_unfitted_state_is_empty_and_stays_unfitted():
    node, other = MeanCenter(), MeanCenter()
    assert node.state()["mean_c"].shape == (0,)
    assert other.faults(node.state(), strict=True) == []
    other.restore(node.state())
    assert not other.fitted


def test_a_state_of_other_sizes_replaces_an_earlier_one(fit):
    node, wide = (
        fit(MeanCenter(), {"cube": torch.ones(1, 1, 2, 3)}),
        fit(MeanCenter(), {"cube": torch.ones(1, 1, 2, 5)}),
    )
    node.restore(wide.state())
    assert node.forward(cube=torch.ones(1, 1, 1, 5))["cube"].abs().sum() == 0


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"means": torch.ones(2, 4)}, r"means has shape \[2, 4\], expected \[3, C\]"),
        ({"weights": torch.ones(3, 1)}, r"weights has shape \[3, 1\], expected \[3\]"),
        ({"precisions_chol": torch.ones(3, 4, 5)}, r"precisions_chol has shape \[3, 4, 5\], expected \[3, 4, 4\]"),
        ({"means": torch.ones(3, 0)}, r"means has shape \[3, 0\]"),
        ({"_initialized": torch.ones(2)}, r"_initialized has shape \[2\], expected \[1\]"),
    ],
)
def test_sizes_of_a_state_must_agree(state, words):
    fitting = {
        "_initialized": torch.ones(1),
        "means": torch.ones(3, 4),
        "weights": torch.ones(3),
        "precisions_chol": torch.ones(3, 4, 4),
    }
    node = GaussianMixtureClusterer(3)
    assert node.faults(fitting, strict=True) == []
    (fault,) = node.faults(fitting | state, strict=True)
    assert re.search(words, fault)


def test_missing_and_unexpected_entries_are_named():
    faults = KMeansClusterer().faults({"_initialized": torch.ones(1), "centres": torch.ones(1)}, strict=True)
    assert faults[:2] == ["KMeansClusterer.centroids is missing", "KMeansClusterer.centres is unexpected"]


def test_a_trained_statistic_stays_a_parameter(fit):
    node = fit(NMFUnmixing(2), {"cube": torch.rand(1, 5, 5, 4)})
    node.unfreeze()
    node.restore({"_initialized": torch.ones(1), "endmembers_buf": torch.ones(2, 6)})
    assert [tuple(value.shape) for value in node.parameters()] == [(2, 6)]
