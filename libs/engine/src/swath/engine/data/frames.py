"""Frames for batches."""

from __future__ import annotations

import numpy as np

from swath.engine.data.collection import Extent, Frame, Sample
from swath.scenes import Scene


def frame_of(scene: Scene, sample: Sample, *, blank_labels: bool = False) -> Frame:
    """Cut one frame out of a scene.

    Args:
        scene: The scene.
        sample: The frame; its extent, if it has one, is cut out.
        blank_labels: Whether a missing mask or class_mask is filled with zeros; otherwise its key is left out.

    Returns:
        cube float32 [h, w, C], NaN at invalid pixels; mask int32 and class_mask uint8 [h, w]; wavelengths int32 [C],
        rounded to whole nm as the data nodes' ports want them, if the scene has any; mesu_index and frame_id.
    """
    frame: Frame = {"cube": scene.crop(sample.extent)}
    for key, plane, dtype in (("mask", scene.mask, np.int32), ("class_mask", scene.class_mask, np.uint8)):
        if plane is not None:
            frame[key] = np.array(cut(plane, sample.extent), dtype=dtype)
        elif blank_labels:
            frame[key] = np.zeros(frame["cube"].shape[:2], dtype)
    nm = scene.whole_wavelengths
    if nm is not None:
        frame["wavelengths"] = nm
    return frame | numbers_of(sample)


def numbers_of(sample: Sample) -> Frame:
    """Return the numbers of a frame: its index in its source, and its position in the data set."""
    return {"mesu_index": sample.index or 0, "frame_id": sample.position}


def cut(plane: np.ndarray, extent: Extent | None) -> np.ndarray:
    """Return the part of [H, W] within an extent; all of it for None."""
    if extent is None:
        return plane
    top, bottom, left, right = extent
    return plane[top:bottom, left:right]


def label_ids(scene_mask: np.ndarray | None, class_mask: np.ndarray | None, extent: Extent | None) -> frozenset[int]:
    """Return the category ids in a frame, by its class_mask or else its mask, without 0."""
    plane = class_mask if class_mask is not None else scene_mask
    if plane is None:
        return frozenset()
    return frozenset(int(value) for value in np.unique(cut(plane, extent))) - {0}
