"""The exact ROC curve."""

import numpy as np
import pytest

from swath.client import roc_auc, roc_curve


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
    [([1, 2], [1], "2 scores"), ([1, np.nan], [1, 0], "finite score"), ([1, 2], [1, 1], "unmarked")],
)
def test_what_has_no_curve_is_refused(scores: list, mask: list, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        roc_auc(scores, mask)


def test_scores_of_invalid_pixels_are_left_out() -> None:
    scores = [0.1, np.nan, 0.2, np.inf, 0.9, -np.inf]
    assert roc_auc(scores, [0, 1, 1, 0, 1, 1]) == roc_auc([0.1, 0.2, 0.9], [0, 1, 1])
