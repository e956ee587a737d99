"""Pictures of three bands that are chosen by labels."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import channels, number
from swath.engine.nodes.channel_selector.base import (
    INPUTS,
    TAGS,
    ChannelSelectorBase,
    at,
    candidates,
    three_windows,
)
from swath.engine.ops.separability import choose, correlations, separability
from swath.engine.ops.validity import valid_pixels

_WEIGHTS = (1.0, 1.0, 1.0)


class SupervisedSelectorBase(ChannelSelectorBase):
    """The three bands that tell labelled pixels from others, chosen by a fit.

    Each band is scored by Fisher's criterion, the area under the receiver operating characteristic and mutual
    information, see `swath.engine.ops.separability`. The fit keeps all pixels in main memory. In mode ``statistical``
    it learns the bounds of the chosen bands too, the widest of all frames.

    Args:
        num_spectral_bands: Channels C of the cube.
        score_weights: Weights of the three scores.
        lambda_penalty: Weight of the correlation with the bands chosen before.

    Attributes:
        strategy: Name of the choice in `band_info`.
        repeats: Whether a band may be chosen twice.
    """

    category = "model"
    tags = (*TAGS, "learnable", "torch")
    inputs = ports(
        INPUTS,
        cube=Port(torch.float32, (-1, -1, -1, "num_spectral_bands"), description="Cube [B, H, W, C]"),
        mask=Port(torch.bool, (-1, -1, -1, 1), optional=True, description="Positive pixels, for the fit [B, H, W, 1]"),
    )
    usable_unfitted = False
    strategy: ClassVar[str]
    repeats: ClassVar[bool] = True

    selected_indices: Tensor
    band_scores: Tensor
    fisher_scores: Tensor
    auc_scores: Tensor
    mi_scores: Tensor

    def __init__(
        self,
        num_spectral_bands: int,
        score_weights: Sequence[float] = _WEIGHTS,
        lambda_penalty: float = 0.5,
        **normalisation: Any,
    ) -> None:
        super().__init__(**normalisation)
        self.num_spectral_bands = channels("num_spectral_bands", num_spectral_bands)
        self.score_weights = [number("score_weights", weight) for weight in score_weights]
        if len(self.score_weights) != 3:
            raise ValueError(f"score_weights must be three numbers, got {score_weights!r}")
        self.penalty = number("lambda_penalty", lambda_penalty)
        self.register_buffer("selected_indices", torch.zeros(3, dtype=torch.int64))
        for name in ("band_scores", "fisher_scores", "auc_scores", "mi_scores"):
            self.register_buffer(name, torch.zeros(self.num_spectral_bands))
        self.begin_fit()

    @abstractmethod
    def options(self, wavelengths: Tensor) -> list[Sequence[int]]:
        """Return the bands that each of the three is chosen from."""
        raise NotImplementedError

    def needs_fit(self) -> bool:
        return True

    def begin_fit(self) -> None:
        super().begin_fit()
        self._frames: list[Tensor] = []
        self._positive: list[Tensor] = []
        self._wavelengths: Tensor | None = None

    def fit_batch(self, inputs: dict[str, Any]) -> None:
        if "mask" not in inputs:
            return
        cube: Tensor = inputs["cube"]
        wavelengths: Tensor = inputs["wavelengths"]
        if wavelengths.shape[0] != cube.shape[-1]:
            raise self.refuse("wavelengths", f"{cube.shape[-1]} numbers, one per channel of the cube", wavelengths)
        mask: Tensor = inputs["mask"]
        if mask.shape[:-1] != cube.shape[:-1]:
            raise self.refuse("mask", f"the pixels of the cube, {list(cube.shape[:-1])}", mask)
        if self._wavelengths is None:
            self._wavelengths = wavelengths.cpu()
        for frame, positive in zip(cube.detach().cpu().flatten(1, 2), mask.cpu().flatten(1), strict=True):
            valid = valid_pixels(frame)
            self.left_out += 0 if valid is None else int((~valid).sum())
            self._frames.append(frame if valid is None else frame[valid])
            self._positive.append(positive if valid is None else positive[valid])

    @torch.no_grad()
    def end_fit(self) -> None:
        frames, positive, wavelengths, left_out = self._frames, self._positive, self._wavelengths, self.left_out
        self.begin_fit()
        self.left_out = left_out
        if wavelengths is None:
            raise self._too_few("1 frame with a mask", 0)
        pixels, flags = torch.cat(frames), torch.cat(positive)
        hits = int(flags.sum())
        if not 0 < hits < len(flags):
            raise self._too_few("1 pixel of each class", min(hits, len(flags) - hits))
        scores = separability(pixels, flags)
        combined = scores.combined(self.score_weights)
        options = self.options(wavelengths)
        bands = choose(combined, correlations(pixels), options, self.penalty, repeats=self.repeats)
        for frame in frames if self._needs_bounds() else ():
            if frame.numel() == 0:
                continue
            self._widen(frame[:, bands].reshape(1, 1, -1, 3))
        if self._needs_bounds():
            self._set_bounds()
        self.selected_indices.copy_(torch.tensor(bands))
        for buffer, values in (
            (self.band_scores, combined),
            (self.fisher_scores, scores.fisher),
            (self.auc_scores, scores.auc),
            (self.mi_scores, scores.information),
        ):
            buffer.copy_(torch.from_numpy(values))
        self._done()

    def restore(self, state: Mapping[str, Tensor]) -> None:
        super().restore(state)
        if state:
            # The choice stands without bounds: files of older versions of the reference package hold none.
            self._fitted = bool(state.get("fitted", True))

    def compose(self, cube: Tensor, wavelengths: Tensor) -> tuple[Tensor, dict[str, Any]]:
        bands: list[int] = self.selected_indices.tolist()
        return cube[..., bands], {
            "strategy": self.strategy,
            "band_indices": bands,
            "band_wavelengths_nm": at(wavelengths, bands),
            "score_weights": list(self.score_weights),
            "lambda_penalty": self.penalty,
        }


class _Windowed(SupervisedSelectorBase):
    """One band from each of three ranges of wavelengths."""

    def __init__(
        self,
        windows: Sequence[Sequence[float]],
        score_weights: Sequence[float] = _WEIGHTS,
        lambda_penalty: float = 0.5,
        **others: Any,
    ) -> None:
        super().__init__(score_weights=score_weights, lambda_penalty=lambda_penalty, **others)
        self.windows = three_windows("windows", windows)

    def options(self, wavelengths: Tensor) -> list[Sequence[int]]:
        return [candidates(wavelengths, ends) for ends in self.windows]

    def compose(self, cube: Tensor, wavelengths: Tensor) -> tuple[Tensor, dict[str, Any]]:
        picture, info = super().compose(cube, wavelengths)
        return picture, info | {"windows_nm": [list(ends) for ends in self.windows]}


class SupervisedCIRSelector(_Windowed):
    """The best band in each of near infrared, red and green, shown as red, green and blue, chosen by labels.

    See `SupervisedSelectorBase` for the scores. A range without bands gives the band nearest to its middle.

    Args:
        windows: The three ranges of wavelengths, nm.
    """

    strategy = "supervised_cir"

    def __init__(
        self,
        windows: Sequence[Sequence[float]] = ((840.0, 910.0), (650.0, 720.0), (500.0, 570.0)),
        **others: Any,
    ) -> None:
        super().__init__(windows, **others)


class SupervisedWindowedSelector(_Windowed):
    """The best band in each of three ranges of visible light, shown as red, green and blue in their order.

    See `SupervisedSelectorBase` for the scores. A range without bands gives the band nearest to its middle.

    Args:
        windows: The three ranges of wavelengths, nm.
    """

    strategy = "supervised_windowed_false_rgb"

    def __init__(
        self,
        windows: Sequence[Sequence[float]] = ((440.0, 500.0), (500.0, 580.0), (610.0, 700.0)),
        **others: Any,
    ) -> None:
        super().__init__(windows, **others)


class SupervisedFullSpectrumSelector(SupervisedSelectorBase):
    """The three best bands of the whole spectrum, best first, chosen by labels.

    See `SupervisedSelectorBase` for the scores.

    Args:
        score_weights: Weights of Fisher's criterion, area under the curve and mutual information.
        lambda_penalty: Weight of the correlation with the bands chosen before.
    """

    strategy = "supervised_full_spectrum"
    repeats = False

    def __init__(self, score_weights: Sequence[float] = _WEIGHTS, lambda_penalty: float = 0.5, **others: Any) -> None:
        super().__init__(score_weights=score_weights, lambda_penalty=lambda_penalty, **others)
        if self.num_spectral_bands < 3:
            raise ValueError(f"num_spectral_bands must be at least 3, got {self.num_spectral_bands}")

    def options(self, wavelengths: Tensor) -> list[Sequence[int]]:
        return [range(self.num_spectral_bands)] * 3
