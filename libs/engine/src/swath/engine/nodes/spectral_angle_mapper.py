"""The angle between spectra.

Source: F. A. Kruse et al., "The spectral image processing system (SIPS)", Remote Sensing of Environment 44, 1993.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import channels, choice, number, whole
from swath.engine.ops.products import settled
from swath.engine.ops.ranks import first_largest
from swath.engine.ops.thresholds import otsu
from swath.engine.ops.validity import valid_pixels

_LEVELS_PER_DEGREE = 10
_LEVELS = 256
"""Otsu's method uses angles in steps of 0.1 degrees, up to 25.5 degrees."""

_ROUNDING = 1e-6
"""What rounding in float32 makes of the cosines of two references in one direction."""


class SpectralAngleMapper(Node):
    """Angle between each pixel and each of N reference spectra, both first divided by their own mean.

    For spectra of positive mean the division changes nothing; a pixel or reference of negative mean is turned round.
    The angle is pi / 2 where either is zero. Of references that are equally near, as of one spectrum at two
    brightnesses, the first counts.

    Args:
        num_channels: Channels C that the cube must have; any number when left out.
        eps: Added to the means.
    """

    category = "model"
    tags = ("hyperspectral", "classification")
    independence = Independence.PIXEL
    inputs = ports(
        cube=Port(torch.float32, (-1, -1, -1, "num_channels"), description="Cube [B, H, W, C]"),
        spectral_signature=Port(
            torch.float32, (-1, -1, -1, -1), description="Reference spectra [N, 1, 1, C]", common=True
        ),
    )
    spectra = frozenset({"spectral_signature"})
    outputs = ports(
        scores=Port(torch.float32, (-1, -1, -1, -1), description="Angles, radians [B, H, W, N]"),
        best_scores=Port(torch.float32, (-1, -1, -1, 1), description="Least angle, radians [B, H, W, 1]"),
        identity_mask=Port(
            torch.int32, (-1, -1, -1), invalid=0, description="Nearest reference, from 1; 0 where invalid [B, H, W]"
        ),
    )

    def __init__(self, num_channels: int | None = None, eps: float = 1e-12) -> None:
        super().__init__()
        self.num_channels = None if num_channels is None else channels("num_channels", num_channels)
        self.eps = number("eps", eps, at_least=0)

    @torch.no_grad()
    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        cube: Tensor = inputs["cube"]
        signature: Tensor = inputs["spectral_signature"]
        channels = cube.shape[-1]
        if signature.shape[0] == 0 or tuple(signature.shape[1:]) != (1, 1, channels):
            raise self.refuse("spectral_signature", f"reference spectra [N,1,1,{channels}], at least one", signature)
        references = signature.reshape(-1, channels)
        with torch.autocast(cube.device.type, enabled=False):
            cosines = settled(cube) @ references.T
        # Only the sign of a mean is left of a division by it once the norms are divided out.
        cosines *= self._scale(cube)
        cosines *= self._scale(references).T
        nearest = first_largest(cosines, _ROUNDING)
        angles = cosines.clamp_(-1, 1).acos_()
        return {
            "scores": angles,
            "best_scores": angles.amin(dim=-1, keepdim=True),
            "identity_mask": nearest.to(torch.int32) + 1,
        }

    def _scale(self, spectra: Tensor) -> Tensor:
        norm = torch.linalg.vector_norm(spectra, dim=-1, keepdim=True)
        sign = (spectra.mean(dim=-1, keepdim=True) + self.eps).sign()
        return torch.where(norm > 0, sign / norm, torch.where(norm == 0, 0.0, norm))


class SpectralObjectMask(Node):
    """Marks the pixels whose angle to the median spectrum of their frame, the background, is above a threshold.

    Angles are computed on a grid, and the marks on it enlarged to the frame. A pixel with a value that is not finite is
    not marked, nor does it count for the median.

    Args:
        min_angle_deg: The threshold where it is fixed, degrees.
        stride: Step of the grid of angles, pixels.
        median_stride: Step of the grid of pixels that the median is taken of.
        threshold: ``fixed``, or ``otsu`` for the level between the two classes of angles of each frame: where a stretch
            between them holds no angle, its middle.
        otsu_floor_deg: Lowest threshold by Otsu's method, degrees.
        otsu_ceiling_deg: Highest one.
        fill: Whether to close gaps of one cell and to fill holes on the grid.
        dilate_px: Pixels that the marks grow by to all sides.
    """

    category = "transform"
    tags = ("hyperspectral", "mask", "segmentation", "torch")
    invalid = Invalid.SEEN
    independence = Independence.FRAME
    inputs = ports(cube=Port(torch.float32, (-1, -1, -1, -1), description="Cube, mostly background [B, H, W, C]"))
    outputs = ports(
        decisions=Port(torch.bool, (-1, -1, -1, 1), description="Pixels of objects [B, H, W, 1]"),
        angle=Port(
            torch.float32, (-1, -1, -1, 1), description="Angles, degrees [B, ceil(H / stride), ceil(W / stride), 1]"
        ),
    )

    def __init__(
        self,
        min_angle_deg: float = 6.0,
        stride: int = 4,
        median_stride: int = 8,
        threshold: str = "fixed",
        otsu_floor_deg: float = 3.0,
        otsu_ceiling_deg: float = 12.0,
        fill: bool = False,
        dilate_px: int = 0,
    ) -> None:
        super().__init__()
        self.least = _degrees("min_angle_deg", min_angle_deg)
        self.stride = whole("stride", stride, at_least=1)
        self.median_stride = whole("median_stride", median_stride, at_least=1)
        self.by_otsu = choice("threshold", threshold, ("fixed", "otsu")) == "otsu"
        self.floor = _degrees("otsu_floor_deg", otsu_floor_deg)
        self.ceiling = _degrees("otsu_ceiling_deg", otsu_ceiling_deg)
        if self.floor > self.ceiling:
            raise ValueError(f"otsu_floor_deg {otsu_floor_deg!r} is above otsu_ceiling_deg {otsu_ceiling_deg!r}")
        self.fill = bool(fill)
        self.growth = whole("dilate_px", dilate_px, at_least=0)

    @torch.no_grad()
    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        cube: Tensor = inputs["cube"]
        if 0 in cube.shape[1:]:
            raise self.refuse("cube", "at least one pixel and channel", cube)
        angles = self._angles(cube)
        marks = (angles > self._threshold(angles)).unsqueeze(1).to(cube.dtype)
        if self.fill:
            closed = 1 - _spread(1 - _spread(marks, 1), 1)
            marks = _without_holes(closed)
        if cube.shape[0]:
            marks = functional.interpolate(marks, size=cube.shape[1:3], mode="nearest")
        else:
            marks = marks.new_zeros(0, 1, *cube.shape[1:3])
        return {"decisions": _spread(marks, self.growth).movedim(1, -1) > 0, "angle": angles.unsqueeze(-1)}

    def _angles(self, cube: Tensor) -> Tensor:
        """Return the angle to the background on the grid, degrees, ``[B, h, w]``."""
        sample = cube[:, :: self.median_stride, :: self.median_stride].flatten(1, 2)
        marked = sample if (valid := valid_pixels(sample)) is None else torch.where(valid[..., None], sample, torch.nan)
        background = marked.transpose(1, 2).nanmedian(dim=2).values[:, None, None]
        unit, reference = _unit(cube[:, :: self.stride, :: self.stride]), _unit(background)
        # Unlike the arc cosine, exact for small angles as well (W. Kahan, "How futile are mindless assessments of
        # roundoff in floating-point computation?", 2006).
        apart = torch.linalg.vector_norm(unit - reference, dim=-1)
        return (2 * torch.atan2(apart, torch.linalg.vector_norm(unit + reference, dim=-1))).rad2deg()

    def _threshold(self, angles: Tensor) -> Tensor | float:
        if not self.by_otsu:
            return self.least
        flat = angles.flatten(1)
        levels = (flat.nan_to_num() * _LEVELS_PER_DEGREE).clamp(0, _LEVELS - 1).to(torch.int64)
        counts = levels.new_zeros(flat.shape[0], _LEVELS).scatter_add_(1, levels, flat.isfinite().to(levels.dtype))
        degrees = (otsu(counts, within=0.0) / _LEVELS_PER_DEGREE).to(flat.dtype)
        return degrees.clamp(self.floor, self.ceiling)[:, None, None]


def _unit(spectra: Tensor) -> Tensor:
    """Divide spectra by their L2 norm; those of zeros stay, and are at a right angle to all others."""
    norm = torch.linalg.vector_norm(spectra, dim=-1, keepdim=True)
    return spectra / torch.where(norm == 0, 1, norm)


def _degrees(name: str, value: float) -> float:
    angle = number(name, value, at_least=0)
    if angle > 180:
        raise ValueError(f"{name} must be at most 180, got {value!r}")
    return angle


def _spread(marks: Tensor, radius: int) -> Tensor:
    """Grow marks ``[B, 1, H, W]`` to all sides, by a square."""
    if not radius:
        return marks
    side = 2 * radius + 1
    down = functional.max_pool2d(marks, (side, 1), stride=1, padding=(radius, 0))
    return functional.max_pool2d(down, (1, side), stride=1, padding=(0, radius))


def _without_holes(marks: Tensor) -> Tensor:
    """Fill what the marks ``[B, 1, H, W]`` shut off from the border, over the sides of pixels."""
    from scipy import ndimage  # slow to import, and only this option needs it

    within_frames = ndimage.generate_binary_structure(3, 1)
    within_frames[0] = within_frames[2] = False
    filled = ndimage.binary_fill_holes(marks[:, 0].cpu().numpy() > 0, structure=within_frames)
    return torch.from_numpy(filled).to(marks).unsqueeze(1)
