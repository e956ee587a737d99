"""Masks, boxes and objects on pictures, and pictures for monitors."""

from typing import Any

import numpy as np
import pytest
import torch

from swath.engine.draw import colours
from swath.engine.graph.context import Context
from swath.engine.graph.ports import Stage
from swath.engine.nodes.anomaly_visualization import (
    BBoxesOverlayNode,
    ChannelSelectorFalseRGBViz,
    ChannelWeightsViz,
    MaskOverlayNode,
    RGBAnomalyMask,
    TrackingOverlayNode,
    TrackingPointerOverlayNode,
)
from swath.errors import InputInvalid

HEIGHT, WIDTH = 80, 90


@pytest.fixture
def picture():
    return torch.full((1, HEIGHT, WIDTH, 3), 0.5)


@pytest.fixture
def objects():
    mask = torch.zeros(1, HEIGHT, WIDTH, dtype=torch.int32)
    mask[0, 40:60, 10:30] = 3
    mask[0, 50:70, 50:80] = 40
    return mask


def _colour(number):
    return torch.tensor(colours.of_object(number)) / 255


def test_a_mask_is_blended(picture, objects):
    shown = MaskOverlayNode(alpha=0.4, overlay_color=[0.0, 1.0, 0.0]).forward(rgb_image=picture, mask=objects)
    assert shown["rgb_with_overlay"][0, 45, 15].tolist() == pytest.approx([0.3, 0.7, 0.3])
    assert torch.equal(shown["rgb_with_overlay"][0, 0], picture[0, 0])
    assert torch.equal(MaskOverlayNode().forward(rgb_image=picture)["rgb_with_overlay"], picture)


def test_a_mask_has_the_pixels_of_the_picture(picture):
    with pytest.raises(InputInvalid, match="mask"):
        MaskOverlayNode().forward(rgb_image=picture, mask=torch.zeros(1, 3, 3, dtype=torch.int32))


def test_objects_have_a_tint_and_a_contour(picture, objects):
    node = TrackingOverlayNode(alpha=0.5, draw_ids=False)
    shown = node.forward(rgb_image=picture, mask=objects)["rgb_with_overlay"][0]
    torch.testing.assert_close(shown[50, 20], 0.5 * _colour(3) + 0.25)
    torch.testing.assert_close(shown[41, 20], _colour(3))
    torch.testing.assert_close(shown[69, 60], _colour(40))
    assert torch.equal(shown[0], picture[0, 0])


def test_only_the_objects_that_are_asked_for_are_drawn(picture, objects):
    node = TrackingOverlayNode(draw_ids=False)
    wanted = torch.tensor([[40, 7, 0]])
    shown = node.forward(rgb_image=picture, mask=objects, object_ids=wanted)["rgb_with_overlay"][0]
    assert torch.equal(shown[40:60, 10:30], picture[0, 40:60, 10:30])
    assert not torch.equal(shown[50:70, 50:80], picture[0, 50:70, 50:80])


def test_numbers_stand_above_their_objects(picture, objects):
    shown = TrackingOverlayNode().forward(rgb_image=picture, mask=objects)["rgb_with_overlay"][0]
    assert (shown[20:38, 8:30] != 0.5).any()
    assert (shown[20:38, 8:30] > 0.9).any()


def test_a_pointer_stands_above_its_object(picture, objects):
    shown = TrackingPointerOverlayNode().forward(rgb_image=picture, mask=objects)["rgb_with_overlay"][0]
    torch.testing.assert_close(shown[30, 20], _colour(3))
    assert torch.equal(shown[40:60, 10:30], picture[0, 40:60, 10:30])


@pytest.mark.parametrize("cls", [TrackingOverlayNode, TrackingPointerOverlayNode])
def test_without_objects_the_number_of_the_frame_is_left(cls, picture):
    nothing = torch.zeros(1, HEIGHT, WIDTH, dtype=torch.int32)
    assert torch.equal(cls().forward(rgb_image=picture, mask=nothing)["rgb_with_overlay"], picture)
    shown = cls().forward(rgb_image=picture, mask=nothing, frame_id=torch.tensor([7]))["rgb_with_overlay"]
    assert (shown[0, 5:22, 5:60] != 0.5).any()


@pytest.fixture
def boxes():
    return {"bboxes": torch.tensor([[[10.0, 20, 40, 70], [50, 60, 500, 75]]]), "category_ids": torch.tensor([[2, -1]])}


def test_boxes_are_drawn_inside_their_corners(picture, boxes):
    shown = BBoxesOverlayNode(line_thickness=2).forward(rgb_image=picture, **boxes)["rgb_with_overlay"][0]
    for row, column in ((20, 10), (21, 30), (70, 40), (45, 11)):
        torch.testing.assert_close(shown[row, column], _colour(2))
    torch.testing.assert_close(shown[70, WIDTH - 1], _colour(-1))
    assert shown[45, 12].tolist() == shown[71, 20].tolist() == [0.5] * 3


def test_boxes_below_class_zero_can_be_left_out(picture, boxes):
    shown = BBoxesOverlayNode(hide_untracked=True).forward(rgb_image=picture, **boxes)["rgb_with_overlay"][0]
    assert shown[60, 60].tolist() == [0.5] * 3


def test_a_spectrum_is_drawn_where_there_is_room(picture, boxes):
    node = BBoxesOverlayNode(draw_sparklines=True, sparkline_height=20)
    rising = torch.linspace(0, 1, 30).repeat(1, 2, 1)
    shown = node.forward(rgb_image=picture, **boxes, spectral_signatures=rising)["rgb_with_overlay"][0]
    torch.testing.assert_close(shown[60, 37], _colour(2))  # high at the right
    assert shown[60, 13].tolist() == pytest.approx([0.25] * 3, abs=0.01)  # darkened at the left
    assert shown[65, 70].tolist() == [0.5] * 3


def test_labels_stand_above_boxes(picture, boxes):
    shown = BBoxesOverlayNode(draw_labels=True).forward(rgb_image=picture, **boxes)["rgb_with_overlay"][0]
    assert (shown[2:18, 8:25] != 0.5).any()


def test_boxes_have_a_class_each(picture):
    with pytest.raises(InputInvalid, match="2 boxes"):
        BBoxesOverlayNode().forward(
            rgb_image=picture, bboxes=torch.zeros(1, 2, 4), category_ids=torch.zeros(1, 3, dtype=torch.int64)
        )


@pytest.mark.parametrize(
    ("given", "panels"), [((), 1), (("mask",), 2), (("decisions",), 2), (("decisions", "mask", "scores"), 3)]
)
def test_predictions_are_drawn_beside_the_picture(given, panels):
    flags = torch.zeros(2, 130, 140, 1, dtype=torch.bool)
    flags[:, 10:20, 10:20] = True
    known = {"mask": flags, "decisions": flags, "scores": flags.float()}
    inputs: dict[str, Any] = {port: known[port] for port in given}
    drawn = RGBAnomalyMask(up_to=1).forward(rgb_image=torch.rand(2, 130, 140, 3), **inputs)["artifacts"]
    assert [picture.name for picture in drawn] == ["rgb_anomaly_mask_img00"]
    assert drawn[0].pixels.shape == (130 + 14, panels * 144 - 4, 3)


def test_the_average_precision_above_a_prediction_leaves_invalid_pixels_out():
    flags = torch.zeros(1, 130, 140, 1, dtype=torch.bool)
    flags[:, 10:20, 10:20] = True
    inputs: dict[str, Any] = {"rgb_image": torch.rand(1, 130, 140, 3), "decisions": flags, "mask": flags}
    perfect, spoilt = flags.float() - 1, flags.float() - 1
    spoilt[:, 50:, :, 0] = torch.nan  # as 0 they would be ranked with what was to be found
    drawn = [RGBAnomalyMask().forward(**inputs, scores=scores)["artifacts"][0].pixels for scores in (perfect, spoilt)]
    assert (drawn[0] == drawn[1]).all()
    # Without any valid pixel to be found there is none.
    spoilt[flags] = torch.nan
    without = RGBAnomalyMask().forward(**inputs)["artifacts"][0].pixels
    assert (RGBAnomalyMask().forward(**inputs, scores=spoilt)["artifacts"][0].pixels == without).all()


def test_bands_as_they_are_become_a_picture():
    bright = torch.linspace(100, 5000, 128 * 128).reshape(1, 128, 128, 1).expand(1, 128, 128, 3)
    pixels = RGBAnomalyMask().forward(rgb_image=bright)["artifacts"][0].pixels[14:]
    assert (pixels.min(), pixels.max()) == (0, 255)


def test_false_colours_are_drawn_with_and_without_their_mask(picture, objects):
    inputs: dict[str, Any] = {
        "rgb_output": torch.rand(2, HEIGHT, WIDTH, 3),
        "mask": torch.cat([objects, torch.zeros_like(objects)]),
    }
    drawn = ChannelSelectorFalseRGBViz(mask_overlay_alpha=1.0).forward(**inputs, mesu_index=torch.tensor([4, 9]))
    names = [picture.name for picture in drawn["artifacts"]]
    assert names == ["false_rgb_mesu_4", "mask_overlay_mesu_4", "false_rgb_mesu_9"]
    assert drawn["artifacts"][1].pixels[45, 15].tolist() == [255, 0, 0]


def test_weights_are_blue_below_zero_and_red_above():
    node = ChannelWeightsViz(cell_height=10, cell_width=8)
    weights = torch.tensor([[1.0, -1.0], [0.0, 0.5]])
    pixels = node.forward(weights=weights, wavelengths=torch.tensor([500, 600]))["artifacts"][0].pixels.astype(int)
    red, blue, white = pixels[12 + 5, 24 + 4], pixels[12 + 5, 24 + 13], pixels[12 + 16, 24 + 4]
    assert red[0] > red[2] + 50
    assert blue[2] > blue[0] + 50
    assert white.min() > 240


@pytest.mark.parametrize(
    ("node", "inputs"),
    [
        (ChannelSelectorFalseRGBViz(log_every_n_batches=3), {"rgb_output": torch.rand(1, 4, 4, 3)}),
        (ChannelWeightsViz(log_every_n_batches=3), {"weights": torch.rand(3, 5)}),
    ],
)
def test_some_batches_are_left_out(node, inputs):
    drawn = [bool(node.forward(context=Context(Stage.VAL, batch=batch), **inputs)["artifacts"]) for batch in range(5)]
    assert drawn == [True, False, False, True, False]


@pytest.mark.parametrize(
    ("cls", "hparams"),
    [
        (MaskOverlayNode, {"overlay_color": [2, 0, 0]}),
        (TrackingOverlayNode, {"text_scale": 0}),
        (BBoxesOverlayNode, {"line_thickness": 0}),
        (RGBAnomalyMask, {"up_to": -1}),
        (ChannelWeightsViz, {"cell_width": 0}),
        (ChannelSelectorFalseRGBViz, {"mask_overlay_alpha": -0.1}),
    ],
)
def test_arguments_are_checked(cls, hparams):
    with pytest.raises(ValueError, match=next(iter(hparams))):
        cls(**hparams)


def test_pictures_are_bytes(picture, objects):
    drawn = ChannelSelectorFalseRGBViz().forward(rgb_output=picture, mask=objects)["artifacts"]
    assert {artifact.pixels.dtype for artifact in drawn} == {np.dtype(np.uint8)}
