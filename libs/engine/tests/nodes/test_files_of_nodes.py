"""Files that nodes read and write: detections, tracks, arrays, pictures."""

import gc
import json

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco

from swath.engine.graph.context import Context
from swath.engine.nodes.image_file import PngWriter
from swath.engine.nodes.json_file import (
    CocoTrackBBoxWriter,
    CocoTrackMaskWriter,
    DetectionCocoJsonNode,
    DetectionJsonReader,
    TrackingResultsReader,
)
from swath.engine.nodes.numpy_file import NpyReader, NumpyFeatureWriterNode
from swath.engine.nodes.video import ToImage, VideoFrameNode
from swath.errors import DataInvalid, FileMissing, InputInvalid

BOXES = torch.tensor([[[1.0, 2.0, 4.0, 8.0], [0.5, 0.0, 1.0, 3.0]]])


@pytest.fixture
def context(tmp_path):
    return Context(resolve=tmp_path.joinpath)


def _frame(number, boxes=BOXES, **more):
    count = boxes.shape[1]
    return {
        "frame_id": torch.tensor([number]),
        "bboxes": boxes,
        "category_ids": torch.arange(count).reshape(1, -1),
        "confidences": torch.full((1, count), 0.5),
        "orig_hw": torch.tensor([[10, 12]]),
        **more,
    }


def _objects(number, labels, ids, **more):
    return {
        "frame_id": torch.tensor([number]),
        "mask": torch.tensor(labels, dtype=torch.int32).unsqueeze(0),
        "object_ids": torch.tensor([ids], dtype=torch.int64).reshape(1, -1),
        "detection_scores": torch.full((1, len(ids)), 0.25),
        **more,
    }


def test_detections_are_written_when_the_pipeline_is_closed(context, tmp_path):
    node = DetectionCocoJsonNode("out/found.json", {"0": "lentil"})
    node.forward(context=context, **_frame(7))
    node.forward(context=context, **_frame(3, BOXES[:, :0]))
    assert not (tmp_path / "out").exists()
    node.close()
    assert json.loads((tmp_path / "out/found.json").read_text()) == {
        "info": {"description": "Detection results", "version": "1.0"},
        "images": [
            {"id": 3, "file_name": "frame_000003", "height": 10, "width": 12},
            {"id": 7, "file_name": "frame_000007", "height": 10, "width": 12},
        ],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 0, "bbox": [1, 2, 3, 6], "area": 18, "iscrowd": 0, "score": 0.5},
            {
                "id": 2,
                "image_id": 7,
                "category_id": 1,
                "bbox": [0.5, 0, 0.5, 3],
                "area": 1.5,
                "iscrowd": 0,
                "score": 0.5,
            },
        ],
        "categories": [{"id": 0, "name": "lentil"}],
    }


@pytest.mark.parametrize("atomic", [True, False])
def test_tracks_are_written_as_often_as_asked_for(context, tmp_path, atomic):
    node = CocoTrackBBoxWriter("tracks.json", flush_interval=2, atomic_write=atomic, write_empty_frames=False)
    tracks = {"track_ids": torch.tensor([[5, 6]])}
    node.forward(context=context, **_frame(1, **tracks))
    node.forward(context=context, **_frame(2, BOXES[:, :0], track_ids=torch.zeros(1, 0, dtype=torch.int64)))
    assert list(tmp_path.iterdir()) == []
    node.forward(context=context, **_frame(1, **tracks))
    assert [path.name for path in tmp_path.iterdir()] == ["tracks.json"]
    written = json.loads((tmp_path / "tracks.json").read_text())
    assert [(item["image_id"], item["track_id"]) for item in written["annotations"]] == [(1, 5), (1, 6)]


def test_a_writer_that_is_dropped_leaves_a_whole_file(context, tmp_path):
    node = DetectionCocoJsonNode("found.json")
    node.forward(context=context, **_frame(7))
    del node
    gc.collect()
    assert len(json.loads((tmp_path / "found.json").read_text())["annotations"]) == 2


@pytest.mark.parametrize(
    ("more", "port"),
    [({"confidences": torch.zeros(1, 3)}, "confidences"), ({"bboxes": BOXES / 0}, "bboxes")],
)
def test_boxes_that_no_file_can_hold_are_refused(context, more, port):
    with pytest.raises(InputInvalid, match=f"input '{port}'"):
        DetectionCocoJsonNode("found.json").forward(context=context, **(_frame(1) | more))


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools, with NumPy 2
def test_masks_are_written_as_run_lengths_that_coco_reads(context, tmp_path):
    labels = [[0, 3, 3], [1, 0, 3]]
    node = CocoTrackMaskWriter("masks.json")
    node.forward(context=context, **_objects(4, labels, [3, 1, 8, 0]))
    node.close()
    written = json.loads((tmp_path / "masks.json").read_text())
    first, second = written["annotations"]
    assert (first["track_id"], second["track_id"], first["category_id"], first["iscrowd"]) == (1, 3, 1, 1)
    assert (second["bbox"], second["area"], second["score"]) == ([1, 0, 2, 2], 3, 0.25)
    assert coco.decode(second["segmentation"]).tolist() == [[0, 1, 1], [0, 0, 1]]
    assert written["categories"] == [{"id": 1, "name": "object"}]


def test_masks_are_written_by_track(context, tmp_path):
    node = CocoTrackMaskWriter("masks.json", dialect="video")
    for number, labels in ((4, [[3]]), (2, [[0]]), (4, [[5]])):
        node.forward(context=context, **_objects(number, labels, [3, 5]))
    node.close()
    written = json.loads((tmp_path / "masks.json").read_text())
    assert written["videos"][0] == {
        "id": 1, "name": "masks", "frame_indices": [2, 4], "start_frame": 2, "length": 2, "height": 1, "width": 1
    }  # fmt: skip
    assert [(item["track_id"], item["areas"]) for item in written["annotations"]] == [(5, [None, 1])]


def test_categories_keep_their_meaning(context):
    names = torch.tensor(list(b'{"2": "leaf"}'), dtype=torch.uint8)
    node = CocoTrackMaskWriter("masks.json")
    node.forward(context=context, **_objects(1, [[3]], [3], category_ids=torch.tensor([[2]]), category_semantics=names))
    with pytest.raises(InputInvalid, match="category 2 of object 3 again, not 1"):
        node.forward(context=context, **_objects(2, [[3]], [3]))
    other = torch.tensor(list(b'{"2": "stem"}'), dtype=torch.uint8)
    with pytest.raises(InputInvalid, match="the name 'leaf' of category 2 again"):
        node.forward(context=context, **_objects(2, [[3]], [], category_semantics=other))


@pytest.mark.parametrize("dialect", ["image", "video"])
def test_what_is_written_is_read_again(context, dialect):
    labels = [[0, 3, 3], [1, 0, 3]]
    writer = CocoTrackMaskWriter("masks.json", dialect=dialect)
    writer.forward(context=context, **_objects(4, labels, [3, 1]))
    writer.close()
    read = TrackingResultsReader("masks.json").forward(context=context, frame_id=torch.tensor([4]))
    assert read["mask"].tolist() == [labels]
    assert read["object_ids"].tolist() == [[1, 3]]
    assert read["orig_hw"].tolist() == [[2, 3]]


def test_frames_are_read_one_by_one_and_from_the_start_once_forgotten(context):
    writer = CocoTrackBBoxWriter("tracks.json")
    for number in (9, 2):
        writer.forward(context=context, **_frame(number, track_ids=torch.tensor([[5, 6]])))
    writer.close()
    for node in (DetectionJsonReader("tracks.json"), TrackingResultsReader("tracks.json")):
        assert [node.forward(context=context)["frame_id"].item() for _ in range(2)] == [2, 9]
        with pytest.raises(DataInvalid, match="holds 2 frames, and all were given"):
            node.forward(context=context)
        node.forget()
        first = node.forward(context=context)
        assert torch.equal(first["bboxes"], BOXES)
        assert first["confidences"].tolist() == [[0.5, 0.5]]
    assert first["track_ids"].tolist() == [[5, 6]]


def test_a_frame_that_is_not_there_holds_nothing(context, tmp_path):
    (tmp_path / "tracks.json").write_text('{"images": [], "annotations": []}')
    read = TrackingResultsReader("tracks.json").forward(context=context, frame_id=torch.tensor([4]))
    assert (read["frame_id"].item(), read["bboxes"].shape, read["mask"].shape) == (4, (1, 0, 4), (1, 0, 0))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not a readable tracking file"),
        ("{}", "expected annotations and images"),
        ('{"images": [], "annotations": []}', "its format is coco_bbox, expected video_coco"),
    ],
)
def test_a_file_of_another_kind_is_refused(context, tmp_path, text, words):
    (tmp_path / "tracks.json").write_text(text)
    with pytest.raises(DataInvalid, match=f"Node 'TrackingResultsReader': tracks.json: .*{words}"):
        TrackingResultsReader("tracks.json", required_format="video_coco").forward(context=context)


def test_a_file_that_is_not_there_is_named(context):
    with pytest.raises(FileMissing, match=r"Node 'NpyReader': the array of NumPy 'a\.npy' does not exist"):
        NpyReader("a.npy").forward(context=context)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((5,), (1, 1, 1, 5)), ((4, 5), (4, 1, 1, 5)), ((3, 4, 5), (1, 3, 4, 5)), ((2, 3, 4, 5), (2, 3, 4, 5))],
)
def test_an_array_gets_four_dimensions(context, tmp_path, shape, expected):
    array = np.random.default_rng(0).random(shape)
    np.save(tmp_path / "a.npy", array)
    data = NpyReader("a.npy").forward(context=context)["data"]
    assert data.shape == expected
    assert np.array_equal(data.numpy().ravel(), array.astype(np.float32).ravel())


def test_an_array_that_changes_is_read_again_and_one_that_came_with_weights_stays(context, tmp_path):
    node, other = NpyReader("a.npy"), NpyReader("elsewhere.npy")
    for value in (1.0, 22.0):
        np.save(tmp_path / "a.npy", np.full(int(value), value))
        assert node.forward(context=context)["data"].mean() == value
    assert other.faults(node.state(), strict=True) == []
    other.restore(node.state())
    assert torch.equal(other.forward(context=context)["data"], node.forward(context=context)["data"])


@pytest.mark.parametrize("array", [np.zeros(()), np.zeros(3, dtype=complex), np.array(["a"])])
def test_an_array_that_is_no_image_is_refused(context, tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DataInvalid, match="expected"):
        NpyReader("a.npy").forward(context=context)


def test_features_are_written_by_frame(context, tmp_path):
    features = torch.rand(1, 3, 2)
    NumpyFeatureWriterNode("out", "f").forward(context=context, features=features, frame_id=torch.tensor([12]))
    assert np.array_equal(np.load(tmp_path / "out/f_000012.npy"), features[0].numpy())


@pytest.mark.parametrize(
    ("count", "numbers", "names"),
    [(1, None, ["a.png"]), (1, [7], ["a_000007.png"]), (2, None, ["a_000000.png", "a_000001.png"]),
     (2, [7, 9], ["a_000007.png", "a_000009.png"])],
)  # fmt: skip
def test_pictures_are_png_files_by_frame(context, tmp_path, count, numbers, names):
    pictures = torch.rand(count, 4, 5, 3)
    frames = {} if numbers is None else {"frame_id": torch.tensor(numbers)}
    PngWriter("a.png").forward(context=context, rgb_image=pictures, **frames)
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    with Image.open(tmp_path / names[-1]) as image:
        assert np.array_equal(np.asarray(image), (pictures[-1] * 255).round().to(torch.uint8).numpy())


def test_pictures_are_files_of_any_format_and_turned(context, tmp_path):
    pictures = torch.zeros(1, 4, 6, 3)
    pictures[0, 0, 0] = 1.0
    node = ToImage("out", "f_{frame_id:03d}.bmp", frame_rotation=90)
    for _ in range(2):
        node.forward(context=context, rgb_image=pictures)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["f_000.bmp", "f_001.bmp"]
    with Image.open(tmp_path / "out/f_001.bmp") as image:
        assert (image.size, image.getpixel((0, 5))) == ((4, 6), (255, 255, 255))


def test_title_and_number_are_written_on_pictures(context, tmp_path):
    node = ToImage("out", overlay_title="a title")
    node.forward(context=context, rgb_image=torch.zeros(1, 60, 90, 3), frame_id=torch.tensor([5]))
    with Image.open(tmp_path / "out/frame_000005.png") as image:
        assert np.asarray(image).max() > 200


@pytest.mark.parametrize(
    "pattern", ["frame", "f.xyz", "{other}.png", "{frame_id.real}.png", "{frame_id:9999d}.png", "{"]
)
def test_patterns_of_names_that_reach_further_are_refused(pattern):
    with pytest.raises(ValueError, match="filename_pattern"):
        ToImage("out", pattern)


def test_as_many_numbers_as_pictures_are_needed(context):
    for node in (PngWriter("a.png"), ToImage("out")):
        with pytest.raises(InputInvalid, match="2 numbers, one per picture"):
            node.forward(context=context, rgb_image=torch.zeros(2, 4, 4, 3), frame_id=torch.tensor([1]))


def test_frames_of_a_video_are_handed_on():
    pictures = torch.rand(1, 2, 2, 3)
    assert VideoFrameNode().forward(rgb_image=pictures) == {"rgb_image": pictures}
