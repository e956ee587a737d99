"""Clusters and the one-class machine against scikit-learn in float64."""

import numpy as np
import pytest
import torch
from scipy.stats import norm
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture
from sklearn.svm import OneClassSVM

from swath.engine.graph.registry import create
from swath.engine.nodes.clustering.gmm import GaussianMixtureClusterer
from swath.engine.nodes.clustering.kmeans import KMeansClusterer
from swath.engine.nodes.svm import OneClassSVMDetector
from swath.errors import DataInvalid, GraphInvalid, InputInvalid, NotFitted


@pytest.fixture
def cube():
    """Three groups of spectra on a large offset, as radiances are."""
    generator = torch.Generator().manual_seed(0)
    centres = 30 * torch.randn(3, 6, generator=generator)
    group = torch.arange(2 * 10 * 12) % 3
    return (centres[group] + torch.randn(240, 6, generator=generator) + 2000).reshape(2, 10, 12, 6)


def _rows(cube):
    return cube.double().reshape(-1, cube.shape[-1]).numpy()


def test_each_pixel_goes_to_the_nearest_centroid(cube, fit):
    node = fit(KMeansClusterer(n_clusters=3), {"cube": cube[:1]}, {"cube": cube[1:]})
    outputs = node.forward(cube=cube)
    expected = KMeans(3, random_state=0).set_params(n_init=10).fit(_rows(cube))
    distances = np.linalg.norm(_rows(cube)[:, None] - expected.cluster_centers_, axis=-1)
    assert np.array_equal(outputs["class_mask"].flatten().numpy(), expected.predict(_rows(cube)))
    np.testing.assert_allclose(outputs["scores"].flatten().numpy(), distances.min(axis=1), rtol=1e-4)


def test_centroids_can_be_given():
    node = KMeansClusterer(n_clusters=2)
    node.restore({"centroids": torch.tensor([[0.0, 0.0], [3.0, 4.0]]), "_initialized": torch.ones(1)})
    outputs = node.forward(cube=torch.tensor([[0.0, 1.0], [3.0, 2.0]]).reshape(1, 1, 2, 2))
    assert outputs["class_mask"].flatten().tolist() == [0, 1]
    assert outputs["scores"].flatten().tolist() == [1.0, 2.0]


@pytest.mark.parametrize("cls", [KMeansClusterer, GaussianMixtureClusterer])
def test_the_fit_looks_where_the_mask_is_above_zero(cls, cube, fit):
    mask = torch.zeros(2, 10, 12, dtype=torch.int32)
    mask[0] = 7
    masked = fit(cls(3), {"cube": cube, "mask": mask}).state()
    alone = fit(cls(3), {"cube": cube[:1]}).state()
    assert all(torch.equal(masked[key], alone[key]) for key in alone)


def test_a_mask_covers_the_cube(cube, fit):
    with pytest.raises(InputInvalid, match="mask"):
        fit(KMeansClusterer(), {"cube": cube, "mask": torch.ones(1, 10, 12, dtype=torch.int32)})


def test_the_mixture_is_that_of_scikit_learn(cube, fit):
    node = fit(GaussianMixtureClusterer(3), {"cube": cube})
    outputs = node.forward(cube=cube)
    model = GaussianMixture(3, random_state=0).fit(_rows(cube))
    assert np.array_equal(outputs["class_mask"].flatten().numpy(), model.predict(_rows(cube)))
    np.testing.assert_allclose(
        outputs["abundances"].reshape(-1, 3).numpy(), model.predict_proba(_rows(cube)), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(outputs["scores"].flatten().numpy(), model.score_samples(_rows(cube)), rtol=1e-5)


def test_one_component_has_the_density_of_a_normal_distribution():
    node = GaussianMixtureClusterer(1)
    node.restore(
        {
            "means": torch.tensor([[1.0]]),
            "precisions_chol": torch.tensor([[[0.5]]]),
            "weights": torch.ones(1),
            "_initialized": torch.ones(1),
        }
    )
    outputs = node.forward(cube=torch.full((1, 1, 1, 1), 5.0))
    assert outputs["scores"].item() == pytest.approx(norm.logpdf(5, loc=1, scale=2))
    assert outputs["abundances"].item() == 1


@pytest.mark.parametrize("gamma", ["scale", "auto", 0.02])
def test_the_decision_function_is_that_of_scikit_learn(cube, fit, gamma):
    node = fit(OneClassSVMDetector(nu=0.2, gamma=gamma, chunk_size=100), {"cube": cube})
    outputs = node.forward(cube=cube + 1)
    expected = OneClassSVM(nu=0.2, gamma=gamma).fit(_rows(cube)).decision_function(_rows(cube + 1))
    np.testing.assert_allclose(outputs["scores"].flatten().numpy(), expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(outputs["decisions"], outputs["scores"] < 0)


_NODES = [KMeansClusterer(n_clusters=3), GaussianMixtureClusterer(), OneClassSVMDetector()]


@pytest.mark.parametrize("node", _NODES, ids=lambda node: type(node).__name__)
def test_what_was_learnt_travels_with_the_state(node, cube, fit):
    other = type(node)(*([3] if "n_clusters" in node.hparams else []))
    fit(node, {"cube": cube})
    assert other.faults(node.state(), strict=True) == []
    other.restore(node.state())
    first, second = node.forward(cube=cube), other.forward(cube=cube)
    assert all(torch.equal(first[port], second[port]) for port in first)


@pytest.mark.parametrize("cls", [KMeansClusterer, GaussianMixtureClusterer, OneClassSVMDetector])
def test_a_fit_takes_enough_valid_pixels(cls, cube, fit):
    with pytest.raises(NotFitted):
        cls().forward(cube=cube)
    with pytest.raises(DataInvalid, match="at least"):
        fit(cls(), {"cube": cube[:1, :1, :1]})
    with pytest.raises(DataInvalid, match=r"got 0; \d+ invalid pixels \(a band is not finite\) are left out"):
        fit(cls(), {"cube": torch.full_like(cube, torch.nan)})


def test_a_cube_has_the_channels_of_the_fit(cube, fit):
    with pytest.raises(InputInvalid, match="6 channels, as at the fit"):
        fit(KMeansClusterer(), {"cube": cube}).forward(cube=cube[..., :3])


def test_a_fit_that_does_not_converge_says_so(cube, fit, caplog):
    fit(GaussianMixtureClusterer(3, max_iter=1, reg_covar=1e-3), {"cube": cube})
    assert "did not converge" in caplog.text


@pytest.mark.parametrize(
    ("name", "hparams", "words"),
    [
        ("KMeansClusterer", {"init": "best"}, "init must be one of"),
        ("KMeansClusterer", {"max_fit_pixels": -1}, "max_fit_pixels must be at least 0"),
        ("GaussianMixtureClusterer", {"covariance_type": "diag"}, "covariance_type must be one of full"),
        ("OneClassSVMDetector", {"kernel": "linear"}, "kernel must be one of rbf"),
        ("OneClassSVMDetector", {"nu": 1.5}, "nu must be at most 1"),
        ("OneClassSVMDetector", {"gamma": "wide"}, "gamma must be one of scale, auto"),
    ],
)
def test_hparams_that_no_fit_takes_are_refused(name, hparams, words):
    with pytest.raises(GraphInvalid, match=words):
        create(name, "it", hparams)


@pytest.mark.parametrize("node", _NODES, ids=lambda node: type(node).__name__)
def test_gradients_are_those_of_finite_differences(node, cube, fit):
    fit(node.double(), {"cube": cube})
    data = cube[:1, :2, :2].double().requires_grad_()
    assert torch.autograd.gradcheck(lambda values: node.forward(cube=values)["scores"], data)
