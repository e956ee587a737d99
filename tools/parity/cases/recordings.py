"""Nodes that read and write files, and prompts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tools.parity.cases.case import Case, cube, rng

_HEIGHT, _WIDTH = 50, 64
_RGB = rng(1).random((1, 20, 30, 3), dtype=np.float32)


def _rle(mask: np.ndarray) -> dict[str, Any]:
    """Return run lengths down the columns, zeros first."""
    flat = np.concatenate([[0], mask.T.ravel().astype(int)])
    edges = np.flatnonzero(np.diff(flat))
    runs = np.diff(np.concatenate([[0], edges, [mask.size]]))
    return {"size": list(mask.shape), "counts": runs.tolist()}


def _tracks(folder: Path) -> None:
    """Write tracks of two objects over three frames as COCO."""
    annotations = []
    for number, (frame, track) in enumerate([(3, 1), (4, 1), (3, 2), (5, 2)]):
        mask = np.zeros((_HEIGHT, _WIDTH), dtype=bool)
        top, left = 4 + 2 * frame, 5 + 3 * track + frame
        mask[top : top + 8, left : left + 9] = True
        annotations.append(
            {
                "id": number + 1,
                "image_id": frame,
                "category_id": track,
                "track_id": track,
                "score": 0.5 + number / 10,
                "bbox": [left, top, 9, 8],
                "segmentation": _rle(mask),
            }
        )
    images = [{"id": frame, "height": _HEIGHT, "width": _WIDTH} for frame in (3, 4, 5)]
    content = {"images": images, "annotations": annotations, "categories": []}
    (folder / "tracks.json").write_text(json.dumps(content))


def _frame(number: int, **inputs: np.ndarray) -> dict[str, np.ndarray]:
    return {"frame_id": np.array([number]), **inputs}


_PATH = {"json_path": "{folder}/tracks.json"}
_FRAMES = [_frame(number) for number in (3, 4, 5)]
_BOXES = [
    _frame(
        number,
        bboxes=rng(number).uniform(0, 20, (1, count, 4)).astype(np.float32)
        + np.array([0, 0, 20, 20], dtype=np.float32),
        category_ids=np.ones((1, count), dtype=np.int64),
        confidences=rng(number).random((1, count), dtype=np.float32),
        orig_hw=np.array([[_HEIGHT, _WIDTH]]),
    )
    for number, count in ((7, 3), (2, 0), (3, 2))
]
_OCCLUSION = {
    "tracking_json_path": "{folder}/tracks.json",
    "track_ids": [1, 2],
    "occlusion_start_frame": 3,
    "occlusion_end_frame": 4,
}
_SCENES = [_frame(number, rgb_image=rng(9).random((1, _HEIGHT, _WIDTH, 3), dtype=np.float32)) for number in (2, 3, 4)]

CASES = [
    Case("json_file.DetectionJsonReader", [{}, {}, {}], _PATH, prepare=_tracks),
    Case("json_file.TrackingResultsReader", _FRAMES, _PATH, prepare=_tracks),
    Case("json_file.DetectionCocoJsonNode", _BOXES, {"output_json_path": "{folder}/out.json"}),
    Case(
        "json_file.CocoTrackBBoxWriter",
        [{**call, "track_ids": np.arange(call["bboxes"].shape[1])[None]} for call in _BOXES],
        {"output_json_path": "{folder}/out.json"},
    ),
    Case(
        "json_file.CocoTrackMaskWriter",
        [
            _frame(
                number,
                mask=(rng(number).random((1, _HEIGHT, _WIDTH)) < 0.2).astype(np.int32) * number,
                object_ids=np.array([[number]]),
                detection_scores=rng(number).random((1, 1), dtype=np.float32),
            )
            for number in (5, 6)
        ],
        {"output_json_path": "{folder}/out.json"},
    ),
    Case(
        "numpy_file.NumpyFeatureWriterNode",
        [_frame(12, features=rng(5).random((1, 4, 3), dtype=np.float32))],
        {"output_dir": "{folder}/out"},
    ),
    *(
        Case(f"prompts.{name}", _FRAMES, {**_PATH, "prompt_specs": ["1:1@3", "2:2@5"]}, prepare=_tracks)
        for name in ("BBoxPrompt", "MaskPrompt")
    ),
    *(
        Case("prompts.TextPrompt", _FRAMES, {"prompt_specs": ["cat@3", "a dog@5"], "prompt_mode": mode})
        for mode in ("scheduled", "repeat")
    ),
    Case("prompts.PointPrompt", _FRAMES, {"points": [[1, 2], [3, 4.5, "Negative"]], "prompt_frame_id": 4}),
    Case(
        "numpy_file.NpyReader",
        [{}, _frame(1)],
        {"file_path": "{folder}/values.npy"},
        prepare=lambda folder: np.save(folder / "values.npy", rng(4).random((2, 6, 7, 3))),
    ),
    Case("image_file.PngWriter", [_frame(7, rgb_image=_RGB)], {"output_path": "{folder}/picture.png"}),
    *(
        # Without numbers of frames, which are drawn onto the picture in another font.
        Case("video.ToImage", [{"rgb_image": _RGB}], {"output_dir": "{folder}/out", "frame_rotation": angle})
        for angle in (None, 90)
    ),
    Case("video.VideoFrameNode", [_frame(3, rgb_image=_RGB)]),
    *(
        Case(f"occlusion.{name}", _SCENES, {**_OCCLUSION, **hparams}, prepare=_tracks)
        for name in ("PoissonOcclusionNode", "SolidOcclusionNode")
        for hparams in ({"occlusion_shape": "bbox"}, {"occlusion_shape": "mask", "fill_color": [0.2, 0.4, 1.0]})
    ),
    Case(
        "occlusion.PoissonCubeOcclusionNode",
        [_frame(number, cube=cube((1, _HEIGHT, _WIDTH), 9)) for number in (3, 4)],
        _OCCLUSION,
        prepare=_tracks,
    ),
]
