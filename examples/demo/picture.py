"""The picture: what the scene looks like, where the aircraft are, and where each detector sees them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle
from matplotlib.patheffects import Normal, Stroke
from steps import Result, Tile

from swath.client import Scene, false_colour

mpl.use("Agg")  # draws into memory, so that no display is needed

CITATION = (
    "Scene: AVIRIS radiance, NASA/JPL; 100 × 100 pixels, 189 channels (nominal wavelengths). "
    "Mask: Airport-Beach-Urban benchmark, X. Kang et al., IEEE TGRS 55(10), 2017."
)
SUBTITLE = "Three aircraft are the anomalies. Each detector was trained and run over gRPC by a Swath server."
INK, QUIET, GROUND = "#1b1f24", "#68707a", "#ffffff"
FRAME = "#7fd1ff"
COLOURS = ("#d1495b", "#2e86ab", "#3a7d44")
STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#c4c9d0",
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "figure.facecolor": GROUND,
}


def draw(path: Path, scene: Scene, results: Sequence[Result]) -> None:
    """Write the picture.

    Args:
        path: A PNG.
        scene: With wavelengths and mask.
        results: Three of them; test tiles are framed in the maps of those that are judged there.
    """
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(14.2, 10.4))
        grid = figure.add_gridspec(2, 3, left=0.025, right=0.94, top=0.875, bottom=0.055, wspace=0.26, hspace=0.13)
        axes: Any = grid.subplots()
        _scene(axes[0, 0], scene)
        _mask(axes[0, 1], scene)
        _curves(axes[0, 2], results)
        for axis, result, colour in zip(axes[1], results, COLOURS, strict=True):
            _scores(figure, axis, scene, result, colour)
        figure.text(0.025, 0.953, "San Diego airport from the air", fontsize=20, fontweight="bold")
        figure.text(0.025, 0.925, SUBTITLE, fontsize=11.5, color=QUIET)
        figure.text(0.025, 0.018, CITATION, fontsize=9, color=QUIET)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=120)
        plt.close(figure)


def _scene(axis: Any, scene: Scene) -> None:
    axis.imshow(false_colour(scene.cube, scene.wavelengths, stretch=(1, 99)), interpolation="nearest")
    axis.set_title("False colour (640, 550, 460 nm)")
    _bare(axis)


def _mask(axis: Any, scene: Scene) -> None:
    grey = false_colour(scene.cube, scene.wavelengths).mean(axis=-1)
    axis.imshow(grey, cmap="gray", vmin=0, vmax=2.2, interpolation="nearest")
    truth = scene.mask != 0 if scene.mask is not None else np.zeros(scene.cube.shape[:2], bool)
    overlay = np.zeros((*truth.shape, 4))
    overlay[truth] = to_rgba("#ffb000")
    axis.imshow(overlay, interpolation="nearest")
    axis.set_title(f"Ground truth: {int(truth.sum())} of {truth.size} pixels")
    _bare(axis)


def _scores(figure: Any, axis: Any, scene: Scene, result: Result, colour: str) -> None:
    low, high = np.percentile(result.scores[np.isfinite(result.scores)], (1, 99))
    image = axis.imshow(result.scores, cmap="inferno", vmin=low, vmax=high, interpolation="nearest")
    bar = figure.colorbar(image, cax=axis.inset_axes((1.02, 0, 0.035, 1)), extend="both", extendfrac=0.03)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8.5, length=2)
    bar.ax.set_title("score", fontsize=8.5, fontweight="normal", color=QUIET, loc="left")
    if scene.mask is not None:
        axis.contour(scene.mask != 0, levels=[0.5], colors="white", linewidths=0.7, alpha=0.85)
    if result.tiles:
        _frame(axis, result.tiles)
    axis.set_title(result.method.title, color=colour)
    _bare(axis)


def _frame(axis: Any, tiles: Sequence[Tile]) -> None:
    """Frame the rectangle that tiles make up."""
    top, bottom = min(rows.start for rows, _ in tiles), max(rows.stop for rows, _ in tiles)
    left, right = min(columns.start for _, columns in tiles), max(columns.stop for _, columns in tiles)
    box = Rectangle((left, top - 0.5), right - left - 1, bottom - top - 0.4, fill=False, ec=FRAME, lw=1.4, ls="--")
    axis.add_patch(box)
    label = axis.text(right - 1, top - 2.2, "test tiles", color=FRAME, fontsize=9, ha="right", va="center")
    label.set_path_effects([Stroke(linewidth=2.5, foreground="black"), Normal()])


def _curves(axis: Any, results: Sequence[Result]) -> None:
    axis.plot([0, 1], [0, 1], color="#c4c9d0", lw=1, ls=(0, (3, 3)))
    for result, colour in zip(results, COLOURS, strict=True):
        false_rate, true_rate = result.curve()
        label = f"{result.method.title}, {result.method.scope}: AUC {result.auc:.3f}"
        axis.plot(false_rate, true_rate, color=colour, lw=2.2, label=label, solid_joinstyle="round")
    axis.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.015), xlabel="false alarms", ylabel="aircraft pixels found")
    axis.set_title("ROC curves")
    axis.set_box_aspect(1)
    axis.tick_params(length=2)
    axis.grid(color="#e8ebee", lw=0.8)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(loc="lower right", frameon=True, facecolor=GROUND, edgecolor="none", framealpha=0.9, fontsize=9.5)


def _bare(axis: Any) -> None:
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_visible(False)
