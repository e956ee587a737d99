"""The exact ROC curve."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.metrics import roc_curve as curve_of_scikit_learn

from swath.client import roc_auc, roc_curve

SCORES = {
    "logits": lambda normal: normal,
    "probabilities": lambda normal: (1 / (1 + np.exp(-normal))).astype(np.float32),
    "all negative": lambda normal: normal - 1e3,
    "huge": lambda normal: 1e300 * normal,
    "tiny": lambda normal: 1e-310 * normal,
    "few levels": lambda normal: normal.round(),
    "half precision": lambda normal: normal.astype(np.float16),
    "bytes": lambda normal: (normal * 20 + 128).clip(0, 255).astype(np.uint8),
}


@pytest.mark.parametrize("kind", SCORES)
def test_curve_and_area_are_those_of_scikit_learn(kind: str) -> None:
    rng = np.random.default_rng(1)
    normal = rng.standard_normal((40, 50))
    scores, mask = SCORES[kind](normal), normal + rng.standard_normal(normal.shape) > 2
    assert roc_auc(scores, mask) == pytest.approx(roc_auc_score(mask.ravel(), scores.ravel()), abs=1e-12)
    false_rate, true_rate, _ = curve_of_scikit_learn(mask.ravel(), scores.ravel(), drop_intermediate=False)
    np.testing.assert_allclose(roc_curve(scores, mask), (false_rate, true_rate), atol=1e-12)


def test_large_whole_numbers_are_told_apart() -> None:
    assert roc_auc([2**60 + 1, 2**60], [1, 0]) == 1.0


def test_scores_that_are_not_finite_are_left_out_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    scores = [0.1, np.nan, 0.2, np.inf, 0.9, -np.inf]
    assert roc_auc(scores, [0, 1, 1, 0, 1, 1]) == 1.0
    assert "3 of 6 scores are not finite and are left out" in caplog.text


def test_perfect_and_reversed_order() -> None:
    assert roc_auc([0.1, 0.2, 0.9], [0, 0, 1]) == 1.0
    assert roc_auc([0.9, 0.2, 0.1], [0, 0, 1]) == 0.0


def test_ties_count_half() -> None:
    assert roc_auc([1.0, 1.0, 1.0, 0.0], [1, 0, 0, 0]) == pytest.approx((0.5 + 0.5 + 1) / 3)


def test_area_is_the_share_of_pairs_in_order() -> None:
    rng = np.random.default_rng(0)
    scores, mask = rng.integers(0, 20, (30, 30)), rng.random((30, 30)) < 0.1
    marked, others = scores[mask][:, None], scores[~mask][None]
    pairs = (marked > others).mean() + 0.5 * (marked == others).mean()
    assert roc_auc(scores, mask) == pytest.approx(pairs, abs=1e-12)


def test_curve_goes_from_corner_to_corner() -> None:
    false_rate, true_rate = roc_curve([3, 1, 2, 2], [1, 0, 1, 0])
    assert (false_rate[0], true_rate[0], false_rate[-1], true_rate[-1]) == (0, 0, 1, 1)


@pytest.mark.parametrize(
    ("scores", "mask", "said"),
    [
        ([1, 2], [1], "2 scores"),
        ([1, np.nan], [1, 0], "unmarked elements, among those whose score is finite"),
        ([1, 2], [1, 1], "unmarked"),
        ([], [], "unmarked"),
    ],
)
def test_what_has_no_curve_is_refused(scores: list, mask: list, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        roc_auc(scores, mask)


def test_scores_of_invalid_pixels_are_left_out() -> None:
    scores = [0.1, np.nan, 0.2, np.inf, 0.9, -np.inf]
    assert roc_auc(scores, [0, 1, 1, 0, 1, 1]) == roc_auc([0.1, 0.2, 0.9], [0, 1, 1])
