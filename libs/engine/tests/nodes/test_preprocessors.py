"""Rotations, crops, channel statistics and saturation by hand."""

import pytest
import torch

from swath.engine.graph.registry import create
from swath.engine.nodes.preprocessors import (
    BBoxRoiCropNode,
    ChannelNormalizeNode,
    SaturatedPixelDetector,
    SpatialRotateNode,
)
from swath.errors import GraphInvalid, InputInvalid


@pytest.mark.parametrize(
    ("rotation", "expected"),
    [
        (None, [[0, 1, 2], [3, 4, 5]]),
        (90, [[2, 5], [1, 4], [0, 3]]),
        (-270, [[2, 5], [1, 4], [0, 3]]),
        (180, [[5, 4, 3], [2, 1, 0]]),
        (-90, [[3, 0], [4, 1], [5, 2]]),
        (270, [[3, 0], [4, 1], [5, 2]]),
    ],
)
def test_everything_is_turned_anticlockwise(rotation, expected):
    mask = torch.arange(6, dtype=torch.int32).reshape(1, 2, 3)
    outputs = SpatialRotateNode(rotation).forward(cube=mask.float().unsqueeze(-1), mask=mask)
    assert outputs["mask"][0].tolist() == expected
    assert outputs["cube"][0, ..., 0].tolist() == expected
    assert "rgb_image" not in outputs


def test_turns_are_quarters():
    with pytest.raises(GraphInvalid, match="rotation must be a multiple of 90"):
        create("SpatialRotateNode", "it", {"rotation": 45})


def test_channels_are_normalised_by_given_numbers():
    node = ChannelNormalizeNode(mean=[1.0, 2.0], std=[2.0, 4.0])
    normalized = node.forward(images=torch.tensor([3.0, 10.0]).reshape(1, 2, 1, 1))["normalized"]
    assert normalized.flatten().tolist() == [1.0, 2.0]
    assert ChannelNormalizeNode().state()["_std_buf"].flatten().tolist() == pytest.approx([0.229, 0.224, 0.225])


def test_one_pair_of_numbers_is_for_all_channels():
    assert ChannelNormalizeNode([1.0], [2.0]).forward(images=torch.full((1, 5, 2, 2), 5.0))["normalized"].unique() == 2


def test_channel_statistics_must_fit():
    with pytest.raises(InputInvalid, match=r"pictures \[N,3,H,W\]"):
        ChannelNormalizeNode().forward(images=torch.zeros(1, 4, 2, 2))
    with pytest.raises(GraphInvalid, match="as many numbers"):
        create("ChannelNormalizeNode", "it", {"mean": [0.5]})
    with pytest.raises(GraphInvalid, match="std must be above 0"):
        create("ChannelNormalizeNode", "it", {"mean": [0.5], "std": [0]})


def test_the_share_of_saturated_bands_is_told():
    cube = torch.tensor([[0.1, 0.2, 0.3, 0.4], [1.0, 0.2, 0.3, 0.4], [1.0, 2.0, 0.3, 0.4]]).reshape(1, 1, 3, 4)
    outputs = SaturatedPixelDetector().forward(cube=cube)
    assert outputs["scores"].flatten().tolist() == [0, 0.25, 0.5]
    assert outputs["decisions"].flatten().tolist() == [False, True, True]
    assert SaturatedPixelDetector(mask_threshold=0.25).forward(cube=cube)["decisions"].sum() == 1


@pytest.fixture
def ramp():
    """A picture whose two channels are the row and the column of each pixel."""
    rows, columns = torch.meshgrid(torch.arange(10.0), torch.arange(12.0), indexing="ij")
    return torch.stack([rows, columns], dim=-1).unsqueeze(0)


def _boxes(*boxes):
    return torch.tensor([boxes])


def test_a_crop_has_the_mean_of_each_part_of_the_box(ramp):
    crop = BBoxRoiCropNode(output_size=(2, 3)).forward(images=ramp, bboxes=_boxes([2.0, 3.0, 8.0, 7.0]))["crops"]
    # Pixel i covers i to i + 1, so its middle is at i + 0.5.
    assert crop[0, 0].tolist() == [[3.5] * 3, [5.5] * 3]
    assert crop[0, 1].tolist() == [[2.5, 4.5, 6.5]] * 2


def test_older_models_take_coordinates_as_middles(ramp):
    node = BBoxRoiCropNode(output_size=(1, 2), aligned=False)
    crops = node.forward(images=ramp, bboxes=_boxes([2.0, 3.0, 6.0, 4.0], [5.0, 5.0, 5.2, 5.2]))["crops"]
    assert crops[0, :, 0].tolist() == [[3.5, 3.5], [3.0, 5.0]]
    assert crops[1, :, 0].flatten().tolist() == [5.5, 5.5, 5.25, 5.75]


def test_a_small_box_is_enlarged_between_pixels(ramp):
    crop = BBoxRoiCropNode(output_size=(1, 4)).forward(images=ramp, bboxes=_boxes([4.0, 4.0, 5.0, 5.0]))["crops"]
    assert crop[0, 1, 0].tolist() == [3.625, 3.875, 4.125, 4.375]


def test_what_lies_outside_of_the_picture_is_zero(ramp):
    images = torch.ones_like(ramp)
    crop = BBoxRoiCropNode(output_size=(1, 4)).forward(images=images, bboxes=_boxes([10.0, 0.0, 18.0, 2.0]))["crops"]
    assert crop[0, 0, 0].tolist() == [1.0, 0.5, 0.0, 0.0]


def test_padding_gives_no_crop_and_frames_follow_each_other(ramp):
    images = torch.cat([ramp, ramp + 100])
    boxes = torch.tensor([[[0.0, 0, 0, 0], [1, 1, 3, 3]], [[2, 2, 4, 4], [-5, -5, -1, 0]]])
    crops = BBoxRoiCropNode(output_size=(1, 1)).forward(images=images, bboxes=boxes)["crops"]
    assert crops[:, 0].flatten().tolist() == [1.5, 102.5]


def test_no_boxes_and_empty_boxes_are_taken(ramp):
    node = BBoxRoiCropNode(output_size=(2, 3))
    assert node.forward(images=ramp, bboxes=torch.zeros(1, 4, 4))["crops"].shape == (0, 2, 2, 3)
    crops = node.forward(images=ramp, bboxes=_boxes([5.0, 5.0, 5.0, 5.0], [7.0, 7.0, 2.0, 2.0]))["crops"]
    assert crops.shape == (2, 2, 2, 3)
    assert crops.abs().max() == 0


@pytest.mark.parametrize(
    ("boxes", "words"),
    [
        (torch.tensor([[[0.0, 0, torch.nan, 5]]]), "finite numbers"),
        (torch.tensor([[[0.0, 0, 1e9, 5]]]), "at most 524288"),
        (torch.zeros(2, 1, 4), "boxes of 1 pictures"),
    ],
)
def test_boxes_are_checked(ramp, boxes, words):
    with pytest.raises(InputInvalid, match=words):
        BBoxRoiCropNode().forward(images=ramp, bboxes=boxes)


@pytest.mark.parametrize("size", [[3], [0, 4]])
def test_crops_have_a_size(size):
    with pytest.raises(GraphInvalid, match="output_size"):
        create("BBoxRoiCropNode", "it", {"output_size": size})


@pytest.mark.parametrize(
    ("node", "inputs", "port", "output"),
    [
        (BBoxRoiCropNode((3, 2)), {"bboxes": _boxes([0.7, 1.2, 6.4, 5.9])}, "images", "crops"),
        (ChannelNormalizeNode([0.1], [0.3]).double(), {}, "images", "normalized"),
        (SpatialRotateNode(90), {}, "cube", "cube"),
    ],
    ids=["crop", "normalise", "rotate"],
)
def test_gradients_are_those_of_finite_differences(node, inputs, port, output):
    data = torch.rand(1, 6, 7, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda values: node.forward(**{port: values}, **inputs)[output], data)
