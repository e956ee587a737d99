"""Prompts at given frames, and tracks that are hidden."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools import mask as coco

from swath.engine.graph.context import Context
from swath.engine.nodes.occlusion import PoissonCubeOcclusionNode, PoissonOcclusionNode, SolidOcclusionNode
from swath.engine.nodes.prompts import BBoxPrompt, MaskPrompt, PointPrompt, TextPrompt
from swath.engine.ops import poisson
from swath.errors import DataInvalid, InputInvalid

HEIGHT, WIDTH = 12, 16


def _at(frame) -> dict[str, Any]:
    return {"frame_id": torch.tensor([frame])}


def _runs(top, left, bottom, right):
    region = np.zeros((HEIGHT, WIDTH), dtype=np.uint8, order="F")
    region[top:bottom, left:right] = 1
    runs: Any = coco.encode(region)
    return {"size": runs["size"], "counts": runs["counts"].decode()}


@pytest.fixture
def context(tmp_path):
    """Holds tracks.json: tracks 5 and 6 at frame 3, track 5 at frame 4."""
    images = [{"id": frame, "height": HEIGHT, "width": WIDTH} for frame in (3, 4, 8)]
    tracks = [(3, 5, (2, 3, 6, 8)), (3, 6, (5, 7, 9, 12)), (4, 5, (3, 4, 7, 9))]
    annotations = [
        {
            "id": number,
            "image_id": frame,
            "track_id": track,
            "bbox": [left, top, right - left, bottom - top],
            "segmentation": _runs(top, left, bottom, right),
        }
        for number, (frame, track, (top, left, bottom, right)) in enumerate(tracks)
    ]
    (tmp_path / "tracks.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    return Context(resolve=tmp_path.joinpath)


def test_boxes_are_given_at_their_frames(context):
    node = BBoxPrompt("tracks.json", ["1:5@3", "2:6@3"])
    outputs = node.forward(context=context, **_at(3))
    assert outputs["prompt_boxes_xyxy"].tolist() == [[[3, 2, 8, 6], [7, 5, 12, 9]]]
    assert outputs["prompt_object_ids"].tolist() == [[1, 2]]
    assert outputs["bboxes"][0] == {
        "element_id": 0, "object_id": 1, "x_min": 3.0, "y_min": 2.0, "x_max": 8.0, "y_max": 6.0
    }  # fmt: skip
    assert node.forward(context=context, **_at(4))["bboxes"] == []


def test_masks_are_given_at_their_frames_and_the_later_lies_on_top(context):
    node = MaskPrompt("tracks.json", ["1:5@3", "2:6@3"])
    labels = node.forward(context=context, **_at(3))["mask"][0]
    assert (labels == 1).sum() == 20 - 1
    assert (labels == 2).sum() == 20
    assert node.forward(context=context, **_at(8))["mask"].tolist() == [[[0] * WIDTH] * HEIGHT]


def test_what_a_prompt_gave_is_not_what_the_next_one_gets(context):
    node = MaskPrompt("tracks.json", ["1:5@3"])
    node.forward(context=context, **_at(3))["mask"].zero_()
    assert node.forward(context=context, **_at(3))["mask"].any()


def test_without_tracks_detections_are_picked_by_rank_and_polygons_are_filled(context, tmp_path):
    square = [2.2, 3.0, 6.0, 3.0, 6.0, 7.0, 2.2, 7.0]
    items = [
        {"image_id": 1, "bbox": [0, 0, 1, 1], "score": 0.1},
        {"image_id": 1, "bbox": [2, 3, 40, 4], "score": 0.9, "segmentation": [square]},
    ]
    document = {"images": [{"id": 1, "height": HEIGHT, "width": WIDTH}], "annotations": items}
    (tmp_path / "found.json").write_text(json.dumps(document))
    labels = MaskPrompt("found.json", ["4:1@1"]).forward(context=context, **_at(1))["mask"][0]
    assert labels.nonzero().aminmax(dim=0).min.tolist() == [3, 2]
    assert (labels == 4).sum() == 25
    boxes = BBoxPrompt("found.json", ["4:1@1"]).forward(context=context, **_at(1))["prompt_boxes_xyxy"]
    assert boxes.tolist() == [[[2, 3, WIDTH, 7]]]


@pytest.mark.parametrize(
    ("spec", "words"),
    [("1:5@9", "there is no frame 9"), ("1:7@3", r"has the tracks \[5, 6\], not 7"), ("1:1@8", "has 0 detections")],
)
def test_a_pick_that_the_file_does_not_have_is_refused(context, spec, words):
    with pytest.raises(DataInvalid, match=words):
        BBoxPrompt("tracks.json", [spec]).forward(context=context, **_at(3))


@pytest.mark.parametrize(
    ("mode", "texts"), [("scheduled", ["", "cat", "", "dog"]), ("repeat", ["", "cat", "cat", "dog"])]
)
def test_texts_are_given_at_their_frames_or_until_the_next(mode, texts):
    node = TextPrompt(["cat@1", " dog @ 3 "], mode)
    assert [node.forward(**_at(frame))["text_prompt"] for frame in range(4)] == texts


def test_points_are_given_at_one_frame():
    node = PointPrompt([[1, 2], [3, 4, "NEGATIVE"], {"x": 5, "y": 6, "element_id": 2}], 7)
    points = node.forward(**_at(7))["points"]
    assert [(point["x"], point["type"], point["element_id"]) for point in points] == [
        (1.0, "positive", 0), (3.0, "negative", 0), (5.0, "positive", 2)
    ]  # fmt: skip
    assert node.forward(**_at(6))["points"] == []


@pytest.mark.parametrize(
    ("cls", "hparams", "words"),
    [
        (BBoxPrompt, {"json_path": "a", "prompt_specs": ["1:2"]}, "prompt_specs"),
        (MaskPrompt, {"json_path": ""}, "must not be empty"),
        (TextPrompt, {"prompt_specs": ["a@1", "b@1"]}, "one text a frame"),
        (TextPrompt, {"prompt_specs": ["@1"]}, "prompt_specs"),
        (TextPrompt, {"prompt_mode": "often"}, "prompt_mode"),
        (PointPrompt, {"points": [[1]], "prompt_frame_id": 0}, "points"),
        (PointPrompt, {"points": [[1, 2, "both"]], "prompt_frame_id": 0}, "type of points"),
    ],
)
def test_prompts_that_cannot_be_are_refused(cls, hparams, words):
    with pytest.raises(ValueError, match=words):
        cls(**hparams)


def test_a_hole_is_filled_by_the_solution_of_laplaces_equation():
    picture = torch.rand(9, 11, 3, dtype=torch.float64)
    hole = torch.rand(9, 11) > 0.4
    filled = poisson.fill(picture, hole, max_iter=1000, tol=1e-12)
    side = [np.eye(size, k=1) + np.eye(size, k=-1) for size in (9, 11)]
    joined = np.kron(side[0], np.eye(11)) + np.kron(np.eye(9), side[1])
    laplacian = np.diag(joined.sum(axis=1)) - joined
    inside = hole.numpy().ravel()
    known = picture.numpy().reshape(-1, 3)[~inside]
    expected = np.linalg.solve(laplacian[inside][:, inside], -laplacian[inside][:, ~inside] @ known)
    assert np.allclose(filled.numpy().reshape(-1, 3)[inside], expected)
    assert torch.equal(filled[~hole], picture[~hole])


def test_a_plane_goes_on_through_a_hole():
    picture = torch.arange(12.0).reshape(-1, 1, 1) + torch.arange(16.0).reshape(1, -1, 1)
    hole = torch.zeros(12, 16, dtype=torch.bool)
    hole[3:8, 4:12] = True
    filled = poisson.fill(torch.where(hole[..., None], torch.nan, picture), hole, max_iter=1000, tol=1e-9)
    assert torch.allclose(filled, picture)


def _hidden(node, context, frame):
    colour = node.forward(context=context, rgb_image=torch.zeros(1, HEIGHT, WIDTH, 3), **_at(frame))["rgb_image"][0]
    return colour[..., 0] > 0


@pytest.mark.parametrize(
    ("hparams", "box"),
    [
        ({"static_bbox_scale": 1.0}, (2, 3, 7, 9)),
        ({"static_bbox_scale": 1.0, "static_bbox_padding_px": 1}, (1, 2, 8, 10)),
        ({"static_bbox_scale": 1.0, "static_full_width_x": True}, (2, 0, 7, WIDTH)),
        ({"bbox_mode": "dynamic"}, (2, 3, 6, 8)),
        ({"occlusion_shape": "mask"}, (2, 3, 6, 8)),
    ],
)
def test_tracks_are_hidden_by_their_boxes_or_masks(context, hparams, box):
    node = SolidOcclusionNode("tracks.json", [5], 3, 4, [1.0, 0.5, 0.0], **hparams)
    top, left, bottom, right = box
    expected = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    expected[top:bottom, left:right] = True
    assert torch.equal(_hidden(node, context, 3), expected)
    assert not _hidden(node, context, 5).any()


@pytest.mark.parametrize("hparams", [{"bbox_mode": "dynamic"}, {"occlusion_shape": "mask"}])
def test_a_frame_of_another_size_is_hidden_at_the_same_place(context, hparams):
    node = PoissonOcclusionNode("tracks.json", [5], 3, 4, [1, 1, 1], **hparams)
    pictures = torch.zeros(1, 2 * HEIGHT, 2 * WIDTH, 3)
    hidden = node.forward(context=context, rgb_image=pictures, **_at(3))["rgb_image"][0, ..., 0]
    assert hidden.sum() == 4 * 20
    assert hidden[4:12, 6:16].all()


def test_cubes_are_filled_from_around_and_keep_the_rest(context):
    cube = torch.rand(1, HEIGHT, WIDTH, 5)
    cube[0, 3:6, 4:8] = 1e6
    node = PoissonCubeOcclusionNode("tracks.json", [5], 3, 4, bbox_mode="dynamic")
    filled = node.forward(context=context, cube=cube, **_at(3))["cube"]
    assert filled.max() <= 1.0
    assert torch.equal(filled[0, 6:], cube[0, 6:])
    assert cube.max() == 1e6


def test_one_picture_is_wanted(context):
    picture = torch.zeros(1, HEIGHT, WIDTH, 3)
    both = {"rgb_image": picture, "cube": picture, **_at(3)}
    node = PoissonOcclusionNode("tracks.json", [5], 3, 4)
    with pytest.raises(InputInvalid, match="either rgb_image or cube, got rgb_image and cube"):
        node.forward(context=context, **both)
    chosen = PoissonOcclusionNode("tracks.json", [5], 3, 4, input_key="cube")
    assert set(chosen.forward(context=context, **both)) == {"cube"}


def test_a_picture_that_is_hidden_as_a_whole_has_nothing_to_be_filled_from(context):
    node = PoissonOcclusionNode("tracks.json", [5], 3, 4, static_bbox_scale=99.0)
    with pytest.raises(InputInvalid, match="not hidden as a whole"):
        node.forward(context=context, rgb_image=torch.zeros(1, HEIGHT, WIDTH, 3), **_at(3))


def test_a_track_that_is_not_there_is_named(context):
    with pytest.raises(DataInvalid, match="it has no track 9"):
        _hidden(PoissonOcclusionNode("tracks.json", [5, 9], 3, 4), context, 3)


@pytest.mark.parametrize("hparams", [{"fill_color": "red"}, {"fill_color": [2, 0, 0]}, {"tol": 0}, {"bbox_mode": "x"}])
def test_an_occlusion_that_cannot_be_is_refused(hparams):
    with pytest.raises(ValueError, match=next(iter(hparams))):
        PoissonOcclusionNode("tracks.json", [5], 3, 4, **hparams)
