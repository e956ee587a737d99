"""Indices of a few bands, by hand."""

import pytest
import torch

from swath.engine.graph import registry
from swath.engine.nodes.channel_selector import EVISelector, MSAVISelector, NBRSelector, NDVISelector
from swath.errors import GraphInvalid, InputInvalid

# Blue, green, the two of the photochemical index, red, two of the red edge, near and short-wave infrared.
WAVELENGTHS = torch.tensor([460, 550, 560, 531, 570, 660, 670, 700, 720, 800, 860, 2200])
BLUE, GREEN, RED, EDGE, NIR, SWIR = 0.05, 0.10, 0.08, 0.20, 0.50, 0.25
PIXEL = [BLUE, GREEN, GREEN, 0.09, 0.11, RED, RED, EDGE, EDGE, NIR, NIR, SWIR]

EXPECTED = {
    "NDVISelector": (NIR - RED) / (NIR + RED),
    "NDWISelector": (GREEN - NIR) / (GREEN + NIR),
    "NBRSelector": (NIR - SWIR) / (NIR + SWIR),
    "GNDVISelector": (NIR - GREEN) / (NIR + GREEN),
    "NDRESelector": (NIR - EDGE) / (NIR + EDGE),
    "PRISelector": (0.09 - 0.11) / (0.09 + 0.11),
    "EVISelector": 2.5 * (NIR - RED) / (NIR + 6 * RED - 7.5 * BLUE + 1),
    "EVI2Selector": 2.5 * (NIR - RED) / (NIR + 2.4 * RED + 1),
    "SAVISelector": 1.5 * (NIR - RED) / (NIR + RED + 0.5),
    "MSAVISelector": (2 * NIR + 1 - ((2 * NIR + 1) ** 2 - 8 * (NIR - RED)) ** 0.5) / 2,
    "CIRedEdgeSelector": NIR / EDGE - 1,
    "MCARISelector": ((EDGE - RED) - 0.2 * (EDGE - GREEN)) * EDGE / RED,
}


def _node(name, **hparams):
    return registry.create(name, "index", hparams)


@pytest.fixture
def cube():
    return torch.tensor(PIXEL).reshape(1, 1, 1, -1)


@pytest.mark.parametrize(("name", "index"), EXPECTED.items())
def test_an_index_is_what_its_formula_says(cube, name, index):
    outputs = _node(name).forward(cube=cube, wavelengths=WAVELENGTHS)
    assert outputs["index_image"].item() == pytest.approx(index, rel=1e-5)
    assert outputs["rgb_image"].shape == (1, 1, 1, 3)


@pytest.mark.parametrize("name", EXPECTED)
def test_every_index_is_differentiable(cube, name):
    node = _node(name)
    reflectance = (cube.double() + torch.rand(1, 2, 2, 12, dtype=torch.float64) / 10).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda values: node.forward(cube=values, wavelengths=WAVELENGTHS)["index_image"], reflectance
    )


@pytest.mark.parametrize("name", EXPECTED)
def test_no_light_gives_a_finite_index_and_slope(name):
    cube = torch.zeros(1, 1, 1, 12, requires_grad=True)
    index = _node(name).forward(cube=cube, wavelengths=WAVELENGTHS)["index_image"]
    (slope,) = torch.autograd.grad(index.sum(), cube)
    assert index.isfinite().all()
    assert slope.isfinite().all()


def test_the_bands_are_named_in_the_order_of_the_arguments(cube):
    info = EVISelector().forward(cube=cube, wavelengths=WAVELENGTHS)["band_info"]
    assert info["band_labels"] == ["blue", "red", "nir"]
    assert info["resolved_wavelengths_nm"] == [460.0, 660.0, 800.0]


def test_a_small_index_keeps_its_digits():
    nir, red = 0.3, 0.3 - 2**-20
    cube = torch.tensor([red, nir]).reshape(1, 1, 1, 2)
    index = MSAVISelector().forward(cube=cube, wavelengths=torch.tensor([660, 800]))["index_image"]
    red, nir = cube.double().flatten().tolist()
    term = 2 * nir + 1
    assert index.item() == pytest.approx((term - (term * term - 8 * (nir - red)) ** 0.5) / 2, rel=1e-5)


def test_a_band_far_from_its_wavelength_is_warned_of_once(caplog):
    node = NBRSelector()
    for _ in range(2):
        node.forward(cube=torch.ones(1, 1, 1, 2), wavelengths=torch.tensor([850, 1000]))
    assert [record.getMessage() for record in caplog.records] == [
        "Node 'NBRSelector': the band nearest to swir at 2200 nm is at 1000 nm, more than 50 nm away; the index may "
        "mean nothing on this camera"
    ]


def test_a_tolerance_of_zero_is_silent(caplog):
    NBRSelector(band_tolerance_nm=0).forward(cube=torch.ones(1, 1, 1, 2), wavelengths=torch.tensor([850, 1000]))
    assert not caplog.records


def test_what_older_documents_and_weights_carry_has_no_effect():
    node = _node("NDVISelector", primary_nm=800, secondary_nm=660, norm_mode="per_frame", apply_gamma=False)
    older = {"running_min": torch.zeros(3), "running_max": torch.ones(3), "_norm_frame_count": torch.tensor(7)}
    assert node.faults(older, strict=True) == []
    assert set(node.hparams) == {"nir_nm", "red_nm", "colormap_min", "colormap_max", "eps", "band_tolerance_nm"}


@pytest.mark.parametrize(
    ("hparams", "words"), [({"nir_nm": -1}, "nir_nm"), ({"colormap_max": -2.0}, "colormap_max"), ({"eps": -1}, "eps")]
)
def test_arguments_are_checked(hparams, words):
    with pytest.raises(GraphInvalid, match=words):
        _node("NDWISelector", **hparams)


def test_wavelengths_must_be_one_per_channel():
    with pytest.raises(InputInvalid, match="one per channel"):
        NDVISelector().forward(cube=torch.zeros(1, 1, 1, 4), wavelengths=torch.zeros(3))
