"""Masks and maps of classes: cleaned, filled, voted on, followed and measured."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage import filters, measure

from swath.engine.nodes.blob_detector import BlobDetector
from swath.engine.nodes.mask_ops import (
    ClassMapRobustifier,
    LabelOffset,
    MajorityVoteByBlob,
    MaskBlobFilter,
    MaskBlobGate,
    MaskComposite,
    MaskPeakGate,
    MaskRobustifier,
    MaskToBBoxKalman,
    NearestLabelFill,
    ScoreMapSuppression,
)
from swath.engine.nodes.morphology import ShapeMorphology
from swath.engine.ops import masks
from swath.errors import InputInvalid


def _labels(*rows, dtype=torch.int32):
    return torch.tensor(rows, dtype=dtype).unsqueeze(0)


def _mask(*rows):
    return _labels(*rows, dtype=torch.bool).unsqueeze(-1)


@pytest.fixture
def specks():
    noise = np.random.default_rng(0).random((3, 30, 41))
    return torch.from_numpy(ndimage.gaussian_filter(noise, (0, 1, 1)) > 0.55)


@pytest.mark.parametrize("size", [3, 5])
def test_opening_and_closing_are_those_of_squares(specks, size):
    square = np.ones((1, size, size), dtype=bool)
    eroded = ndimage.binary_erosion(specks.numpy(), square, border_value=1)
    assert np.array_equal(masks.opened(specks, size), ndimage.binary_dilation(eroded, square))
    dilated = ndimage.binary_dilation(specks.numpy(), square)
    assert np.array_equal(masks.closed(specks, size - 1), ndimage.binary_erosion(dilated, square, border_value=1))


@pytest.mark.parametrize(("connectivity", "count"), [(4, 4), (8, 3)])
def test_blobs_are_numbered_frame_by_frame(connectivity, count):
    frame = _labels([0, 0, 0, 1, 0], [1, 0, 0, 0, 0], [0, 1, 0, 0, 1]) > 0
    labels = masks.label(torch.cat([frame, ~frame & False, frame]), connectivity)
    assert labels.amax(dim=(1, 2)).tolist() == [count, 0, count]
    assert torch.equal(labels[0], labels[2])


def test_blobs_that_start_in_the_same_two_rows_are_numbered_from_the_left():
    assert masks.label(_labels([0, 0, 0, 1], [1, 0, 0, 0]) > 0).tolist() == [[[0, 0, 0, 2], [1, 0, 0, 0]]]


@pytest.mark.parametrize(
    ("hparams", "expected"),
    [
        ({"min_area": 2, "keep_largest": False, "closing_kernel": 0}, [7, 7, 0, 0, 7, 7, 7]),
        ({"min_area": 0, "keep_largest": True, "closing_kernel": 0}, [0, 0, 0, 0, 7, 7, 7]),
        ({"min_area": 6, "keep_largest": False, "closing_kernel": 3}, [7, 7, 0, 0, 7, 7, 7]),
        ({"min_area": 9, "closing_kernel": 3}, [0] * 7),
        ({"min_area": 0, "keep_largest": False, "closing_kernel": 0, "opening_kernel": 3}, [7, 7, 0, 0, 7, 7, 7]),
    ],
)
def test_specks_go_and_labels_stay(hparams, expected):
    given = _labels([7, 7, 0, 0, 7, 7, 7])
    assert MaskRobustifier(**hparams).forward(mask=given)["mask"].tolist() == [[expected]]


def test_a_gap_that_closing_bridges_joins_blobs_and_stays_empty():
    given = _labels([2, 0, 3, 0, 0, 0, 0, 4])
    kept = MaskRobustifier(min_area=3, keep_largest=False).forward(mask=given)["mask"]
    assert kept.tolist() == [[[2, 0, 3, 0, 0, 0, 0, 0]]]


def test_each_class_is_cleaned_alone_and_gaps_are_filled_from_the_nearest():
    classes = _labels([0, 0, 0, 5, 0, 0, -1, 9], dtype=torch.int64)
    cleaned = ClassMapRobustifier(min_area=2, closing_kernel=3).forward(class_map=classes)
    assert cleaned["class_map"].tolist() == [[[0, 0, 0, -1, 0, 0, -1, -1]]]
    filled = NearestLabelFill().forward(**cleaned)["class_map"]
    assert filled.tolist() == [[[0, 0, 0, 0, 0, 0, -1, 9]]]


def test_of_two_classes_at_the_same_distance_the_higher_fills_even_if_no_float_tells_them_apart():
    high = 2**60
    given = _labels([high, -1, high + 1], dtype=torch.int64)
    filled = NearestLabelFill().forward(class_map=given, source=torch.zeros_like(given))["class_map"]
    assert filled.tolist() == [[[high, high + 1, high + 1]]]


def test_a_blob_gets_the_label_of_most_of_its_pixels():
    outputs = MajorityVoteByBlob().forward(
        identity_mask=_labels([5, 5, 2, 0, 3, 2, 0, 0]), blob_mask=_labels([1, 1, 1, 1, 8, 8, 9, 0])
    )
    assert outputs["mask"].tolist() == [[[5, 5, 5, 5, 2, 2, 0, 0]]]


def test_an_offset_is_added():
    assert LabelOffset(-2).forward(class_map=_labels([0, 3]))["class_map"].tolist() == [[[-2, 1]]]


MARKS = _mask([1, 1, 0, 0, 0, 1, 0, 0, 1])


@pytest.mark.parametrize(
    ("hparams", "expected"),
    [
        ({"min_px": 1}, [1, 1, 0, 0, 0, 0, 0, 0, 1]),
        ({"min_px": 2}, [1, 1, 0, 0, 0, 0, 0, 0, 0]),
        ({"min_px": 2, "invert": True}, [0, 0, 0, 0, 0, 1, 0, 0, 1]),
        ({"min_px": 0, "invert": True}, [0] * 9),
    ],
)
def test_blobs_need_pixels_of_a_second_mask(hparams, expected):
    gate = _mask([1, 1, 1, 0, 0, 0, 0, 0, 1])
    kept = MaskBlobGate(cell=1, **hparams).forward(decisions=MARKS, mask=gate)["decisions"]
    assert kept.flatten().tolist() == expected


def test_blobs_need_a_share_of_the_peak_of_the_reference_they_lie_in():
    reference = _mask([1, 1, 1, 1, 1, 1, 0, 0, 0])
    scores = torch.tensor([1.0, 5, 10, 1, 1, 7, 1, 1, 0.1]).reshape(1, 1, 9, 1)
    kept = MaskPeakGate(ratio=0.6, cell=1).forward(decisions=MARKS, reference=reference, scores=scores)
    assert kept["decisions"].flatten().tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 1]


def test_scores_that_are_not_numbers_are_no_peaks():
    scores = torch.tensor([torch.nan, 5, 10, 1, 1, 10, 1, 1, 1]).reshape(1, 1, 9, 1)
    kept = MaskPeakGate(ratio=0.5, cell=1).forward(decisions=MARKS, reference=MARKS, scores=scores)
    assert kept["decisions"].flatten().tolist() == [False, *MARKS.flatten().tolist()[1:]]


@pytest.mark.parametrize(
    ("hparams", "expected"),
    [
        ({"min_area": 2}, [1, 1, 0, 0, 0, 0, 0, 0, 0]),
        ({"min_area": 0}, [1, 1, 0, 0, 0, 0, 0, 0, 0]),
        ({"min_area": 0, "min_object_px": 0}, [1, 1, 0, 0, 0, 1, 0, 0, 1]),
        ({"min_area": 0, "min_angle_deg": 60}, [0] * 9),
    ],
)
def test_blobs_need_area_and_other_material(hparams, expected):
    cube = torch.ones(1, 1, 9, 2)
    cube[0, 0, :2] = torch.tensor([1.0, 0.0])  # 45 degrees from the background
    cube[0, 0, 3] = torch.nan
    node = MaskBlobFilter(**({"min_object_px": 1} | hparams), cell=1, median_stride=1)
    assert node.forward(decisions=MARKS, cube=cube)["decisions"].flatten().tolist() == expected


def test_the_greatest_label_and_level_of_overlapping_masks_win():
    outputs = MaskComposite(labels=[3, 1], levels=[0.25, 0.5]).forward(decisions=[_mask([1, 1, 0]), _mask([0, 1, 0])])
    assert outputs["mask"].flatten().tolist() == [3, 3, 0]
    assert outputs["scores"].flatten().tolist() == [0.25, 0.5, 0.0]


def test_scores_are_lowered_inside_of_the_shrunk_mask():
    scores, mask = torch.full((1, 5, 5, 1), 2.0), torch.ones(1, 5, 5, 1, dtype=torch.bool)
    mask[0, 0, 0] = False
    lowered = ScoreMapSuppression(weight=0.75, erode_px=1).forward(scores=scores, mask=mask)["scores"]
    assert lowered[0, :2, :2].unique().tolist() == [2.0]
    assert (lowered == 0.5).sum() == 21


def test_scores_that_go_altogether_are_0_and_invalid_pixels_stay_invalid():
    scores = torch.tensor([torch.inf, torch.nan, 3.0]).reshape(1, 1, 3, 1)
    outputs = ScoreMapSuppression(erode_px=0).forward(scores=scores, mask=torch.ones(1, 1, 3, 1, dtype=torch.bool))
    assert outputs["scores"].flatten().isnan().tolist() == [True, True, False]
    assert outputs["scores"][0, 0, 2] == 0


def test_lowered_scores_have_a_gradient():
    mask = torch.rand(1, 4, 5, 1) > 0.3
    scores = torch.rand(1, 4, 5, 1, dtype=torch.float64, requires_grad=True)
    node = ScoreMapSuppression(weight=0.3, erode_px=0)
    assert torch.autograd.gradcheck(lambda values: node.forward(scores=values, mask=mask)["scores"], scores)


def _moving(*lefts, size=4):
    frames = torch.zeros(len(lefts), 20, 40, dtype=torch.int32)
    for frame, left in zip(frames, lefts, strict=True):
        if left is not None:
            frame[8 : 8 + size, left : left + size] = 1
    return frames


@pytest.fixture
def follower():
    return MaskToBBoxKalman(padding_fraction=0, min_size_px=1, min_hits=2, max_predict_frames=1)


def test_a_track_counts_from_its_second_frame_and_lives_through_one_empty_one(follower):
    outputs = follower.forward(mask=_moving(4, 6, None, None, 8, 10))
    assert outputs["valid"].tolist() == [0, 1, 2, 0, 0, 1]
    assert outputs["bbox"][0].tolist() == [0, 0, 0, 0]


def test_the_box_is_that_of_a_kalman_filter(follower):
    outputs = follower.forward(mask=_moving(4, 6))
    # Covariance I, one step: position 2.01, so the gain is 2.01 / 3.01.
    centre = 6 + 2.01 / 3.01 * 2
    assert outputs["bbox"][1].tolist() == pytest.approx([centre - 2, 8, centre + 2, 12])


def test_a_track_goes_on_over_calls_until_it_is_forgotten(follower):
    follower.forward(mask=_moving(4))
    assert follower.forward(mask=_moving(4))["valid"].tolist() == [1]
    follower.forget()
    assert follower.forward(mask=_moving(4))["valid"].tolist() == [0]


def test_a_box_is_at_least_so_large_and_stays_in_the_frame():
    node = MaskToBBoxKalman(padding_fraction=0, min_size_px=30, min_hits=1)
    assert node.forward(mask=_moving(0))["bbox"].tolist() == [[0, 0, 30, 20]]


@pytest.mark.parametrize("connectivity", [4, 8])
def test_shapes_measure_as_scikit_image_has_them(specks, connectivity):
    node = ShapeMorphology(connectivity=connectivity)
    outputs = node.forward(mask=specks.int())
    for labels, rows, valid in zip(*(outputs[key] for key in ("identity_mask", "properties", "valid")), strict=True):
        regions = measure.regionprops(labels.numpy())
        assert int(valid.sum()) == len(regions) > 5
        for row, region in zip(rows.tolist(), regions, strict=False):
            found = dict(zip(node.properties, row, strict=True))
            assert (found["area"], found["bbox_area"]) == (region.area, region.area_bbox)
            assert (found["centroid_y"], found["centroid_x"]) == pytest.approx(region.centroid)
            assert found["major_axis"] == pytest.approx(region.axis_major_length)
            assert found["minor_axis"] == pytest.approx(region.axis_minor_length, abs=1e-5)
            assert found["eccentricity"] == pytest.approx(region.eccentricity, abs=1e-5)
            if abs(region.axis_major_length - region.axis_minor_length) > 1e-3:
                assert np.cos(2 * (found["orientation"] - region.orientation)) == pytest.approx(1)


def test_labels_that_are_there_are_numbered_in_each_frame():
    outputs = ShapeMorphology(["area"], max_objects=2, binarize=False).forward(
        mask=torch.cat([_labels([9, 9, 4, 0, 30]), _labels([0, 0, 0, 30, 30])])
    )
    assert outputs["identity_mask"].tolist() == [[[2, 2, 1, 0, 0]], [[0, 0, 0, 1, 1]]]
    assert outputs["properties"].squeeze(-1).tolist() == [[1, 2], [2, 0]]
    assert outputs["valid"].tolist() == [[True, True], [True, False]]


@pytest.fixture
def tray():
    """Two frames with bright rectangles of 12, 6 and 1 pixels."""
    cube = torch.zeros(2, 12, 14, 3)
    cube[0, 1:4, 2:6], cube[0, 7:9, 8:11], cube[1, 5, 5] = 1.0, 0.9, 1.0
    return cube


def test_blobs_are_found_in_each_frame(tray):
    outputs = BlobDetector(opening_kernel=0, closing_kernel=0, min_area=1).forward(cube=tray)
    assert outputs["count"].tolist() == [2, 1]
    assert outputs["bboxes"].tolist() == [[[2, 1, 6, 4], [8, 7, 11, 9]], [[5, 5, 6, 6], [0, 0, 0, 0]]]
    assert outputs["centroids"].tolist() == [[[3.5, 2], [9, 7.5]], [[5, 5], [0, 0]]]
    assert [(outputs["mask"][0] == number).sum() for number in (1, 2)] == [12, 6]


@pytest.mark.parametrize(
    ("hparams", "count"),
    [
        ({}, [2, 0]),
        ({"opening_kernel": 3}, [1, 0]),
        ({"min_area": 1, "max_area": 6}, [1, 1]),
        ({"keep_largest": 1}, [1, 0]),
        ({"threshold_method": "fixed", "threshold": 0.95}, [1, 0]),
        ({"threshold_method": "quantile", "threshold": 1.0}, [1, 0]),
        ({"brightness": "max"}, [2, 0]),
    ],
)
def test_what_counts_as_a_blob_can_be_chosen(tray, hparams, count):
    node = BlobDetector(**({"opening_kernel": 0, "closing_kernel": 0} | hparams))
    assert node.forward(cube=tray)["count"].tolist() == count


def test_pixels_that_are_not_numbers_are_dark(tray):
    tray[0, 0, 0] = torch.nan
    assert BlobDetector(opening_kernel=0).forward(cube=tray)["count"].tolist() == [2, 0]


def test_the_threshold_is_that_of_otsu():
    values = torch.rand(1, 40, 40, 1) ** 3
    scaled = (values - values.min()) / (values.max() - values.min())
    bright = BlobDetector(opening_kernel=0, closing_kernel=0, min_area=1).forward(cube=values)["mask"] > 0
    threshold = filters.threshold_otsu(scaled.numpy(), nbins=256)
    assert (bright == (scaled[..., 0] > threshold)).float().mean() > 0.99


def test_an_index_needs_its_wavelengths(tray):
    node = BlobDetector(brightness="index", index_wavelengths=[500, 600], closing_kernel=0)
    with pytest.raises(InputInvalid, match="3 numbers, one per channel"):
        node.forward(cube=tray)
    tray[0, 1:4, 2:6, 0] = 0.0
    found = node.forward(cube=tray, wavelengths=torch.tensor([600, 500, 700]))
    assert found["bboxes"][0].tolist() == [[2, 1, 6, 4]]


@pytest.mark.parametrize(
    "node",
    [MaskRobustifier(), MaskToBBoxKalman(), ShapeMorphology()],
    ids=lambda node: node.name,
)
def test_no_frames_are_no_trouble(node):
    outputs = node.forward(mask=torch.zeros(0, 5, 6, dtype=torch.int32))
    assert all(value.shape[0] == 0 for value in outputs.values())


@pytest.mark.parametrize(
    ("cls", "hparams"),
    [
        (MaskRobustifier, {"closing_kernel": -1}),
        (MaskToBBoxKalman, {"measurement_noise": 0}),
        (MaskPeakGate, {"ratio": 2}),
        (MaskBlobFilter, {"min_angle_deg": 181}),
        (MaskComposite, {"labels": [1]}),
        (LabelOffset, {"offset": 2**31}),
        (ShapeMorphology, {"properties": ["colour"]}),
        (ShapeMorphology, {"connectivity": 6}),
        (BlobDetector, {"index_wavelengths": [500]}),
        (BlobDetector, {"max_area": 1}),
    ],
)
def test_arguments_that_cannot_be_are_refused(cls, hparams):
    with pytest.raises(ValueError, match=next(iter(hparams))):
        cls(**hparams)


@pytest.mark.parametrize(
    ("node", "inputs", "port"),
    [
        (MaskBlobGate(), {"decisions": MARKS, "mask": MARKS[:, :, 1:]}, "mask"),
        (MaskComposite(), {"decisions": [MARKS]}, "decisions"),
        (MaskComposite(), {"decisions": [MARKS, MARKS[:, :, 1:]]}, "decisions"),
        (NearestLabelFill(), {"class_map": _labels([1, 2]), "source": _labels([1])}, "source"),
        (MajorityVoteByBlob(), {"identity_mask": _labels([1, 2]), "blob_mask": _labels([1])}, "blob_mask"),
        (ScoreMapSuppression(), {"scores": torch.zeros(1, 1, 2, 1), "mask": MARKS}, "mask"),
    ],
)
def test_inputs_that_do_not_go_together_are_refused(node, inputs, port):
    with pytest.raises(InputInvalid, match=f"input '{port}'"):
        node.forward(**inputs)
