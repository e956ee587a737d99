"""Bands chosen by labels, against scikit-learn and SciPy."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import mutual_info_score, roc_auc_score

from swath.engine.nodes.channel_selector import (
    SupervisedCIRSelector,
    SupervisedFullSpectrumSelector,
    SupervisedWindowedSelector,
)
from swath.engine.ops.separability import choose, correlations, separability
from swath.errors import DataInvalid, InputInvalid, NotFitted

BANDS = 12
WAVELENGTHS = torch.linspace(440, 910, BANDS)


@pytest.fixture
def labelled():
    generator = torch.Generator().manual_seed(3)
    cube = torch.rand(2, 8, 9, BANDS, generator=generator)
    mask = torch.rand(2, 8, 9, 1, generator=generator) > 0.6
    return cube + mask * torch.linspace(0, 0.5, BANDS), mask


def _fit(node, labelled):
    cube, mask = labelled
    node.begin_fit()
    for frame in range(len(cube)):
        part = slice(frame, frame + 1)
        node.fit_batch({"cube": cube[part], "mask": mask[part], "wavelengths": WAVELENGTHS})
    node.end_fit()
    return node


@pytest.fixture
def fitted(labelled):
    return _fit(SupervisedFullSpectrumSelector(num_spectral_bands=BANDS, lambda_penalty=0.0), labelled)


def test_the_scores_are_those_of_the_books(fitted, labelled):
    pixels, flags = labelled[0].reshape(-1, BANDS).double().numpy(), labelled[1].flatten().numpy()
    for band, values in enumerate(pixels.T):
        inside, outside = values[flags], values[~flags]
        fisher = (inside.mean() - outside.mean()) ** 2 / (inside.var() + outside.var())
        assert fitted.fisher_scores[band].item() == pytest.approx(fisher, rel=1e-5)
        assert fitted.auc_scores[band].item() == pytest.approx(roc_auc_score(flags, values), rel=1e-6)
        bins = np.digitize(values, np.linspace(values.min(), values.max(), 10))
        bits = mutual_info_score(flags, bins) / math.log(2)
        assert fitted.mi_scores[band].item() == pytest.approx(bits, rel=1e-4)


def test_without_a_penalty_the_best_three_are_taken(fitted):
    assert fitted.selected_indices.tolist() == fitted.band_scores.topk(3).indices.tolist()


def test_the_chosen_bands_are_shown(fitted, labelled):
    node = SupervisedFullSpectrumSelector(num_spectral_bands=BANDS, normalize_output=False)
    node.restore(fitted.state())
    outputs = node.forward(cube=labelled[0], wavelengths=WAVELENGTHS)
    bands = fitted.selected_indices.tolist()
    torch.testing.assert_close(outputs["rgb_image"], labelled[0][..., bands])
    assert outputs["band_info"]["band_indices"] == bands


def test_a_band_that_says_the_same_is_passed_over():
    scores = np.array([1.0, 0.9, 0.3, 0.1])
    correlation = np.array([[1, 0.95, 0.1, 0], [0.95, 1, 0.1, 0], [0.1, 0.1, 1, 0], [0, 0, 0, 1.0]])
    # Band 1 is worth 0.9 - 0.95, band 2 0.3 - 0.1 and band 3 0.1 - 0.
    assert choose(scores, correlation, [range(4)] * 3, 1.0, repeats=False)[:2] == [0, 2]
    assert choose(scores, correlation, [range(4)] * 3, 0.0, repeats=False) == [0, 1, 2]
    assert choose(scores, correlation, [[1], [1, 3]], 1.0, repeats=True) == [1, 3]


@pytest.mark.parametrize("rounding", [0.0, 1e-15, -1e-15])
def test_of_bands_that_are_worth_the_same_the_first_is_taken(rounding):
    scores = np.array([0.5, 2.0, 2.0 + rounding, 1.0])
    assert choose(scores, np.eye(4), [range(4)], 0.0, repeats=False) == [1]


def test_correlations_are_absolute_and_zero_with_a_constant_band():
    pixels = torch.tensor([[1.0, -2.0, 5.0], [2.0, -4.0, 5.0], [3.0, -6.0, 5.0]])
    np.testing.assert_allclose(correlations(pixels), [[1, 1, 0], [1, 1, 0], [0, 0, 0]], atol=1e-12)


def test_a_band_that_never_varies_tells_nothing():
    scores = separability(torch.ones(4, 1), torch.tensor([True, False, True, False]))
    assert (scores.fisher.item(), scores.auc.item(), scores.information.item()) == (0.0, 0.5, 0.0)


@pytest.mark.parametrize(
    ("cls", "windows"),
    [
        (SupervisedCIRSelector, [(840, 910), (650, 720), (500, 570)]),
        (SupervisedWindowedSelector, [(440, 500), (500, 580), (610, 700)]),
    ],
)
def test_one_band_is_taken_from_each_range(cls, windows, labelled):
    node = _fit(cls(num_spectral_bands=BANDS), labelled)
    info = node.forward(cube=labelled[0], wavelengths=WAVELENGTHS)["band_info"]
    for wavelength, (shortest, longest) in zip(info["band_wavelengths_nm"], windows, strict=True):
        assert shortest <= wavelength <= longest


def test_a_statistical_fit_learns_bounds_too(labelled):
    node = _fit(SupervisedCIRSelector(num_spectral_bands=BANDS, norm_mode="statistical"), labelled)
    chosen = labelled[0][..., node.selected_indices.tolist()].double().flatten(1, 2)
    torch.testing.assert_close(node.running_max, chosen.quantile(0.995, dim=1).amax(0).float())


def test_a_choice_without_bounds_stands(fitted, labelled):
    node = SupervisedFullSpectrumSelector(num_spectral_bands=BANDS, norm_mode="statistical")
    node.restore(fitted.state())
    assert node.fitted
    assert node.forward(cube=labelled[0], wavelengths=WAVELENGTHS)["rgb_image"].isfinite().all()


def test_before_the_fit_there_is_no_choice(labelled):
    with pytest.raises(NotFitted):
        SupervisedCIRSelector(num_spectral_bands=BANDS).forward(cube=labelled[0], wavelengths=WAVELENGTHS)


def test_a_fit_takes_both_classes(labelled):
    with pytest.raises(DataInvalid, match="1 pixel of each class"):
        _fit(SupervisedCIRSelector(num_spectral_bands=BANDS), (labelled[0], torch.zeros_like(labelled[1])))


def test_a_fit_takes_masks(labelled):
    node = SupervisedCIRSelector(num_spectral_bands=BANDS)
    node.begin_fit()
    node.fit_batch({"cube": labelled[0], "wavelengths": WAVELENGTHS})
    with pytest.raises(DataInvalid, match="1 frame with a mask"):
        node.end_fit()


def test_a_mask_covers_the_cube(labelled):
    node = SupervisedCIRSelector(num_spectral_bands=BANDS)
    with pytest.raises(InputInvalid, match="mask"):
        node.fit_batch({"cube": labelled[0], "wavelengths": WAVELENGTHS, "mask": labelled[1][:1]})


@pytest.mark.parametrize(
    "hparams", [{"num_spectral_bands": 2}, {"score_weights": [1, 1]}, {"lambda_penalty": math.inf}]
)
def test_arguments_are_checked(hparams):
    with pytest.raises(ValueError, match=next(iter(hparams))):
        SupervisedFullSpectrumSelector(**({"num_spectral_bands": 5} | hparams))
