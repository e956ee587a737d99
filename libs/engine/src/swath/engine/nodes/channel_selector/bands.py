"""Pictures of three bands that are chosen without labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import number, whole
from swath.engine.nodes.channel_selector.base import (
    OUTPUTS,
    TAGS,
    ChannelSelectorBase,
    at,
    candidates,
    three_windows,
)
from swath.engine.ops.ranks import first_largest, largest
from swath.engine.ops.spectra import nearest_band
from swath.engine.ops.validity import valid_pixels, valid_rows


class FixedWavelengthSelector(ChannelSelectorBase):
    """The bands nearest to given wavelengths, in their order.

    Only three bands are normalised, see `ChannelSelectorBase`; any other number comes as it is.

    Args:
        target_wavelengths: Wavelengths, nm; at least one.
        normalize_output: Whether three bands are brought to 0..1.
    """

    outputs = ports(
        OUTPUTS,
        rgb_image=Port(torch.float32, (-1, -1, -1, -1), description="Bands [B, H, W, number of wavelengths]"),
    )

    def __init__(
        self,
        target_wavelengths: Sequence[float] = (650.0, 550.0, 450.0),
        normalize_output: bool = True,
        **normalisation: Any,
    ) -> None:
        targets = [number("target_wavelengths", value) for value in target_wavelengths]
        if not targets:
            raise ValueError("target_wavelengths must name at least one wavelength, got none")
        picture = len(targets) == 3
        super().__init__(normalize_output=normalize_output and picture, **normalisation)
        if normalize_output and not picture and self.norm_mode != "per_frame":
            raise ValueError(
                f"norm_mode {self.norm_mode!r} takes 3 target_wavelengths, got {len(targets)}; any other number comes "
                "as it is: set normalize_output to false"
            )
        self.targets = targets

    def compose(self, cube: Tensor, wavelengths: Tensor) -> tuple[Tensor, dict[str, Any]]:
        bands = [nearest_band(wavelengths, target) for target in self.targets]
        return cube[..., bands], {
            "strategy": "baseline_false_rgb" if len(bands) == 3 else "stacked_bands",
            "band_indices": bands,
            "band_wavelengths_nm": at(wavelengths, bands),
            "target_wavelengths_nm": list(self.targets),
        }


class CIRSelector(ChannelSelectorBase):
    """Colour infrared: the bands nearest to near infrared, red and green, shown as red, green and blue.

    Args:
        nir_nm: Wavelength shown as red, nm.
        red_nm: Wavelength shown as green, nm.
        green_nm: Wavelength shown as blue, nm.
    """

    def __init__(
        self, nir_nm: float = 860.0, red_nm: float = 670.0, green_nm: float = 560.0, **normalisation: Any
    ) -> None:
        super().__init__(**normalisation)
        self.targets = [
            number("nir_nm", nir_nm, above=0),
            number("red_nm", red_nm, above=0),
            number("green_nm", green_nm, above=0),
        ]

    def compose(self, cube: Tensor, wavelengths: Tensor) -> tuple[Tensor, dict[str, Any]]:
        bands = [nearest_band(wavelengths, target) for target in self.targets]
        return cube[..., bands], {
            "strategy": "cir_false_color",
            "band_indices": bands,
            "band_wavelengths_nm": at(wavelengths, bands),
            "target_wavelengths_nm": list(self.targets),
            "channel_mapping": {"R": "NIR", "G": "Red", "B": "Green"},
        }


class HighContrastSelector(ChannelSelectorBase):
    """In each range of wavelengths the band of the highest contrast: ``variance + alpha * mean |Laplacian|``.

    Both are taken over the finite values of the first frame of the batch, the Laplacian by second differences with
    the border repeated. A range without bands gives the band that is nearest to its middle.

    Args:
        windows: Three ranges of wavelengths, nm, shown as red, green and blue in this order.
        alpha: Weight of the Laplacian.
    """

    def __init__(
        self,
        windows: Sequence[Sequence[float]] = ((440, 500), (500, 580), (610, 700)),
        alpha: float = 0.1,
        **normalisation: Any,
    ) -> None:
        super().__init__(**normalisation)
        self.independence = Independence.BATCH  # the bands are those of the first frame
        self.windows = three_windows("windows", windows)
        self.alpha = number("alpha", alpha)

    def compose(self, cube: Tensor, wavelengths: Tensor) -> tuple[Tensor, dict[str, Any]]:
        bands = [self._best(cube[:1], candidates(wavelengths, ends)) for ends in self.windows]
        return cube[..., bands], {
            "strategy": "high_contrast",
            "band_indices": bands,
            "band_wavelengths_nm": at(wavelengths, bands),
            "windows_nm": [list(ends) for ends in self.windows],
            "alpha": self.alpha,
        }

    @torch.no_grad()
    def _best(self, frame: Tensor, bands: list[int]) -> int:
        if len(bands) == 1 or frame.numel() == 0:
            return bands[0]
        images = frame[..., bands].permute(0, 3, 1, 2).to(torch.float64)
        around = pad(images, (1, 1, 1, 1), mode="replicate")
        vertical = around[..., :-2, 1:-1] + around[..., 2:, 1:-1]
        horizontal = around[..., 1:-1, :-2] + around[..., 1:-1, 2:]
        laplacian = (vertical + horizontal - 4 * images).abs()
        if valid_pixels(images.movedim(1, -1)) is None:
            contrast = images.var(dim=(0, 2, 3), correction=0) + self.alpha * laplacian.mean(dim=(0, 2, 3))
        else:
            spread, bends = (_moments(maps) for maps in (images, laplacian))
            contrast = spread[0].square() + self.alpha * bends[1]
        # A band without valid pixels has no contrast to speak of.
        return bands[int(first_largest(contrast.nan_to_num(nan=-1.0), 1e-9))]


def _moments(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Return deviation and mean of the finite values of maps ``[1, N, H, W]``, ``[N]`` each; NaN without any."""
    moments = []
    for values in maps[0].unsqueeze(-1):
        rows, _ = valid_rows(values.flatten(0, 1))
        nothing = rows.new_tensor(torch.nan)
        moments.append(torch.std_mean(rows, correction=0) if len(rows) else (nothing, nothing))
    deviations, means = zip(*moments, strict=True)
    return torch.stack(deviations), torch.stack(means)


class TopKIndices(Node):
    """The channels of the `k` largest weights, largest first, of equal ones the first; all where there are fewer.

    Args:
        k: Number of channels.
    """

    category = "transform"
    tags = TAGS
    independence = Independence.PIXEL
    inputs = ports(weights=Port(torch.float32, (-1,), description="Weight of each channel [C]", common=True))
    outputs = ports(indices=Port(torch.int64, (-1,), description="Channels [min(k, C)]", common=True))

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = whole("k", k, at_least=0)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        weights: Tensor = inputs["weights"]
        return {"indices": largest(weights, self.k)}
