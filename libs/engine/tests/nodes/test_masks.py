"""Masks: joined, cleaned, and made from validity."""

import pytest
import torch

from swath.engine.nodes.fusion import DecisionFusion
from swath.engine.nodes.mask_ops import MaskMinArea
from swath.engine.nodes.preprocessors import BandpassByWavelength, SpectralValidity
from swath.errors import InputInvalid


def _mask(*rows):
    return torch.tensor(rows, dtype=torch.bool).reshape(1, len(rows), -1, 1)


@pytest.mark.parametrize(("mode", "expected"), [("any", [1, 1, 1, 0]), ("all", [0, 1, 0, 0]), ("first", [1, 1, 0, 0])])
def test_masks_are_joined(mode, expected):
    outputs = DecisionFusion(mode).forward(decisions=[_mask([1, 1, 0, 0]), _mask([0, 1, 1, 0])])
    assert outputs["decisions"].flatten().tolist() == [bool(value) for value in expected]


def test_the_first_mask_with_a_pixel_is_chosen_per_frame():
    empty, full = torch.zeros(1, 1, 2, 1, dtype=torch.bool), torch.ones(1, 1, 2, 1, dtype=torch.bool)
    outputs = DecisionFusion("first").forward(decisions=[torch.cat([empty, full]), torch.cat([full, empty])])
    assert outputs["decisions"].all()


def test_masks_of_several_shapes_are_refused():
    with pytest.raises(InputInvalid, match="maps of one shape"):
        DecisionFusion().forward(decisions=[_mask([1, 0]), _mask([1])])


def test_small_blobs_go_and_diagonal_neighbours_hold_together():
    mask = _mask([1, 0, 0, 0, 1], [0, 1, 0, 0, 0], [0, 0, 1, 0, 1])
    kept = MaskMinArea(min_area=3, cell=1).forward(decisions=mask)["decisions"]
    assert torch.equal(kept, _mask([1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 1, 0, 0]))


def test_pixels_in_neighbouring_cells_are_one_blob():
    mask = _mask([1, 0, 0, 1, 0, 0, 0, 1])
    kept = MaskMinArea(min_area=2, cell=2).forward(decisions=mask)["decisions"]
    assert torch.equal(kept, _mask([1, 0, 0, 1, 0, 0, 0, 0]))


@pytest.mark.parametrize("min_area", [0, 1])
def test_an_area_of_one_keeps_all(min_area):
    mask = _mask([1, 0, 1])
    assert MaskMinArea(min_area=min_area).forward(decisions=mask)["decisions"] is mask


@pytest.mark.parametrize("dtype", [torch.int32, torch.float32])
def test_channels_outside_of_the_band_go(dtype):
    data, wavelengths = torch.arange(4.0).reshape(1, 1, 1, 4), torch.tensor([400, 500, 600, 700], dtype=dtype)
    node = BandpassByWavelength(500, 600)
    assert node.forward(data=data, wavelengths=wavelengths)["filtered"].flatten().tolist() == [1.0, 2.0]
    shuffled = wavelengths[torch.tensor([1, 0, 3, 2])]
    assert node.forward(data=data, wavelengths=shuffled)["filtered"].flatten().tolist() == [0.0, 3.0]
    assert BandpassByWavelength(600).forward(data=data, wavelengths=wavelengths)["filtered"].shape[-1] == 2


@pytest.mark.parametrize("wavelengths", [torch.tensor([400, 500, 600, 700]), torch.tensor([900])])
def test_a_band_that_holds_no_channel_is_refused(wavelengths):
    with pytest.raises(InputInvalid, match="Node 'BandpassByWavelength' input 'wavelengths'"):
        BandpassByWavelength(900).forward(data=torch.zeros(1, 1, 1, 4), wavelengths=wavelengths)


CUBE = torch.tensor([[3.0, 4.0], [0.1, 0.1], [9.0, 1.0], [torch.nan, 1.0]]).reshape(1, 1, 4, 2)


def test_each_pixel_gets_the_first_reason_that_holds():
    outputs = SpectralValidity(norm_floor=5.0, saturation_value=9.0).forward(cube=CUBE)
    assert outputs["invalid_reason"].flatten().tolist() == [0, 2, 3, 1]
    assert outputs["valid_mask"].flatten().tolist() == [True, False, False, False]
    assert outputs["valid_fraction"].tolist() == [0.25]
    assert outputs["frame_status"].tolist() == [1]


def test_a_border_is_outside_and_scales_with_the_frame():
    node = SpectralValidity(roi_margin_px=10, roi_reference_hw=[50, 100])
    outputs = node.forward(cube=torch.ones(2, 5, 5, 2))
    inside = outputs["valid_mask"][0, ..., 0]
    assert inside.sum() == 3 * 5 - 3 * 0
    assert outputs["invalid_reason"][0, 0, 0].item() == 4
    assert outputs["valid_fraction"].tolist() == [1.0, 1.0]
    assert outputs["frame_status"].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("hparams", "wavelengths", "status"),
    [
        ({"n_features": 3}, None, 2),
        ({"expected_wavelengths": [500.0, 600.0]}, torch.tensor([500, 602]), 2),
        ({"expected_wavelengths": [500.0, 600.0]}, torch.tensor([500.5, 600.5]), 0),
        ({"expected_wavelengths": [500.0, 600.0]}, None, 0),
        ({"expected_wavelengths": [500.0]}, torch.tensor([500, 600]), 2),
    ],
)
def test_other_bands_than_expected_are_a_status_of_the_frame(hparams, wavelengths, status):
    given = {} if wavelengths is None else {"wavelengths": wavelengths}
    outputs = SpectralValidity(**hparams).forward(cube=torch.ones(1, 1, 2, 2), **given)
    assert outputs["frame_status"].tolist() == [status]
    assert outputs["valid_mask"].any() == (status == 0)
