"""Spectra as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from swath.engine.draw import charts
from swath.engine.draw.colours import palette as colours
from swath.engine.draw.pictures import Pixels
from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.hparams import number, whole
from swath.engine.mixins.wavelengths import WAVELENGTHS

_PLOTS = ports(
    rgb_image=Port(torch.float32, (-1, -1, -1, 3), description="Plots of 0..1 [B, plot height, plot width, 3]")
)


class SpectrumPlotNode(Node):
    """The spectrum of something that is tracked, frame by frame, against one of reference.

    Where a frame has no valid spectrum, the latest one stays for some frames.

    Args:
        wavelengths: Wavelength of each channel of the tracked spectrum, nm.
        reference_wavelengths: That of each channel of the reference, nm.
        plot_width: Columns of pixels, at least 32.
        plot_height: Rows of pixels, at least 32.
        dpi: Pixels of an inch; words are sized in points of 1/72 inch.
        xlabel: Words below the plot.
        ylabel: Words at its left.
        tracked_label: Word for the tracked spectrum in the legend; none when empty.
        reference_label: Word for the reference, likewise.
        tracked_color: Colour of the tracked spectrum, as matplotlib names it.
        reference_color: That of the reference.
        bg_color: That behind everything.
        fg_color: That of axes and words.
        y_fixed_range: Ends of the vertical axis; those of the spectra of each frame when None.
        y_num_ticks: Ticks within fixed ends, at least 2.
        tracked_hold_frames: Frames without a valid spectrum that still show the latest.
    """

    category = "visualizer"
    tags = ("hyperspectral",)
    invalid = Invalid.PASSED
    independence = Independence.FRAME
    inputs = ports(
        tracked_spectrum=Port(torch.float32, (-1, -1), description="Spectrum of each frame [B, C]"),
        reference_spectrum=Port(
            torch.float32, (-1, -1, -1, -1), description="Spectrum of reference [1, 1, 1, C]", common=True
        ),
        valid=Port(torch.int32, (-1,), optional=True, description="1 for frames with a spectrum [B]"),
        frame_id=Port(torch.int64, (-1,), optional=True, description="Number written above each plot [B]"),
    )
    outputs = _PLOTS

    def __init__(
        self,
        wavelengths: Sequence[float],
        reference_wavelengths: Sequence[float],
        plot_width: int = 960,
        plot_height: int = 720,
        dpi: int = 150,
        xlabel: str = "wavelength in [nm]",
        ylabel: str = "spectral radiance in [W/m²/sr/µm]",
        tracked_label: str = "",
        reference_label: str = "",
        tracked_color: str = "red",
        reference_color: str = "lime",
        bg_color: str = "black",
        fg_color: str = "white",
        y_fixed_range: Sequence[float] | None = (0.0, 12.0),
        y_num_ticks: int = 12,
        tracked_hold_frames: int = 15,
    ) -> None:
        super().__init__()
        self.wavelengths = _grid("wavelengths", wavelengths)
        self.reference_wavelengths = _grid("reference_wavelengths", reference_wavelengths)
        self.sheet = charts.sheet(plot_width, plot_height, dpi, bg_color, fg_color)
        self.labels = str(xlabel), str(ylabel)
        self.tracked = str(tracked_label), charts.named_colour("tracked_color", tracked_color)
        self.reference = str(reference_label), charts.named_colour("reference_color", reference_color)
        self.y_range = None if y_fixed_range is None else _ends(y_fixed_range)
        self.ticks = whole("y_num_ticks", y_num_ticks, at_least=2)
        self.hold = whole("tracked_hold_frames", tracked_hold_frames, at_least=0)
        self.stateful = self.hold > 0
        self.forget()

    def forget(self) -> None:
        self._latest: charts.Numbers | None = None
        self._held = 0

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        spectra: Tensor = inputs["tracked_spectrum"]
        reference: Tensor = inputs["reference_spectrum"]
        frames = spectra.shape[0]
        if spectra.shape[1] != len(self.wavelengths):
            raise self.refuse("tracked_spectrum", f"{len(self.wavelengths)} channels", spectra)
        if reference.numel() != len(self.reference_wavelengths):
            raise self.refuse("reference_spectrum", f"{len(self.reference_wavelengths)} numbers", reference)
        for port in ("valid", "frame_id"):
            if port in inputs and inputs[port].shape[0] != frames:
                raise self.refuse(port, f"one for each of {frames} frames", inputs[port])
        valid = inputs["valid"].tolist() if "valid" in inputs else [1] * frames
        titles = (
            [f"frame {number}" for number in inputs["frame_id"].tolist()] if "frame_id" in inputs else [""] * frames
        )
        label, colour = self.reference
        known = charts.Line(self.reference_wavelengths, _numbers(reference).ravel(), colour, 2.0, label, marked=True)
        tracked = (self._shown(spectrum, flag == 1) for spectrum, flag in zip(_numbers(spectra), valid, strict=True))
        plots = [self._plot(known, shown, title) for shown, title in zip(tracked, titles, strict=True)]
        return {"rgb_image": _stacked(plots, self.sheet, spectra)}

    def _shown(self, spectrum: charts.Numbers, valid: bool) -> charts.Numbers | None:
        if valid:
            self._latest, self._held = spectrum, 0
        elif self._held < self.hold:
            self._held += 1
        else:
            self.forget()
        return self._latest

    def _plot(self, known: charts.Line, tracked: charts.Numbers | None, title: str) -> Pixels:
        lines = [known]
        if tracked is not None:
            label, colour = self.tracked
            lines.append(charts.Line(self.wavelengths, tracked, colour, 2.0, label, marked=True))
        fixed = self.y_range
        return charts.curves(
            self.sheet,
            lines,
            corner=title,
            xlabel=self.labels[0],
            ylabel=self.labels[1],
            x_range=(float(self.wavelengths.min()), float(self.wavelengths.max())),
            y_range=fixed,
            y_ticks=None if fixed is None else np.linspace(*fixed, self.ticks + 1)[1:].tolist(),
        )


class SpectraPlot(Node):
    """Several spectra of each frame in one plot.

    Args:
        palette: Colours of 0..255 of the rows; further rows start over. The twenty of Tableau when left out.
        title: Words above the plot.
        xlabel: Words below it.
        ylabel: Words at its left.
        plot_width: Columns of pixels, at least 32.
        plot_height: Rows of pixels, at least 32.
        dpi: Pixels of an inch; words are sized in points of 1/72 inch.
        linewidth: Width of the lines, points.
        bg_color: Colour behind everything, as matplotlib names it.
        fg_color: Colour of axes and words.
    """

    category = "visualizer"
    tags = ("hyperspectral", "rgb")
    independence = Independence.FRAME
    inputs = ports(
        signatures=Port(torch.float32, (-1, -1, -1), description="Spectra of each frame [B, N, C]"),
        wavelengths=WAVELENGTHS,
        valid=Port(torch.bool, (-1, -1), optional=True, description="Spectra that are drawn [B, N]"),
    )
    outputs = _PLOTS

    def __init__(
        self,
        palette: Sequence[Sequence[int]] | None = None,
        title: str = "",
        xlabel: str = "wavelength in [nm]",
        ylabel: str = "value",
        plot_width: int = 720,
        plot_height: int = 540,
        dpi: int = 150,
        linewidth: float = 1.0,
        bg_color: str = "white",
        fg_color: str = "black",
    ) -> None:
        super().__init__()
        self.palette = [tuple(part / 255 for part in colour) for colour in colours("palette", palette)]
        self.title = str(title)
        self.labels = str(xlabel), str(ylabel)
        self.sheet = charts.sheet(plot_width, plot_height, dpi, bg_color, fg_color)
        self.width = number("linewidth", linewidth, above=0)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        spectra: Tensor = inputs["signatures"]
        wavelengths = _numbers(inputs["wavelengths"])
        if len(wavelengths) != spectra.shape[-1]:
            raise self.refuse("wavelengths", f"{spectra.shape[-1]} numbers, one per channel", inputs["wavelengths"])
        valid: Tensor = inputs.get("valid", torch.ones(spectra.shape[:2], dtype=torch.bool))
        if valid.shape != spectra.shape[:2]:
            raise self.refuse("valid", f"one flag for each spectrum, {list(spectra.shape[:2])}", valid)
        plots = [
            self._plot(wavelengths, rows, flags)
            for rows, flags in zip(_numbers(spectra), valid.cpu().numpy(), strict=True)
        ]
        return {"rgb_image": _stacked(plots, self.sheet, spectra)}

    def _plot(self, wavelengths: charts.Numbers, rows: charts.Numbers, flags: charts.Numbers) -> Pixels:
        lines = [
            charts.Line(wavelengths, row, self.palette[index % len(self.palette)], self.width)
            for index, row in enumerate(rows)
            if flags[index]
        ]
        return charts.curves(
            self.sheet,
            lines,
            title=self.title,
            xlabel=self.labels[0],
            ylabel=self.labels[1],
            x_range=(float(wavelengths.min()), float(wavelengths.max())) if len(wavelengths) else None,
        )


def _grid(name: str, value: Any) -> charts.Numbers:
    grid = np.array([number(name, wavelength) for wavelength in value])
    if not grid.size:
        raise ValueError(f"{name} must name at least one wavelength, got none")
    return grid


def _ends(value: Any) -> tuple[float, float]:
    low, high = (number("y_fixed_range", end) for end in value) if len(value) == 2 else (0.0, 0.0)
    if low >= high:
        raise ValueError(f"y_fixed_range must be a lower and a higher end, got {value!r}")
    return low, high


def _numbers(values: Tensor) -> charts.Numbers:
    return values.detach().double().cpu().numpy()


def _stacked(plots: Sequence[Pixels], sheet: charts.Sheet, like: Tensor) -> Tensor:
    frames = like.new_empty(len(plots), sheet.height, sheet.width, 3)
    for frame, plot in zip(frames, plots, strict=True):
        frame.copy_(torch.from_numpy(plot))
    return frames / 255
