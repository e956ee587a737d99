"""Plots as arrays, of an exact size and without matplotlib's state for the whole process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from swath.engine.draw.pictures import Pixels, stretch
from swath.engine.hparams import whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Numbers = NDArray[np.floating]

_MIN_SIDE = 32
_BINS = 128


@dataclass(frozen=True)
class Sheet:
    """Size and colours of a plot.

    Attributes:
        width: Columns of pixels.
        height: Rows of pixels.
        dpi: Pixels per inch; text and lines are sized in points of 1/72 inch.
        background: Colour behind everything.
        foreground: Colour of axes and text.
    """

    width: int
    height: int
    dpi: int
    background: str = "white"
    foreground: str = "black"


@dataclass(frozen=True)
class Line:
    """One curve of a plot.

    Attributes:
        x: Abscissae ``[N]``.
        y: Values ``[N]``.
        colour: Anything that matplotlib takes for a colour.
        width: Points.
        label: Label in the legend; none if empty.
        marked: Whether each value has a dot.
    """

    x: Numbers
    y: Numbers
    colour: Any
    width: float = 1.0
    label: str = ""
    marked: bool = False


def sheet(width: Any, height: Any, dpi: Any, background: Any, foreground: Any) -> Sheet:
    """Return a sheet of checked arguments of a node: `plot_width`, `plot_height`, `dpi`, `bg_color`, `fg_color`.

    Raises:
        ValueError: A size is too small, or a colour none.
    """
    return Sheet(
        whole("plot_width", width, at_least=_MIN_SIDE),
        whole("plot_height", height, at_least=_MIN_SIDE),
        whole("dpi", dpi, at_least=1),
        named_colour("bg_color", background),
        named_colour("fg_color", foreground),
    )


def named_colour(name: str, value: Any) -> str:
    """Return a colour that matplotlib knows.

    Raises:
        ValueError: It knows no such colour.
    """
    from matplotlib.colors import is_color_like  # slow to import, and only plots need it

    if not is_color_like(value):
        raise ValueError(f"{name} must be a colour of matplotlib such as 'red' or '#ff0000', got {value!r}")
    return str(value)


def curves(
    on: Sheet,
    lines: Sequence[Line],
    *,
    title: str = "",
    corner: str = "",
    xlabel: str = "",
    ylabel: str = "",
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
    y_ticks: Sequence[float] | None = None,
) -> Pixels:
    """Draw curves on one pair of axes, as RGB ``[height, width, 3]``.

    Args:
        on: Size and colours.
        lines: The curves, the first at the bottom.
        title: Text above the middle.
        corner: Text above the right end.
        xlabel: Text below.
        ylabel: Text at the left.
        x_range: Ends of the horizontal axis; those of the curves when left out, or when it has no length.
        y_range: Ends of the vertical axis; likewise.
        y_ticks: Values that have a tick; matplotlib chooses when left out.
    """
    figure = _figure(on)
    axes = figure.add_subplot()
    axes.set_facecolor(on.background)
    for line in lines:
        marks: dict[str, Any] = {"marker": "o", "markersize": 2.5} if line.marked else {}
        label = line.label or "_"  # matplotlib leaves those with an underscore out
        axes.plot(line.x, line.y, color=line.colour, linewidth=line.width, label=label, **marks)
    axes.set_xlabel(xlabel, color=on.foreground)
    axes.set_ylabel(ylabel, color=on.foreground)
    axes.set_title(title, color=on.foreground)
    axes.set_title(corner, color=on.foreground, fontsize=9, loc="right")
    if x_range is not None and x_range[0] < x_range[1]:
        axes.set_xlim(*x_range)
    if y_range is not None and y_range[0] < y_range[1]:
        axes.set_ylim(*y_range)
    if y_ticks is not None:
        axes.set_yticks(list(y_ticks))
    for spine in axes.spines.values():
        spine.set_color(on.foreground)
    axes.tick_params(colors=on.foreground)
    axes.grid(True, color=on.foreground, alpha=0.15, linewidth=0.6)
    if any(line.label for line in lines):
        axes.legend(loc="upper left", facecolor=on.background, edgecolor=on.foreground, labelcolor=on.foreground)
    return _pixels(figure)


def components(frame: Numbers) -> Pixels:
    """Draw two components of a frame ``[H, W, 2]``: against each other, the colours of places, and as red and green."""
    from matplotlib.colors import hsv_to_rgb  # slow to import, and only plots need it

    height, width, _ = frame.shape
    saturation, hue = np.meshgrid(np.linspace(0, 1, height), np.linspace(0, 1, width), indexing="ij")
    places = hsv_to_rgb(np.stack([hue, saturation, np.ones_like(hue)], axis=-1))
    figure = _figure(Sheet(1200, 400, 100))
    plot, reference, picture = figure.subplots(1, 3)
    plot.set_title("components")
    plot.set_xlabel("first")
    plot.set_ylabel("second")
    finite = np.isfinite(frame).all(axis=-1)
    if finite.any():
        cloud, extent = _cloud(frame[finite], places[finite])
        plot.imshow(cloud, origin="lower", extent=extent, aspect="auto", interpolation="nearest")
    reference.set_title("colour of each place")
    reference.imshow(places)
    picture.set_title("first red, second green")
    parts = [stretch(frame[..., 0]), stretch(frame[..., 1]), np.zeros((height, width))]
    picture.imshow(np.stack(parts, axis=-1))
    return _pixels(figure)


def _cloud(points: Numbers, shades: Numbers) -> tuple[Numbers, tuple[float, float, float, float]]:
    """Return points as a picture of mean colours, and its ends: as quick for a million points as for ten."""
    low, high = points.min(axis=0), points.max(axis=0)
    margin = np.where(high > low, 0.03 * (high - low), 0.5)
    low, high = low - margin, high + margin
    cells = ((points - low) / (high - low) * (_BINS - 1)).round().astype(np.int64)
    which = cells[:, 1] * _BINS + cells[:, 0]
    counts = np.bincount(which, minlength=_BINS**2)
    sums = np.stack([np.bincount(which, shades[:, part], _BINS**2) for part in range(3)], axis=-1)
    means = sums / np.maximum(counts, 1)[:, None]
    cloud = np.where((counts > 0)[:, None], means, 0.15).reshape(_BINS, _BINS, 3)
    return cloud, (float(low[0]), float(high[0]), float(low[1]), float(high[1]))


def _figure(on: Sheet) -> Figure:
    from matplotlib.figure import Figure  # slow to import, and only plots need it

    # Half a pixel more, so that rounding never takes one away.
    size = ((on.width + 0.5) / on.dpi, (on.height + 0.5) / on.dpi)
    return Figure(figsize=size, dpi=on.dpi, facecolor=on.background, layout="constrained")


def _pixels(figure: Figure) -> Pixels:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
