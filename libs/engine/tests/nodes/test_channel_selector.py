"""Channel weights and band indices by hand-computed values."""

import pytest
import torch

from swath.engine.nodes.channel_selector import NDVISelector, SoftChannelSelector
from swath.errors import InputInvalid


@pytest.fixture
def selector():
    node = SoftChannelSelector(n_select=2, input_channels=3, init_method="variance", temperature_init=2.0)
    data = torch.tensor([[0.0, 0.0, 5.0], [2.0, 8.0, 5.0]]).reshape(1, 1, 2, 3)
    node.begin_fit()
    for pixel in data.split(1, dim=2):
        node.fit_batch({"data": pixel})
    node.end_fit()
    return node.eval()


def test_the_fit_takes_the_logarithm_of_the_variance(selector):
    torch.testing.assert_close(selector.channel_logits, torch.tensor([2.0, 32.0, 0.0]).add(1e-6).log())


def test_weights_are_a_softmax_that_sums_to_the_number_selected(selector):
    weights = selector.forward(data=torch.ones(1, 1, 1, 3))["weights"]
    torch.testing.assert_close(weights, 2 * torch.softmax(selector.channel_logits / 2.0, dim=0))
    assert weights.sum().item() == pytest.approx(2.0)


def test_channels_are_weighed(selector):
    outputs = selector.forward(data=torch.tensor([1.0, 10.0, 100.0]).reshape(1, 1, 1, 3))
    torch.testing.assert_close(outputs["selected"].flatten(), outputs["weights"] * torch.tensor([1.0, 10.0, 100.0]))


def test_hard_selection_is_for_evaluation(selector):
    selector.hard = True
    assert selector.forward(data=torch.ones(1, 1, 1, 3))["weights"].tolist() == [1.0, 1.0, 0.0]
    selector.train()
    assert selector.forward(data=torch.ones(1, 1, 1, 3))["weights"].max() < 2


def test_a_uniform_selector_starts_and_is_fitted_to_equal_weights():
    node = SoftChannelSelector(n_select=1, input_channels=4)
    node.restore({"channel_logits": torch.arange(4.0)})
    node.begin_fit()
    node.end_fit()
    assert node.forward(data=torch.ones(1, 1, 1, 4))["weights"].tolist() == [0.25] * 4


def test_the_selector_is_differentiable():
    node = SoftChannelSelector(n_select=2, input_channels=3).double()
    node.unfreeze()
    data = torch.rand(1, 2, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda values, _: node.forward(data=values)["selected"], (data, node.channel_logits)
    )


@pytest.fixture
def ndvi():
    return NDVISelector(nir_nm=800, red_nm=660, colormap_min=-1.0, colormap_max=1.0)


def _run(node, pixels):
    cube = torch.tensor(pixels).reshape(1, 1, len(pixels), 3)
    return node.forward(cube=cube, wavelengths=torch.tensor([650.5, 700.0, 790.25]))


def test_the_index_is_taken_on_the_nearest_bands(ndvi):
    outputs = _run(ndvi, [[1.0, 9.0, 3.0], [3.0, 9.0, 1.0]])
    assert outputs["index_image"].flatten().tolist() == [0.5, -0.5]
    assert outputs["band_info"]["resolved_wavelengths_nm"] == [790.25, 650.5]


def test_the_index_is_zero_where_there_is_no_light(ndvi):
    assert _run(ndvi, [[0.0, 0.0, 0.0]])["index_image"].item() == 0.0


def test_the_picture_runs_through_the_hues(ndvi):
    pixels = [[1.0, 0.0, 0.0], [2.0, 0.0, 1.0], [1.0, 0.0, 1.0], [1.0, 0.0, 2.0], [0.0, 0.0, 1.0]]
    colours = _run(ndvi, pixels)["rgb_image"][0, 0]
    hues = [[1, 0, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 0]]
    expected = torch.tensor(hues, dtype=torch.float32)
    torch.testing.assert_close(colours, expected, atol=1e-5, rtol=0)


def test_what_lies_outside_of_the_map_is_cut():
    node = NDVISelector(nir_nm=800, red_nm=660, colormap_min=-0.1, colormap_max=0.1)
    colours = _run(node, [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])["rgb_image"][0, 0]
    assert colours.tolist() == [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]


def test_wavelengths_must_be_one_per_channel(ndvi):
    with pytest.raises(InputInvalid, match="one per channel"):
        ndvi.forward(cube=torch.zeros(1, 1, 1, 4), wavelengths=torch.zeros(3))
