"""Deep SVDD's nodes by hand-computed values."""

import math

import pytest
import torch

from swath.engine.graph.context import Context
from swath.engine.graph.ports import Stage
from swath.engine.nodes.anomaly.deep_svdd import (
    DeepSVDDCenterTracker,
    DeepSVDDProjection,
    DeepSVDDScores,
    ZScoreNormalizerGlobal,
)
from swath.errors import InputInvalid, NotFitted


def test_z_scores_have_no_mean_and_unit_spread():
    data = torch.randn(2, 5, 5, 3) * torch.tensor([1.0, 10.0, 100.0]) + 7
    node = ZScoreNormalizerGlobal(num_channels=3, eps=0.5)
    node.begin_fit()
    for frame in data.split(1):
        node.fit_batch({"data": frame})
    node.end_fit()
    rows = data.reshape(-1, 3)
    expected = (rows - rows.mean(0)) / (rows.std(0) + 0.5)
    torch.testing.assert_close(node.forward(data=data)["normalized"].reshape(-1, 3), expected)


def test_z_scores_need_a_fit():
    with pytest.raises(NotFitted):
        ZScoreNormalizerGlobal(num_channels=3).forward(data=torch.zeros(1, 1, 1, 3))


def test_the_projection_is_two_layers():
    node = DeepSVDDProjection(in_channels=2, rep_dim=1, hidden=2)
    node.restore(
        {
            "net.fc1.weight": torch.tensor([[1.0, 0.0], [0.0, 1.0]]),
            "net.fc1.bias": torch.tensor([0.5, -10.0]),
            "net.fc2.weight": torch.tensor([[2.0, 3.0]]),
        }
    )
    assert node.forward(data=torch.tensor([1.0, 4.0]).reshape(1, 1, 1, 2))["embeddings"].item() == 3.0


def test_chunks_change_nothing():
    torch.manual_seed(0)
    node = DeepSVDDProjection(in_channels=3, rep_dim=2, hidden=4, mlp_forward_batch_size=7)
    data = torch.randn(2, 4, 5, 3)
    torch.testing.assert_close(node.forward(data=data)["embeddings"], node.net(data))


def test_random_features_approximate_the_rbf_kernel():
    torch.manual_seed(0)
    node = DeepSVDDProjection(in_channels=2, kernel="rbf", n_rff=16_384, gamma=0.7)
    assert isinstance(node.net, torch.nn.Sequential)
    features = node.net[0](torch.tensor([[0.0, 0.0], [1.0, 0.5]]))
    assert (features[0] @ features[1]).item() == pytest.approx(math.exp(-0.7 * 1.25), abs=0.03)
    assert set(node.state()) >= {"net.0.W", "net.0.b", "net.0.z_scale", "net.1.fc1.weight"}


def test_the_projection_is_differentiable():
    torch.manual_seed(0)
    node = DeepSVDDProjection(in_channels=3, rep_dim=2, hidden=4).double()
    data = torch.randn(1, 2, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda values: node.forward(data=values)["embeddings"], (data,))


@pytest.fixture
def tracker():
    node = DeepSVDDCenterTracker(rep_dim=2, alpha=0.25)
    node.begin_fit()
    node.fit_batch({"embeddings": torch.tensor([[1.0, 0.0], [3.0, 4.0]]).reshape(1, 1, 2, 2)})
    node.end_fit()
    return node


@pytest.mark.parametrize(
    ("stage", "center"), [(Stage.TRAIN, [3.5, 3.5]), (Stage.VAL, [2.0, 2.0]), (Stage.INFERENCE, [2.0, 2.0])]
)
def test_the_centre_moves_in_training_alone(tracker, stage, center):
    batch = torch.full((1, 2, 2, 2), 8.0)
    outputs = tracker.forward(embeddings=batch, context=Context(stage))
    assert outputs["center"].tolist() == center


def test_the_centre_moves_in_evaluation_when_asked():
    node = DeepSVDDCenterTracker(rep_dim=1, alpha=1.0, update_in_eval=True)
    node.restore({"_tracked_center": torch.zeros(1)})
    outputs = node.forward(embeddings=torch.full((1, 1, 1, 1), 8.0), context=Context(Stage.TEST))
    assert outputs["center"].item() == 8.0
    assert outputs["metrics"][0].name == "deepsvdd_center/norm"
    assert outputs["metrics"][0].value == 8.0


def test_a_centre_handed_out_stays_as_it_was(tracker):
    center = tracker.forward(embeddings=torch.zeros(1, 1, 1, 2))["center"]
    tracker.forward(embeddings=torch.ones(1, 1, 1, 2), context=Context(Stage.TRAIN))
    assert center.tolist() == [2.0, 2.0]


def test_scores_are_squared_distances():
    outputs = DeepSVDDScores().forward(
        embeddings=torch.tensor([4.0, 5.0]).reshape(1, 1, 1, 2), center=torch.tensor([1.0, 1.0])
    )
    assert outputs["scores"].item() == 25.0


def test_a_centre_of_another_width_is_refused():
    with pytest.raises(InputInvalid, match="as wide as the embeddings"):
        DeepSVDDScores().forward(embeddings=torch.zeros(1, 1, 1, 2), center=torch.zeros(3))
