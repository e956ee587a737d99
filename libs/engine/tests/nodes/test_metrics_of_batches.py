"""Numbers read off single batches, by hand and against numpy."""

import math

import numpy as np
import pytest
import torch

from swath.engine.graph.context import Context
from swath.engine.graph.ports import Stage
from swath.engine.nodes.metrics import (
    AnomalyPixelStatisticsMetric,
    ComponentOrthogonalityMetric,
    DistinctLabelCount,
    ExplainedVarianceMetric,
    ScoreStatisticsMetric,
    SelectorDiversityMetric,
    SelectorEntropyMetric,
)
from swath.errors import InputInvalid

VAL = Context(Stage.VAL)


def _measured(node, **inputs):
    return {item.name: item.value for item in node.forward(context=VAL, **inputs)["metrics"]}


def test_shares_of_the_variance_add_up():
    assert _measured(ExplainedVarianceMetric(), explained_variance_ratio=torch.tensor([0.5, 0.25])) == {
        "explained_variance_pc1": 0.5,
        "explained_variance_pc2": 0.25,
        "total_explained_variance": 0.75,
        "cumulative_variance_pc1": 0.5,
        "cumulative_variance_pc2": 0.75,
    }


def test_directions_are_compared_with_orthonormal_ones():
    # The Gram matrix is [[4, 2], [2, 2]].
    components = torch.tensor([[2.0, 0.0], [1.0, 1.0]])
    assert _measured(ComponentOrthogonalityMetric(), components=components) == pytest.approx(
        {
            "orthogonality_error": math.sqrt(9 + 4 + 4 + 1),
            "avg_off_diagonal": (3 + 2 + 2 + 1) / 4,
            "diagonal_mean": 3.0,
            "diagonal_std": math.sqrt(2),
        }
    )


def test_a_single_direction_has_no_spread():
    assert _measured(ComponentOrthogonalityMetric(), components=torch.ones(1, 4)) == {
        "orthogonality_error": 3.0,
        "avg_off_diagonal": 3.0,
        "diagonal_mean": 4.0,
    }
    with pytest.raises(InputInvalid, match="at least one direction"):
        _measured(ComponentOrthogonalityMetric(), components=torch.ones(0, 4))


def _statistics(values):
    """What numpy makes of all scores, float64 [N]."""
    return {
        "scores/mean": values.mean(),
        "scores/std": values.std(ddof=1),
        "scores/min": values.min(),
        "scores/max": values.max(),
        "scores/median": np.sort(values)[(values.size - 1) // 2],
        **{f"scores/q{percent}": np.percentile(values, percent) for percent in (25, 75, 95, 99)},
    }


@pytest.mark.parametrize("shape", [(2, 5, 7), (1, 4, 4)])
def test_statistics_of_scores(shape):
    scores = torch.randn(shape) + 3
    values = scores.double().flatten().numpy()
    assert _measured(ScoreStatisticsMetric(), scores=scores) == pytest.approx(_statistics(values), rel=1e-6)


def test_a_single_score_has_no_spread_and_no_score_no_statistics():
    names = ("mean", "min", "max", "median", "q25", "q75", "q95", "q99")
    assert _measured(ScoreStatisticsMetric(), scores=torch.ones(1, 1, 1)) == {f"scores/{name}": 1.0 for name in names}
    assert _measured(ScoreStatisticsMetric(), scores=torch.ones(0, 2, 2)) == {}


@pytest.mark.parametrize("batches", [(6,), (1, 5), (2, 1, 3)])
def test_statistics_of_a_split_are_those_of_all_its_scores_together(batches):
    scores = torch.randn(6, 5, 7, generator=torch.Generator().manual_seed(4)).exp()
    scores[0] += 100
    scores[1, :2] = math.nan
    scores[3, 0, 0] = -math.inf
    node = ScoreStatisticsMetric()
    for batch in scores.split(batches):
        node.forward(context=VAL, scores=batch)
    values = scores[scores.isfinite()].double().numpy()
    expected = {**_statistics(values), "scores/invalid_pixels": 15}
    assert node.compute() == pytest.approx(expected, rel=1e-6)
    assert node.metric_names({"scores"}) == set(expected)


def test_anomalous_pixels_are_counted_over_all_batches():
    node = AnomalyPixelStatisticsMetric()
    assert _measured(node) == {}
    node.forward(context=VAL, decisions=torch.ones(1, 2, 2, 1, dtype=torch.bool))
    assert _measured(node, decisions=torch.zeros(3, 2, 2, 1, dtype=torch.bool)) == {
        "anomaly/total_pixels": 16.0,
        "anomaly/anomalous_pixels": 4.0,
        "anomaly/anomaly_percentage": 25.0,
    }


@pytest.mark.parametrize("later", [Context(Stage.TEST), Context(Stage.VAL, epoch=1)])
def test_counts_start_anew_with_a_stage_or_epoch(later):
    node = AnomalyPixelStatisticsMetric()
    node.forward(context=VAL, decisions=torch.ones(1, 2, 2, 1, dtype=torch.bool))
    node.forward(context=later, decisions=torch.ones(1, 1, 1, 1, dtype=torch.bool))
    assert node.compute()["anomaly/total_pixels"] == 1.0


def test_labels_are_counted_in_each_frame():
    labels = torch.tensor([[0, 5, 5, 2], [0, 0, 0, 0], [-1, 7, 7, 7]], dtype=torch.int32).reshape(3, 2, 2)
    outputs = DistinctLabelCount().forward(mask=labels)
    assert outputs["count"].dtype is torch.int64
    assert outputs["count"].tolist() == [2, 0, 2]
    assert [(item.name, item.value) for item in outputs["metrics"]] == [
        ("num_distinct_labels", 2.0),
        ("num_distinct_labels", 0.0),
        ("num_distinct_labels", 2.0),
    ]


@pytest.mark.parametrize("shape", [(0, 2, 2), (2, 0, 2)])
def test_where_there_is_nothing_there_are_no_labels(shape):
    assert DistinctLabelCount().forward(mask=torch.zeros(shape, dtype=torch.int32))["count"].tolist() == [0] * shape[0]


def test_entropy_of_equal_weights():
    measured = _measured(SelectorEntropyMetric(eps=1e-12), weights=torch.full((4,), 0.75))
    assert measured == {"selector/entropy": pytest.approx(math.log(4))}


def test_diversity_of_weights():
    # Gini: mean absolute difference over twice the mean, |1-3| twice in 4 pairs, over 4.
    assert _measured(SelectorDiversityMetric(), weights=torch.tensor([3.0, 1.0])) == pytest.approx(
        {"weight_variance": 1.0, "gini_coefficient": 0.25}
    )


def test_weights_that_sum_to_zero_have_no_gini_coefficient():
    assert _measured(SelectorDiversityMetric(), weights=torch.zeros(3)) == {"weight_variance": 0.0}
    with pytest.raises(InputInvalid, match="at least one weight"):
        _measured(SelectorDiversityMetric(), weights=torch.zeros(0))
