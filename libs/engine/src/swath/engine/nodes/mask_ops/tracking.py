"""Nodes that follow a mask over frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import number, whole

_MEASURED, _PREDICTED = 1, 2
_STEP = np.array([[1.0, 1.0], [0.0, 1.0]])


class MaskToBBoxKalman(Node):
    """The box around a mask, smoothed over frames by a Kalman filter of constant velocity.

    Centre, width and height each have a position and a velocity, a step of one frame, process noise
    ``process_noise * I`` and measurement noise `measurement_noise`; a track starts at rest with covariance ``I``. It
    counts from the `min_hits`-th frame in a row that has a mask on, goes on by prediction where the mask is empty, and
    ends after more than `max_predict_frames` empty frames in a row.

    Source: R. E. Kalman, "A new approach to linear filtering and prediction problems", J. Basic Engineering 82 (1960).

    Args:
        padding_fraction: Share of the mask's width and height that the measured box is larger, half on each side.
        min_size_px: Least width and height of the output, pixels; the frame bounds them.
        min_hits: Frames with a mask, in a row, that make a track.
        max_predict_frames: Empty frames in a row that a track lives through.
        process_noise: Variance that each step adds.
        measurement_noise: Variance of what is measured, pixels squared.
    """

    category = "transform"
    tags = ("mask", "bbox", "tracking", "postprocessing", "stateful", "numpy")
    stateful = True
    inputs = ports(mask=Port(torch.int32, (-1, -1, -1), description="Mask, set where above 0 [B, H, W]"))
    outputs = ports(
        bbox=Port(torch.float32, (-1, 4), description="x0, y0, x1, y1, pixels; 0 without a track [B, 4]"),
        valid=Port(torch.int32, (-1,), description="0 without a track, 1 measured, 2 predicted [B]"),
    )

    def __init__(
        self,
        padding_fraction: float = 0.2,
        min_size_px: int = 96,
        min_hits: int = 3,
        max_predict_frames: int = 20,
        process_noise: float = 0.01,
        measurement_noise: float = 1.0,
    ) -> None:
        super().__init__()
        self.padding = number("padding_fraction", padding_fraction, at_least=0)
        self.least = whole("min_size_px", min_size_px, at_least=1)
        self.min_hits = whole("min_hits", min_hits, at_least=1)
        self.max_missed = whole("max_predict_frames", max_predict_frames, at_least=0)
        self.process_noise = number("process_noise", process_noise, at_least=0)
        self.measurement_noise = number("measurement_noise", measurement_noise, above=0)
        self._track: _Track | None = None

    def forget(self) -> None:
        self._track = None

    @torch.no_grad()
    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        mask: Tensor = inputs["mask"]
        height, width = mask.shape[1:]
        boxes = np.zeros((mask.shape[0], 4), dtype=np.float32)
        valid = np.zeros(mask.shape[0], dtype=np.int32)
        for index, edges in enumerate(_edges(mask)):
            valid[index] = self._follow(self._measured(edges, height, width) if edges[0] < edges[2] else None)
            if valid[index]:
                assert self._track is not None
                boxes[index] = self._fitted(self._track.state[0], height, width)
        return {"bbox": torch.from_numpy(boxes).to(mask.device), "valid": torch.from_numpy(valid).to(mask.device)}

    def _follow(self, measured: NDArray[np.float64] | None) -> int:
        """Take the track one frame on and return what it is worth there."""
        if measured is None:
            if self._track is None or self._track.hits < self.min_hits or self._track.missed >= self.max_missed:
                self._track = None
                return 0
            self._track.predict(self.process_noise)
            self._track.missed += 1
            return _PREDICTED
        if self._track is None:
            self._track = _Track(measured)
        else:
            self._track.predict(self.process_noise)
            self._track.correct(measured, self.measurement_noise)
        return _MEASURED if self._track.hits >= self.min_hits else 0

    def _measured(self, edges: list[int], height: int, width: int) -> NDArray[np.float64]:
        """Return centre, width and height of the padded box, cut at the frame's border."""
        left, top, right, bottom = edges
        across = round((right - left) * self.padding / 2)
        down = round((bottom - top) * self.padding / 2)
        left, right = max(0, left - across), min(width, right + across)
        top, bottom = max(0, top - down), min(height, bottom + down)
        return np.array([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top])

    def _fitted(self, place: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
        """Return the corners of a box of at least the least size, inside of the frame."""
        frame = np.array([width, height])
        size = np.minimum(np.maximum(place[2:], self.least), frame)
        centre = np.minimum(np.maximum(place[:2], size / 2), frame - size / 2)
        return np.concatenate([np.maximum(centre - size / 2, 0), np.minimum(centre + size / 2, frame)])


class _Track:
    """Position and velocity of four numbers, ``[2, 4]``; with the same noise they share one covariance, ``[2, 2]``."""

    def __init__(self, measured: NDArray[np.float64]) -> None:
        self.state = np.stack([measured, np.zeros(4)])
        self.covariance = np.eye(2)
        self.hits = 1
        self.missed = 0

    def predict(self, noise: float) -> None:
        self.state = _STEP @ self.state
        self.covariance = _STEP @ self.covariance @ _STEP.T + noise * np.eye(2)

    def correct(self, measured: NDArray[np.float64], noise: float) -> None:
        gain = self.covariance[:, 0] / (self.covariance[0, 0] + noise)
        self.state = self.state + np.outer(gain, measured - self.state[0])
        self.covariance = self.covariance - np.outer(gain, self.covariance[0])
        self.hits += 1
        self.missed = 0


def _edges(mask: Tensor) -> list[list[int]]:
    """Return left, top, and one past right and bottom of each frame's mask ``[B, H, W]``; all 0 where it is empty."""
    if mask.numel() == 0:
        return [[0, 0, 0, 0]] * mask.shape[0]
    inside = mask > 0
    sides = []
    for line in (inside.any(dim=1), inside.any(dim=2)):
        line = line.to(torch.int32)
        first = line.argmax(dim=1)
        sides.append((first, (line.shape[1] - line.flip(1).argmax(dim=1)) * line.amax(dim=1)))
    (left, right), (top, bottom) = sides
    return torch.stack([left, top, right, bottom], dim=1).tolist()
