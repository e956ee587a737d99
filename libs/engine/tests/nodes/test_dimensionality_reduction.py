"""Principal components against scikit-learn, and projections from files."""

import numpy as np
import pytest
import torch
from sklearn import decomposition

from swath.engine.graph.context import Context
from swath.engine.nodes.dimensionality_reduction import PCA, FixedPCAProjection, TrainablePCA
from swath.errors import DataInvalid, FileMissing, InputInvalid, NotFitted


@pytest.fixture
def data():
    """Correlated channels on a large offset."""
    generator = torch.Generator().manual_seed(0)
    mixed = torch.randn(2, 6, 7, 3, generator=generator) @ torch.randn(3, 5, generator=generator)
    return mixed + 0.1 * torch.randn(2, 6, 7, 5, generator=generator) + 50


def _signed(components):
    """Rows whose entry of largest magnitude is positive."""
    largest = np.take_along_axis(components, np.abs(components).argmax(1)[:, None], axis=1)
    return components * np.sign(largest)


def _sklearn(rows, count):
    rows = rows.double().numpy()
    model = decomposition.PCA(count).fit(rows)
    components = _signed(model.components_)
    return (rows - rows.mean(0)) @ components.T, components, model


def test_each_image_has_its_own_components(data):
    outputs = PCA(2).forward(data=data)
    wanted = [_sklearn(image.reshape(-1, 5), 2) for image in data]
    for (expected, _, _), projected in zip(wanted, outputs["projected"], strict=True):
        np.testing.assert_allclose(projected.reshape(-1, 2).numpy(), expected, rtol=1e-4, atol=1e-4)
    _, components, model = wanted[-1]
    np.testing.assert_allclose(outputs["components"].numpy(), components, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(outputs["explained_variance_ratio"].numpy(), model.explained_variance_ratio_, rtol=1e-5)


def test_a_batch_without_images_has_coordinates_alone():
    outputs = PCA(2).forward(data=torch.zeros(0, 3, 3, 4))
    assert set(outputs) == {"projected"}
    assert outputs["projected"].shape == (0, 3, 3, 2)


@pytest.mark.parametrize("shape", [(1, 3, 3, 1), (1, 1, 1, 4)])
def test_an_image_must_have_components(shape):
    with pytest.raises(InputInvalid, match="at least 2 channels and 2 pixels"):
        PCA(2).forward(data=torch.zeros(shape))


def test_components_of_an_image_are_differentiable(data):
    leaf = data[:1, :3, :3, :3].double().requires_grad_()
    assert torch.autograd.gradcheck(lambda values: PCA(2).forward(data=values)["projected"], leaf)


@pytest.mark.parametrize("whiten", [False, True])
def test_the_fit_takes_the_components_of_all_pixels(fit_data, data, whiten):
    node = fit_data(TrainablePCA(5, 3, whiten=whiten, eps=1e-9), *data.split(1))
    outputs = node.forward(data=data)
    expected, components, model = _sklearn(data.reshape(-1, 5), 3)
    scale = np.sqrt(model.explained_variance_) if whiten else 1.0
    np.testing.assert_allclose(outputs["components"].numpy(), components, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(outputs["projected"].reshape(-1, 3).numpy(), expected / scale, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(outputs["explained_variance_ratio"].numpy(), model.explained_variance_ratio_, rtol=1e-5)


def test_random_directions_are_orthonormal_and_the_same_everywhere(fit_data, data):
    first, second = (fit_data(TrainablePCA(5, 3, init_method="random"), data) for _ in range(2))
    directions = first.state()["_components"]
    torch.testing.assert_close(directions @ directions.T, torch.eye(3))
    assert torch.equal(second.state()["_components"], directions)
    along = (data.reshape(-1, 5) @ directions.T).var(0)
    torch.testing.assert_close(first.state()["_explained_variance"], along, rtol=1e-3, atol=1e-4)


def test_state_makes_the_same_node(fit_data, data):
    node, twin = fit_data(TrainablePCA(5, 3), data), TrainablePCA(5, 3)
    twin.restore(node.state())
    for key, value in node.forward(data=data).items():
        assert torch.equal(twin.forward(data=data)[key], value)


def test_without_the_total_variance_shares_are_of_what_is_explained(fit_data, data):
    state = fit_data(TrainablePCA(5, 3), data).state()
    del state["_total_variance"]
    node = fit_data(TrainablePCA(5, 3), 2 * data)
    assert node.faults(state, strict=True) == []
    node.restore(state)
    assert node.forward(data=data)["explained_variance_ratio"].sum().item() == pytest.approx(1.0)


def test_components_need_a_fit(fit_data, data):
    with pytest.raises(NotFitted, match="TrainablePCA"):
        TrainablePCA(5, 3).forward(data=data)
    with pytest.raises(DataInvalid, match="2 pixels"):
        fit_data(TrainablePCA(5, 3), data[:1, :1, :1])
    with pytest.raises(ValueError, match="more than the 2 channels"):
        TrainablePCA(2, 3)


def test_components_can_be_trained(fit_data, data):
    node = fit_data(TrainablePCA(5, 2, whiten=True), data).double()
    node.unfreeze()
    leaf = data[:1, :2, :2].double().requires_grad_()
    assert torch.autograd.gradcheck(lambda values, _: node.forward(data=values)["projected"], (leaf, node._components))


@pytest.fixture
def folder(tmp_path):
    np.savez(
        tmp_path / "projection.npz",
        mean=np.array([1.0, 2.0]),
        comps=np.array([[1.0, 1.0], [1.0, -1.0]]),
        lo=np.array([0.0, 3.0]),
        hi=np.array([4.0, 3.0]),
    )
    return tmp_path


def _project(node, folder, *values):
    data = torch.tensor(values).reshape(1, 1, -1, 2)
    return node.forward(context=Context(resolve=folder.joinpath), data=data)["projected"].reshape(-1, 2).tolist()


def test_a_projection_is_read_from_a_file(folder):
    node = FixedPCAProjection("projection.npz", scale_to_unit=False, clamp01=False, input_global_minmax=False)
    assert _project(node, folder, 2.0, 5.0) == [[4.0, -2.0]]


def test_coordinates_are_scaled_and_cut(folder):
    node = FixedPCAProjection("projection.npz", input_global_minmax=False)
    # (4 - 0) / 4, and (6 - 3) / 1 where the span is 0.
    assert _project(node, folder, 2.0, 5.0, 5.0, 0.0) == [[1.0, 0.0], [0.5, 1.0]]


def test_frames_can_be_spread_first(folder):
    node = FixedPCAProjection("projection.npz", scale_to_unit=False, clamp01=False)
    assert _project(node, folder, 10.0, 20.0) == [[-2.0, 0.0]]


def test_a_projection_that_was_read_is_state(folder, tmp_path):
    node, twin = FixedPCAProjection("projection.npz"), FixedPCAProjection("gone.npz")
    expected = _project(node, folder, 2.0, 5.0)
    assert twin.faults(node.state(), strict=True) == []
    twin.restore(node.state())
    assert _project(twin, folder, 2.0, 5.0) == expected
    twin.unfreeze()
    assert twin._components.requires_grad


def test_a_state_must_be_a_projection(folder):
    node, twin = FixedPCAProjection("projection.npz"), FixedPCAProjection("projection.npz")
    _project(node, folder, 2.0, 5.0)
    state = node.state()
    assert "expected [2]" in twin.faults(state | {"_lo": torch.zeros(3)}, strict=True)[0]
    del state["_hi"]
    assert twin.faults(state, strict=True) == ["FixedPCAProjection._hi is missing"]


def test_what_was_not_read_cannot_be_trained():
    with pytest.raises(NotFitted, match="has not read its projection"):
        FixedPCAProjection("projection.npz").unfreeze()


def test_the_file_must_be_there(folder):
    with pytest.raises(FileMissing, match=r"projection_path 'gone\.npz' does not exist"):
        _project(FixedPCAProjection("gone.npz"), folder, 2.0, 5.0)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"mean": np.zeros(2)}, "has no comps, hi, lo"),
        ({"mean": np.zeros(3), "comps": np.zeros((1, 2)), "lo": np.zeros(1), "hi": np.zeros(1)}, r"expected \[2\]"),
        ({"mean": np.zeros(2), "comps": np.zeros(2), "lo": np.zeros(1), "hi": np.zeros(1)}, r"expected \[N, C\]"),
        ({"mean": np.array(["a"]), "comps": np.zeros(2), "lo": np.zeros(1), "hi": np.zeros(1)}, "archive of numbers"),
    ],
)
def test_the_file_must_be_a_projection(tmp_path, arrays, words):
    np.savez(tmp_path / "wrong.npz", **arrays)
    with pytest.raises(DataInvalid, match=words):
        _project(FixedPCAProjection("wrong.npz"), tmp_path, 2.0, 5.0)


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 cut short"])
def test_the_file_must_be_an_archive(tmp_path, content):
    (tmp_path / "wrong.npz").write_bytes(content)
    with pytest.raises(DataInvalid, match="no NumPy archive"):
        _project(FixedPCAProjection("wrong.npz"), tmp_path, 2.0, 5.0)


def test_the_data_must_have_the_channels_of_the_projection(folder):
    with pytest.raises(InputInvalid, match="2 channels"):
        FixedPCAProjection("projection.npz").forward(
            context=Context(resolve=folder.joinpath), data=torch.zeros(1, 1, 1, 3)
        )


def test_a_fixed_projection_is_differentiable(folder):
    node = FixedPCAProjection("projection.npz", clamp01=False)
    context = Context(resolve=folder.joinpath)
    leaf = torch.rand(1, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    node.forward(context=context, data=leaf.detach().float())
    node.double()
    assert torch.autograd.gradcheck(lambda values: node.forward(context=context, data=values)["projected"], leaf)
