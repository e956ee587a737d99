"""What is drawn and written."""

import math
import sys

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from swath.engine.graph.context import Context
from swath.engine.graph.ports import Stage
from swath.engine.graph.records import Measurement, Picture
from swath.engine.nodes.anomaly_visualization import AnomalyMask, ScoreHeatmapVisualizer
from swath.engine.nodes.monitor import TensorBoardMonitorNode
from swath.engine.nodes.pipeline_visualization import CubeRGBVisualizer
from swath.engine.nodes.video import ToVideoNode
from swath.errors import DependencyMissing, InputInvalid, PathDenied

CUBE = torch.rand(3, 40, 50, 4)
MASK = CUBE[..., :1] > 0.5


@pytest.fixture
def context(tmp_path):
    return Context(Stage.VAL, step=7, resolve=tmp_path.joinpath)


@pytest.mark.parametrize(
    ("inputs", "panels"),
    [
        ({"decisions": MASK, "mask": ~MASK}, 3),
        ({"decisions": MASK}, 2),
        ({"decisions": MASK, "mask": torch.zeros_like(MASK)}, 2),
        ({"scores": CUBE[..., :1], "mask": MASK}, 2),
        ({}, 1),
    ],
)
def test_predictions_are_drawn_against_what_is_known(inputs, panels):
    drawn = AnomalyMask(channel=1, up_to=2).forward(cube=CUBE, **inputs)["artifacts"]
    assert [picture.name for picture in drawn] == ["anomaly_mask_img00", "anomaly_mask_img01"]
    height, width, colours = drawn[0].pixels.shape
    assert (colours, drawn[0].pixels.dtype) == (3, np.uint8)
    assert height > 128
    assert width == pytest.approx(panels * 200, abs=3 * 4)


def test_agreement_is_green_and_a_miss_is_yellow():
    mask = torch.tensor([True, False]).reshape(1, 1, 2, 1)
    cube = torch.zeros(1, 1, 2, 1)
    drawn = AnomalyMask(channel=0).forward(cube=cube, decisions=mask, mask=mask)["artifacts"][0].pixels
    missed = AnomalyMask(channel=0).forward(cube=cube, decisions=~mask, mask=mask)["artifacts"][0].pixels
    at = (-1, drawn.shape[1] // 2 - 60)  # bottom of the middle panel, left half
    assert drawn[at].tolist() == [0, 153, 0]
    assert missed[at].tolist() == [153, 153, 0]


def test_a_channel_that_is_not_there_is_refused():
    with pytest.raises(InputInvalid, match="at least 5 channels"):
        AnomalyMask(channel=4).forward(cube=CUBE)


@pytest.mark.parametrize("value", [0.0, math.nan, math.inf])
def test_scores_of_any_kind_are_drawn(value):
    scores = torch.full((1, 8, 8, 1), value)
    assert len(ScoreHeatmapVisualizer().forward(scores=scores)["artifacts"]) == 1


def test_the_three_heaviest_channels_are_drawn():
    outputs = CubeRGBVisualizer(up_to=1).forward(
        cube=CUBE, weights=torch.tensor([0.1, 0.9, 0.5, 0.3]), wavelengths=torch.arange(4)
    )
    assert [picture.name for picture in outputs["artifacts"]] == ["viz_rgb_sample_0"]


def test_the_monitor_writes_events_where_the_context_says(context, tmp_path):
    node = TensorBoardMonitorNode(output_dir="runs", run_name="it")
    picture = Picture("shown", np.zeros((4, 4, 3), dtype=np.uint8))
    node.forward(context=context, metrics=[[Measurement("iou", 0.5)], []], artifacts=[[picture]])
    node.close()
    events = EventAccumulator(str(tmp_path / "runs" / "it")).Reload()
    assert [(event.step, event.value) for event in events.Scalars("val/iou")] == [(7, 0.5)]
    assert events.Tags()["images"] == ["val/shown"]


@pytest.mark.parametrize(("name", "folders"), [("it", {"it", "it_v2"}), (None, {"run_01", "run_02"})])
def test_each_run_has_a_folder_of_its_own(context, tmp_path, name, folders):
    for _ in range(2):
        node = TensorBoardMonitorNode(output_dir="runs", run_name=name)
        node.forward(context=context, metrics=[[Measurement("iou", 0.5)]])
        node.close()
    assert {path.name for path in (tmp_path / "runs").iterdir()} == folders


def test_nothing_is_written_for_nothing(context, tmp_path):
    TensorBoardMonitorNode(output_dir="runs").forward(context=context, metrics=[[]])
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_is_denied_is_not_written(context):
    def deny(path: str):
        raise PathDenied(path)

    context.resolve = deny
    with pytest.raises(PathDenied):
        TensorBoardMonitorNode().forward(context=context, metrics=[[Measurement("iou", 0.5)]])


def test_frames_become_a_video(context, tmp_path):
    av = pytest.importorskip("av")
    node = ToVideoNode("clip.mp4", frame_rate=12.5, frame_rotation=90, overlay_title="a title")
    frames = torch.rand(2, 32, 47, 3)
    node.forward(context=context, rgb_image=frames, frame_id=torch.tensor([3, 4]))
    node.forward(context=context, rgb_image=frames[:1])
    node.close()
    node.close()
    with av.open(str(tmp_path / "clip.mp4")) as video:
        decoded = list(video.decode(video=0))
        assert float(video.streams.video[0].average_rate) == 12.5
    assert [(frame.height, frame.width) for frame in decoded] == [(48, 32)] * 3


def test_all_frames_of_a_video_have_one_size(context):
    pytest.importorskip("av")
    node = ToVideoNode("clip.mp4")
    node.forward(context=context, rgb_image=torch.rand(1, 32, 32, 3))
    with pytest.raises(InputInvalid, match="pictures of one size"):
        node.forward(context=context, rgb_image=torch.rand(1, 32, 34, 3))


def test_without_an_encoder_the_extra_is_named(context, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(DependencyMissing, match=r"swath-engine\[video\]"):
        ToVideoNode("clip.mp4").forward(context=context, rgb_image=torch.rand(1, 8, 8, 3))


@pytest.mark.parametrize(
    "hparams", [{"bitrate": "much"}, {"frame_rotation": 45}, {"frame_rate": 0}, {"write_mode": "x"}]
)
def test_a_video_that_cannot_be_is_refused(hparams):
    with pytest.raises(ValueError, match=next(iter(hparams))):
        ToVideoNode("clip.mp4", **hparams)


def test_invalid_pixels_of_a_heat_map_have_the_lowest_colour_and_change_nothing_else():
    scores = torch.rand(1, 130, 130, 1, generator=torch.Generator().manual_seed(0))
    scores[0, 0, 0], scores[0, 0, 1] = 0.0, 1.0
    spoilt = scores.clone()
    spoilt[0, 5, 5], spoilt[0, 6, 6] = torch.nan, torch.inf
    clean, drawn = (ScoreHeatmapVisualizer().forward(scores=one)["artifacts"][0].pixels for one in (scores, spoilt))
    apart = (clean != drawn).any(axis=-1)
    assert apart.sum() <= 2


def test_a_map_without_a_valid_pixel_is_drawn_empty():
    drawn = ScoreHeatmapVisualizer().forward(scores=torch.full((1, 130, 130, 1), torch.nan))["artifacts"][0].pixels
    assert len({tuple(colour) for colour in drawn[20:].reshape(-1, 3).tolist()}) == 1
