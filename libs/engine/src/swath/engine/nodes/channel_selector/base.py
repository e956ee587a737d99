"""What selectors of channels have in common: three channels of any range become a picture."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.ports import DICT, Port, ports
from swath.engine.graph.roles import Fittable
from swath.engine.hparams import choice, number, whole
from swath.engine.mixins.bounds import RunningBounds, frame_bounds, to_unit
from swath.engine.mixins.wavelengths import WAVELENGTHS
from swath.engine.ops.colour.spaces import linear_to_srgb
from swath.engine.ops.spectra import nearest_band
from swath.engine.ops.validity import mark, valid_pixels

TAGS = ("hyperspectral", "dim_reduction", "preprocessing")
INPUTS = ports(cube=Port(torch.float32, (-1, -1, -1, -1), description="Cube [B, H, W, C]"), wavelengths=WAVELENGTHS)
OUTPUTS = ports(
    rgb_image=Port(torch.float32, (-1, -1, -1, 3), description="Picture [B, H, W, 3], 0..1 where it is normalised"),
    band_info=Port(DICT, description="Which bands were taken", common=True),
)
NORMALISATION = frozenset(
    {
        "norm_mode",
        "apply_gamma",
        "freeze_running_bounds_after_frames",
        "running_warmup_frames",
        "normalize_output",
    }
)
"""Arguments of `ChannelSelectorBase`, which older documents carry on selectors with a picture of their own too."""

BOUNDS = frozenset({"running_min", "running_max", "_norm_frame_count"})
"""State of `ChannelSelectorBase`, likewise."""

_QUANTILES = (0.005, 0.995)
_MIN_SPAN = 1e-8


class ChannelSelectorBase(Fittable):
    """A selector whose channels are brought to 0..1, each by bounds of its own.

    The bounds are those that leave out the darkest and the brightest half a percent of the pixels: in mode ``running``
    of the frame itself during a warm-up, then of all frames so far until they are frozen; in mode ``statistical`` the
    widest of all batches of the fit. Before the fit, and in mode ``per_frame``, they are the lowest and highest value
    of the frame. Pixels are judged by the bands that the picture is made of; invalid ones count for no bound.

    Args:
        norm_mode: ``running``, ``statistical`` or ``per_frame``.
        apply_gamma: Whether the result is encoded as sRGB.
        freeze_running_bounds_after_frames: Frames that running bounds are taken from; all when None.
        running_warmup_frames: Frames that are shown by bounds of their own first.
        normalize_output: Whether any of this is done, or the channels come as they are.
    """

    category = "transform"
    tags = TAGS
    invalid = Invalid.PASSED
    inputs = INPUTS
    outputs = OUTPUTS
    # Files written by versions of the reference package that did not keep the count.
    optional_state: ClassVar[tuple[str, ...]] = ("_norm_frame_count",)
    blank_state = frozenset({"running_min", "running_max"})
    usable_unfitted = True

    running_min: Tensor
    running_max: Tensor
    _norm_frame_count: Tensor

    def __init__(
        self,
        norm_mode: str = "running",
        apply_gamma: bool = True,
        freeze_running_bounds_after_frames: int | None = 20,
        running_warmup_frames: int = 10,
        normalize_output: bool = True,
    ) -> None:
        super().__init__()
        self.norm_mode = choice("norm_mode", norm_mode, ("running", "statistical", "per_frame"))
        self.gamma = bool(apply_gamma)
        self.freeze = (
            None
            if freeze_running_bounds_after_frames is None
            else whole("freeze_running_bounds_after_frames", freeze_running_bounds_after_frames, at_least=1)
        )
        self.warmup = whole("running_warmup_frames", running_warmup_frames, at_least=0)
        self.normalize = bool(normalize_output)
        self.stateful = self.normalize and self.norm_mode == "running"
        # Bounds that were not learnt yet are those of the frame.
        self.independence = Independence.FRAME if self.normalize else Independence.PIXEL
        self.register_buffer("running_min", torch.full((3,), torch.nan))
        self.register_buffer("running_max", torch.full((3,), torch.nan))
        self.register_buffer("_norm_frame_count", torch.zeros((), dtype=torch.int64))
        self._start: tuple[Tensor, ...] | None = None
        self._widest: tuple[Tensor, Tensor] | None = None

    @abstractmethod
    def compose(self, cube: Tensor, wavelengths: Tensor) -> tuple[Tensor, dict[str, Any]]:
        """Return the channels ``[B, H, W, 3]`` as they are, and what `band_info` says of them.

        Args:
            cube: Cube ``[B, H, W, C]``.
            wavelengths: Wavelength of each channel, nm, ``[C]``.
        """
        raise NotImplementedError

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        self.require_fit()
        picture, info = self._composed(inputs)
        valid = None if context.valid is None else valid_pixels(picture)
        # Marked before, so that they count for no bound, and after.
        shown = mark(self._shown(mark(picture, valid)), valid)
        return {"rgb_image": shown, "band_info": info | {"normalized_output": self.normalize}}

    def forget(self) -> None:
        if self._start is not None:
            for buffer, value in zip(self._memory(), self._start, strict=True):
                buffer.copy_(value)
        self._start = None

    def needs_fit(self) -> bool:
        return self._needs_bounds()

    def begin_fit(self) -> None:
        self.left_out = 0
        self._widest = None

    def fit_batch(self, inputs: dict[str, Any]) -> None:
        picture, _ = self._composed(inputs)
        self._widen(self.valid_of(picture.reshape(-1, 3)).reshape(1, 1, -1, 3))

    def end_fit(self) -> None:
        self._set_bounds()
        self._done()

    def restore(self, state: Mapping[str, Tensor]) -> None:
        super().restore(state)
        self._start = None
        if state and "_norm_frame_count" not in state and self._bounded():
            # Written after a training, so past the warm-up and frozen: a new warm-up would let the bounds drift.
            self._norm_frame_count.fill_(max(self.warmup, self.freeze or 0))
        if self._needs_bounds() and not self._bounded():
            self._fitted = False

    def _composed(self, inputs: dict[str, Any]) -> tuple[Tensor, dict[str, Any]]:
        cube: Tensor = inputs["cube"]
        wavelengths: Tensor = inputs["wavelengths"]
        if wavelengths.shape[0] != cube.shape[-1]:
            raise self.refuse("wavelengths", f"{cube.shape[-1]} numbers, one per channel of the cube", wavelengths)
        return self.compose(cube, wavelengths)

    def _shown(self, picture: Tensor) -> Tensor:
        if not self.normalize or picture.numel() == 0:
            return picture
        low, high = (bound.reshape(-1, 1, 1, 3) for bound in self._bounds(picture))
        scaled = to_unit(picture, low, high, _MIN_SPAN).clamp(0, 1).nan_to_num(nan=0.0)
        return linear_to_srgb(scaled) if self.gamma else scaled

    def _bounds(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        if self.norm_mode == "running":
            if self._start is None:
                self._start = tuple(buffer.clone() for buffer in self._memory())
            return RunningBounds(*_QUANTILES, self.warmup, self.freeze).advance(picture, *self._memory())
        if self.norm_mode == "statistical" and self._bounded():
            return self.running_min, self.running_max
        finite = picture.isfinite()
        lowest = torch.where(finite, picture, torch.inf).amin(dim=(1, 2))
        return lowest, torch.where(finite, picture, -torch.inf).amax(dim=(1, 2))

    def _memory(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.running_min, self.running_max, self._norm_frame_count

    def _bounded(self) -> bool:
        return bool(self.running_min.isfinite().all() and self.running_max.isfinite().all())

    def _needs_bounds(self) -> bool:
        return self.normalize and self.norm_mode == "statistical"

    @torch.no_grad()
    def _widen(self, picture: Tensor) -> None:
        low, high = (bound[0] for bound in frame_bounds(picture, *_QUANTILES))
        if self._widest is not None:
            # A bound that is NaN, of a batch without a finite value, gives way.
            low, high = torch.fmin(self._widest[0], low), torch.fmax(self._widest[1], high)
        self._widest = low, high

    @torch.no_grad()
    def _set_bounds(self) -> None:
        widest, self._widest = self._widest, None
        if widest is None or not (widest[0].isfinite().all() and widest[1].isfinite().all()):
            raise self._too_few("1 finite value in each channel of the picture", 0)
        self.running_min.copy_(widest[0])
        self.running_max.copy_(widest[1])


def window(name: str, value: Any) -> tuple[float, float]:
    """Return a range of wavelengths, nm, both ends within.

    Raises:
        ValueError: It is none.
    """
    if isinstance(value, str) or not hasattr(value, "__len__") or len(value) != 2:
        raise ValueError(f"{name} must be the shortest and the longest wavelength, got {value!r}")
    shortest, longest = (number(name, end) for end in value)
    if shortest > longest:
        raise ValueError(f"{name} must not start above its end, got {value!r}")
    return shortest, longest


def three_windows(name: str, value: Any) -> list[tuple[float, float]]:
    """Return three ranges of wavelengths, nm, one per channel of a picture.

    Raises:
        ValueError: They are none.
    """
    if isinstance(value, str) or not hasattr(value, "__len__") or len(value) != 3:
        raise ValueError(f"{name} must be three ranges of wavelengths, got {value!r}")
    return [window(name, part) for part in value]


def within(wavelengths: Tensor, ends: tuple[float, float]) -> list[int]:
    """Return the bands of a range of wavelengths."""
    shortest, longest = ends
    return ((wavelengths >= shortest) & (wavelengths <= longest)).nonzero().flatten().tolist()


def candidates(wavelengths: Tensor, ends: tuple[float, float]) -> list[int]:
    """Return the bands of a range of wavelengths, or the one that is nearest to its middle."""
    return within(wavelengths, ends) or [nearest_band(wavelengths, sum(ends) / 2)]


def at(wavelengths: Tensor, bands: list[int]) -> list[float]:
    """Return the wavelengths of some bands."""
    return [float(value) for value in wavelengths[bands].tolist()]
