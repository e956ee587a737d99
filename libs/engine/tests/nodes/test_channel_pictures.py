"""Pictures of bands, ranges and curves, and the bounds that bring them to 0..1."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from swath.engine.nodes.channel_selector import (
    CameraEmulationFalseRGBSelector,
    CIETristimulusRGBSelector,
    CIRSelector,
    FastRGBSelector,
    FixedWavelengthSelector,
    HighContrastSelector,
    RangeAverageFalseRGBSelector,
    TopKIndices,
)
from swath.engine.ops.colour.colorimetry import rendering
from swath.engine.ops.colour.spaces import linear_to_srgb
from swath.errors import DataInvalid, InputInvalid

WAVELENGTHS = torch.arange(400, 800, 20)
COLUMNS = len(WAVELENGTHS)
RAW: dict[str, Any] = {"normalize_output": False}


@pytest.fixture
def cube():
    generator = torch.Generator().manual_seed(5)
    return torch.rand(3, 6, 7, COLUMNS, generator=generator)


def _picture(node, cube):
    return node.forward(cube=cube, wavelengths=WAVELENGTHS)["rgb_image"]


def test_the_nearest_bands_are_taken_in_order(cube):
    node = FixedWavelengthSelector(target_wavelengths=[641, 559, 405], **RAW)
    outputs = node.forward(cube=cube, wavelengths=WAVELENGTHS)
    torch.testing.assert_close(outputs["rgb_image"], cube[..., [12, 8, 0]])
    assert outputs["band_info"]["band_wavelengths_nm"] == [640.0, 560.0, 400.0]
    assert outputs["band_info"]["normalized_output"] is False


def test_other_numbers_of_bands_come_as_they_are(cube):
    node = FixedWavelengthSelector(target_wavelengths=[420, 500], norm_mode="per_frame")
    outputs = node.forward(cube=cube, wavelengths=WAVELENGTHS)
    torch.testing.assert_close(outputs["rgb_image"], cube[..., [1, 5]])
    assert outputs["band_info"]["normalized_output"] is False


def test_other_numbers_of_bands_cannot_be_normalised():
    with pytest.raises(ValueError, match="takes 3 target_wavelengths, got 2"):
        FixedWavelengthSelector(target_wavelengths=[420, 500])


def test_infrared_is_shown_as_red(cube):
    node = CIRSelector(nir_nm=780, red_nm=660, green_nm=560, **RAW)
    torch.testing.assert_close(_picture(node, cube), cube[..., [19, 13, 8]])


def test_a_frame_is_scaled_from_its_lowest_to_its_highest_value(cube):
    picture = _picture(CIRSelector(norm_mode="per_frame", apply_gamma=False), cube)
    assert picture.amin(dim=(1, 2)).tolist() == [[0.0] * 3] * 3
    assert picture.amax(dim=(1, 2)).tolist() == [[1.0] * 3] * 3


def test_the_result_is_encoded_as_srgb(cube):
    linear = _picture(CIRSelector(norm_mode="per_frame", apply_gamma=False), cube)
    torch.testing.assert_close(_picture(CIRSelector(norm_mode="per_frame"), cube), linear_to_srgb(linear))


@pytest.mark.parametrize("batches", [[3], [1, 2], [1, 1, 1]])
def test_running_bounds_count_frames_however_they_are_batched(cube, batches):
    node = CIRSelector(apply_gamma=False, running_warmup_frames=1, freeze_running_bounds_after_frames=2)
    shown = torch.cat([_picture(node, part) for part in cube.split(batches)])
    bands = cube[..., [19, 13, 8]].double().flatten(1, 2)
    low, high = bands.quantile(0.005, dim=1), bands.quantile(0.995, dim=1)
    # The first frame by itself, the second by both, the third by the two that came before the freeze.
    lows = torch.stack([low[0], low[:2].amin(0), low[:2].amin(0)])[:, None]
    highs = torch.stack([high[0], high[:2].amax(0), high[:2].amax(0)])[:, None]
    expected = ((bands - lows) / (highs - lows)).clamp(0, 1).reshape(3, 6, 7, 3).float()
    torch.testing.assert_close(shown, expected, atol=1e-5, rtol=0)
    assert int(node._norm_frame_count) == 3


def test_memory_over_frames_starts_afresh_at_what_was_loaded(cube):
    node = CIRSelector(running_warmup_frames=0)
    state = {"running_min": torch.zeros(3), "running_max": torch.ones(3), "_norm_frame_count": torch.tensor(4)}
    node.restore(state)
    first = _picture(node, cube * 3)
    _picture(node, cube * 9)
    node.forget()
    torch.testing.assert_close(_picture(node, cube * 3), first)
    node.forget()
    assert all(torch.equal(node.state()[key], value) for key, value in state.items())


def test_bounds_without_a_count_are_frozen():
    node = CIRSelector(running_warmup_frames=5, freeze_running_bounds_after_frames=None)
    older = {"running_min": torch.zeros(3), "running_max": torch.ones(3)}
    assert node.faults(older, strict=True) == []
    node.restore(older)
    assert int(node._norm_frame_count) == 5


@pytest.mark.parametrize(
    ("hparams", "stateful"),
    [({}, True), ({"norm_mode": "per_frame"}, False), (RAW, False), ({"norm_mode": "statistical"}, False)],
)
def test_only_running_bounds_are_memory(hparams, stateful):
    assert CIRSelector(**hparams).stateful is stateful


@pytest.fixture
def fitted(cube):
    node = CIRSelector(norm_mode="statistical", apply_gamma=False)
    node.begin_fit()
    for frame in cube.split(1):
        node.fit_batch({"cube": frame, "wavelengths": WAVELENGTHS})
    node.end_fit()
    return node


def test_the_fit_takes_the_widest_bounds_of_all_batches(fitted, cube):
    bands = cube[..., [19, 13, 8]].double().flatten(1, 2)
    torch.testing.assert_close(fitted.running_min, bands.quantile(0.005, dim=1).amin(0).float())
    torch.testing.assert_close(fitted.running_max, bands.quantile(0.995, dim=1).amax(0).float())


def test_fitted_bounds_survive_a_round_trip(fitted, cube):
    again = CIRSelector(norm_mode="statistical", apply_gamma=False)
    assert not again.fitted
    again.restore(fitted.state())
    assert again.fitted
    torch.testing.assert_close(_picture(again, cube), _picture(fitted, cube))


def test_a_picture_with_fitted_bounds_is_differentiable(fitted):
    fitted.double()
    values = torch.rand(1, 2, 2, COLUMNS, dtype=torch.float64) * 0.4 + 0.3
    assert torch.autograd.gradcheck(lambda data: _picture(fitted, data), values.requires_grad_())


def test_before_the_fit_frames_are_shown_by_themselves(cube):
    unfitted = CIRSelector(norm_mode="statistical")
    torch.testing.assert_close(_picture(unfitted, cube), _picture(CIRSelector(norm_mode="per_frame"), cube))


def test_a_fit_without_data_is_refused():
    node = CIRSelector(norm_mode="statistical")
    node.begin_fit()
    with pytest.raises(DataInvalid, match="1 finite value"):
        node.end_fit()


@pytest.mark.parametrize("mode", ["running", "per_frame"])
def test_a_dead_pixel_spoils_nothing_else(cube, mode):
    cube[0, 0, 0] = math.nan
    picture = _picture(CIRSelector(norm_mode=mode), cube)
    assert picture[0, 0, 0].isnan().all()
    assert picture.isfinite().sum() == picture.numel() - 3
    assert picture[0].nan_to_num().amax() > 0.9


@pytest.mark.parametrize("frames", [0, 2])
def test_no_pixels_give_no_picture(frames):
    assert _picture(CIRSelector(), torch.zeros(frames, 0, 5, COLUMNS)).shape == (frames, 0, 5, 3)


def test_ranges_are_averaged(cube):
    node = RangeAverageFalseRGBSelector(red_range=(600, 640), green_range=(500, 519), blue_range=(901, 999), **RAW)
    cube[..., 0] = math.nan  # a band that no range takes
    outputs = node.forward(cube=cube, wavelengths=WAVELENGTHS)
    expected = torch.stack([cube[..., 10:13].mean(-1), cube[..., 5], torch.zeros(3, 6, 7)], dim=-1)
    torch.testing.assert_close(outputs["rgb_image"], expected)
    assert outputs["band_info"]["missing_channels"] == ["blue"]


def test_fast_pictures_have_the_mean_that_is_asked_for(cube):
    picture = _picture(
        FastRGBSelector(normalization_strength=0.5), cube * torch.tensor([1.0, 9.0, 90.0]).view(3, 1, 1, 1)
    )
    # Each frame by itself, in steps of 1/255.
    torch.testing.assert_close(picture.mean(dim=(1, 2, 3)), torch.full((3,), 64 / 255), atol=2e-3, rtol=0)
    torch.testing.assert_close(picture * 255, (picture * 255).round())


def test_fast_pictures_of_reflectance_have_a_fixed_scale():
    picture = _picture(FastRGBSelector(normalization_strength=0), torch.full((1, 1, 1, COLUMNS), 5000.0))
    assert picture.flatten().tolist() == pytest.approx([128 / 255] * 3)


def test_a_camera_sees_by_bell_curves(cube):
    node = CameraEmulationFalseRGBSelector(r_peak=600, r_sigma=20, **RAW)
    curve = np.exp(-(((WAVELENGTHS.numpy() - 600) / 20) ** 2) / 2)
    expected = cube.double().numpy() @ (curve / curve.sum())
    np.testing.assert_allclose(_picture(node, cube)[..., 0].numpy(), expected, rtol=1e-5)


def test_white_reflectance_is_white():
    wavelengths = torch.arange(380, 781, 5)
    node = CIETristimulusRGBSelector(**RAW)
    outputs = node.forward(cube=torch.ones(1, 1, 1, len(wavelengths)), wavelengths=wavelengths)
    assert outputs["rgb_image"].flatten().tolist() == pytest.approx([1.0] * 3, abs=1e-5)
    assert outputs["band_info"]["white_xyz_coverage"] == pytest.approx([1.0] * 3, abs=1e-3)


def test_daylight_has_the_chromaticity_of_d65():
    grid = np.arange(380.0, 781.0, 5.0)
    # Linear sRGB back to XYZ, by the primaries of IEC 61966-2-1.
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = to_xyz @ rendering(grid, "D65").weights.sum(axis=1)
    assert (x / (x + y + z), y / (x + y + z)) == pytest.approx((0.3127, 0.3290), abs=5e-4)


def test_a_camera_that_misses_most_blue_is_not_adapted():
    shown = rendering(np.arange(500.0, 781.0, 5.0), "D65")
    assert shown.adapted is False
    assert shown.coverage is not None
    assert shown.coverage[2] < 0.1


def test_the_order_of_the_bands_does_not_matter():
    grid = np.arange(380.0, 781.0, 5.0)
    np.testing.assert_allclose(rendering(grid[::-1].copy(), "E").weights, rendering(grid, "E").weights[:, ::-1])


@pytest.mark.parametrize(("learnt", "kept"), [({"_bounds_illuminant": torch.tensor(0)}, True), ({}, False)])
def test_bounds_of_another_illuminant_are_dropped(learnt, kept):
    node = CIETristimulusRGBSelector(norm_mode="statistical")
    node.restore({"running_min": torch.zeros(3), "running_max": torch.ones(3)} | learnt)
    assert bool(node.running_min.isfinite().all()) is kept
    assert node.fitted is kept


def test_one_band_has_no_colour():
    with pytest.raises(InputInvalid, match="at least 2 channels"):
        CIETristimulusRGBSelector().forward(cube=torch.ones(1, 2, 2, 1), wavelengths=torch.tensor([500]))


def test_the_band_of_the_highest_contrast_is_taken(cube):
    node = HighContrastSelector(windows=[[400, 500], [500, 600], [601, 610]], alpha=2.0, **RAW)
    info = node.forward(cube=cube, wavelengths=WAVELENGTHS)["band_info"]
    first = cube[0].double().numpy()
    contrast = [first[..., c].var() + 2 * np.abs(ndimage.laplace(first[..., c])).mean() for c in range(COLUMNS)]
    best = [int(np.argmax(contrast[0:6])), 5 + int(np.argmax(contrast[5:11])), 10]
    assert info["band_indices"] == best


@pytest.mark.parametrize(("k", "indices"), [(2, [1, 2]), (9, [1, 2, 0]), (0, [])])
def test_the_largest_weights_are_named(k, indices):
    assert TopKIndices(k).forward(weights=torch.tensor([0.1, 0.7, 0.2]))["indices"].tolist() == indices


@pytest.mark.parametrize(
    ("cls", "hparams"),
    [
        (CIRSelector, {"norm_mode": "always"}),
        (CIRSelector, {"running_warmup_frames": -1}),
        (CIRSelector, {"freeze_running_bounds_after_frames": 0}),
        (FixedWavelengthSelector, {"target_wavelengths": []}),
        (HighContrastSelector, {"windows": [[1, 2]]}),
        (RangeAverageFalseRGBSelector, {"red_range": [5, 1]}),
        (FastRGBSelector, {"blue_range": [5]}),
        (CameraEmulationFalseRGBSelector, {"g_sigma": 0}),
        (CIETristimulusRGBSelector, {"illuminant": "A"}),
    ],
)
def test_arguments_are_checked(cls, hparams):
    with pytest.raises(ValueError, match=next(iter(hparams))):
        cls(**hparams)
