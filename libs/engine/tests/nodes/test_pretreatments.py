"""Pretreatments against numpy and scipy in float64."""

import math

import numpy as np
import pytest
import torch
from scipy.signal import savgol_filter
from scipy.spatial import ConvexHull

from swath.engine.graph.registry import create
from swath.engine.nodes.pretreatments.continuum_removal import ContinuumRemoval
from swath.engine.nodes.pretreatments.logarithm import Logarithm
from swath.engine.nodes.pretreatments.savitzky_golay import SavitzkyGolay
from swath.engine.nodes.pretreatments.scaling import MeanCenter, UnitVarianceScaling
from swath.engine.nodes.pretreatments.snv import SNVCorrection
from swath.engine.nodes.pretreatments.spectral_derivative import SpectralDerivative
from swath.errors import DataInvalid, GraphInvalid, InputInvalid, NotFitted


@pytest.fixture
def cube():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, 3, 4, 23, generator=generator).cumsum(-1) % 3 + 1


@pytest.fixture
def wavelengths():
    """Wavelengths at uneven steps, nm."""
    return torch.cumsum(torch.tensor([400] + [3, 7, 4, 5] * 5 + [9, 2]), dim=0).to(torch.int32)


def _spectrum(*values):
    return torch.tensor(values).reshape(1, 1, 1, -1)


def _numbers(outputs):
    return outputs["cube"].flatten().tolist()


@pytest.mark.parametrize("mode", ["nearest", "mirror", "constant"])
@pytest.mark.parametrize("deriv", [0, 1, 2])
def test_savitzky_golay_is_that_of_scipy(cube, mode, deriv):
    node = SavitzkyGolay(window_length=7, polyorder=3, deriv=deriv, delta=2.0, mode=mode)
    expected = savgol_filter(cube.double().numpy(), 7, 3, deriv=deriv, delta=2.0, mode=mode)
    torch.testing.assert_close(node.forward(cube=cube)["cube"].double().numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("step", [5, -5])
def test_a_derivative_is_per_nanometre_where_wavelengths_are_connected(step):
    wavelengths = 700 + step * torch.arange(9)
    cube = (2.0 * wavelengths).reshape(1, 1, 1, -1)
    slopes = SavitzkyGolay(window_length=3, polyorder=1, deriv=1).forward(cube=cube, wavelengths=wavelengths)["cube"]
    assert slopes[..., 1:-1].flatten().tolist() == pytest.approx([2.0] * 7)


def test_smoothing_pays_no_heed_to_wavelengths(cube, wavelengths):
    node = SavitzkyGolay()
    assert torch.equal(node.forward(cube=cube, wavelengths=wavelengths)["cube"], node.forward(cube=cube)["cube"])


def test_a_mirror_takes_half_a_window_of_bands(cube):
    with pytest.raises(InputInvalid, match="at least 6 channels"):
        SavitzkyGolay(mode="mirror").forward(cube=cube[..., :5])


def test_savitzky_golay_keeps_its_weights_in_the_state():
    node = SavitzkyGolay(window_length=3, polyorder=1)
    assert node.state()["coefs"].flatten().tolist() == pytest.approx([1 / 3] * 3)
    node.restore({"coefs": torch.tensor([0.0, 0.0, 1.0]).reshape(1, 1, 3)})
    assert _numbers(node.forward(cube=_spectrum(1.0, 2.0, 4.0))) == [2.0, 4.0, 4.0]


@pytest.mark.parametrize(
    ("hparams", "words"),
    [
        ({"window_length": 4}, "window_length must be odd"),
        ({"window_length": 3, "polyorder": 3}, "polyorder must be below window_length 3"),
        ({"mode": "wrap"}, "mode must be one of nearest, mirror, constant"),
        ({"delta": 0}, "delta must be above 0"),
    ],
)
def test_savitzky_golay_refuses(hparams, words):
    with pytest.raises(GraphInvalid, match=words):
        create("SavitzkyGolay", "it", hparams)


def _hull(places, values):
    """The upper hull by Qhull: of the facets, those that look up."""
    hull = ConvexHull(np.stack([places, values], axis=1))
    facets = hull.equations[hull.equations[:, 1] > 1e-12]
    return (-(facets[:, :1] * places + facets[:, 2:]) / facets[:, 1:2]).min(axis=0)


def test_the_continuum_is_the_upper_convex_hull(cube, wavelengths):
    removed = ContinuumRemoval().forward(cube=cube, wavelengths=wavelengths)["cube"]
    places = wavelengths.double().numpy()
    spectra = cube.double().reshape(-1, 23).numpy()
    expected = np.stack([values / _hull(places, values) for values in spectra]).reshape(cube.shape)
    torch.testing.assert_close(removed.double().numpy(), expected, rtol=1e-5, atol=1e-6)


def test_a_dip_is_measured_from_the_line_above_it():
    node = ContinuumRemoval()
    wavelengths = torch.tensor([400.0, 410.0, 440.0])
    assert _numbers(node.forward(cube=_spectrum(4.0, 1.0, 8.0), wavelengths=wavelengths)) == pytest.approx(
        [1.0, 1 / 5, 1.0]
    )
    assert _numbers(node.forward(cube=_spectrum(4.0, 7.0, 8.0), wavelengths=wavelengths)) == [1.0, 1.0, 1.0]


def test_wavelengths_may_descend():
    outputs = ContinuumRemoval().forward(cube=_spectrum(8.0, 1.0, 4.0), wavelengths=torch.tensor([440, 410, 400]))
    assert _numbers(outputs) == pytest.approx([1.0, 1 / 5, 1.0])


def test_the_hull_of_many_vertices_and_of_a_spike_is_found():
    wavelengths = torch.arange(200)
    concave = -((wavelengths - 90.0) / 100).square() + 2
    spike = concave.clone()
    spike[-1] = 50
    cube = torch.stack([concave, spike]).reshape(1, 1, 2, 200)
    removed = ContinuumRemoval().forward(cube=cube, wavelengths=wavelengths)["cube"][0, 0]
    torch.testing.assert_close(removed[0], torch.ones(200))
    line = concave[0] + (50 - concave[0]) * wavelengths / 199
    torch.testing.assert_close(removed[1, :-1], (concave / line)[:-1])


def test_a_spectrum_that_is_not_finite_has_no_continuum(cube, wavelengths):
    clean = ContinuumRemoval().forward(cube=cube, wavelengths=wavelengths)["cube"]
    cube[0, 1, 2, 5] = torch.nan
    removed = ContinuumRemoval().forward(cube=cube, wavelengths=wavelengths)["cube"]
    assert removed[0, 1, 2].isnan().all()
    assert torch.equal(removed[1], clean[1])


@pytest.mark.parametrize("cls", [ContinuumRemoval, SpectralDerivative])
@pytest.mark.parametrize("wrong", [[400, 410], [400, 410, 410], [400, 420, 410]])
def test_wavelengths_go_one_way_and_one_a_channel(cls, wrong):
    with pytest.raises(InputInvalid, match="wavelengths"):
        cls().forward(cube=_spectrum(1.0, 2.0, 3.0), wavelengths=torch.tensor(wrong))


@pytest.mark.parametrize("order", [1, 2])
def test_the_derivative_is_that_of_numpy(cube, wavelengths, order):
    expected = cube.double().numpy()
    for _ in range(order):
        expected = np.gradient(expected, wavelengths.double().numpy(), axis=-1)
    derivative = SpectralDerivative(order).forward(cube=cube, wavelengths=wavelengths)["cube"]
    torch.testing.assert_close(derivative.double().numpy(), expected, rtol=1e-4, atol=1e-6)


def test_a_derivative_takes_two_bands():
    with pytest.raises(InputInvalid, match="at least 2 channels"):
        SpectralDerivative().forward(cube=_spectrum(1.0), wavelengths=torch.tensor([400]))


def test_snv_gives_each_spectrum_mean_0_and_deviation_1(cube):
    rows = cube.double()
    expected = (rows - rows.mean(-1, keepdim=True)) / rows.std(-1, keepdim=True)
    torch.testing.assert_close(SNVCorrection().forward(cube=cube)["cube"].double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 61])
def test_snv_of_a_flat_spectrum_is_zero(channels):
    assert SNVCorrection().forward(cube=torch.full((1, 1, 1, channels), 0.1))["cube"].abs().max() == 0


def test_a_logarithm_stops_at_eps():
    assert _numbers(Logarithm(eps=0.01).forward(cube=_spectrum(100.0, 0.0, -1.0))) == pytest.approx([2, -2, -2])
    assert _numbers(Logarithm(mode="ln").forward(cube=_spectrum(math.e))) == pytest.approx([1])
    assert _numbers(Logarithm(negate=True).forward(cube=_spectrum(0.1))) == pytest.approx([1])


@pytest.mark.parametrize("cls", [MeanCenter, UnitVarianceScaling])
def test_channel_statistics_are_those_of_all_pixels(cls, cube, fit):
    cube = cube + 2000
    node = fit(cls(), {"cube": cube[:1]}, {"cube": cube[1:]})
    rows = cube.double()
    expected = rows - rows.mean((0, 1, 2)) if cls is MeanCenter else rows / rows.flatten(0, 2).std(0)
    torch.testing.assert_close(node.forward(cube=cube)["cube"].double(), expected, rtol=1e-5, atol=5e-4)


def test_a_flat_channel_is_divided_by_a_floor(fit):
    node = fit(UnitVarianceScaling(), {"cube": torch.full((1, 2, 1, 1), 3.0)})
    assert node.forward(cube=torch.full((1, 1, 1, 1), 3.0))["cube"].item() == pytest.approx(3e8)


@pytest.mark.parametrize("cls", [MeanCenter, UnitVarianceScaling])
def test_channel_statistics_need_pixels_and_the_same_channels(cls, cube, fit):
    with pytest.raises(NotFitted):
        cls().forward(cube=cube)
    with pytest.raises(DataInvalid, match="at least 2 pixels"):
        fit(cls(), {"cube": cube[:1, :1, :1]})
    with pytest.raises(InputInvalid, match="23 channels, as at the fit"):
        fit(cls(), {"cube": cube}).forward(cube=cube[..., :1])


def test_bounds_of_a_sample_are_dropped_where_there_is_none():
    assert create("MeanCenter", "it", {"max_fit_pixels": 20000, "fit_seed": 0}).hparams == {}


@pytest.mark.parametrize(
    "node",
    [
        SavitzkyGolay(window_length=5, deriv=1),
        ContinuumRemoval(),
        SpectralDerivative(order=2),
        SNVCorrection(),
        Logarithm(),
        MeanCenter(),
        UnitVarianceScaling(),
    ],
    ids=lambda node: type(node).__name__,
)
def test_gradients_are_those_of_finite_differences(node, cube, wavelengths, fit):
    node, data = node.double(), cube[:1, :2, :2].double().requires_grad_()
    inputs = {"wavelengths": wavelengths} if "wavelengths" in node.inputs else {}
    if hasattr(node, "fit_batch"):
        fit(node, {"cube": cube.double()})
    assert torch.autograd.gradcheck(lambda values: node.forward(cube=values, **inputs)["cube"], data)


@pytest.mark.parametrize("cls", [SavitzkyGolay, ContinuumRemoval, SpectralDerivative, SNVCorrection, Logarithm])
def test_no_frames_give_no_frames(cls, wavelengths):
    inputs = {"wavelengths": wavelengths} if "wavelengths" in cls.inputs else {}
    assert cls().forward(cube=torch.zeros(0, 3, 4, 23), **inputs)["cube"].shape == (0, 3, 4, 23)
