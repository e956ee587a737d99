"""Plots of spectra, of components and of what a pipeline does."""

from typing import Any

import numpy as np
import pytest
import torch

from swath.engine.graph.context import Context
from swath.engine.graph.ports import Stage
from swath.engine.nodes.pipeline_visualization import PCAVisualization, PipelineComparisonVisualizer
from swath.engine.nodes.spectrum_plot import SpectraPlot, SpectrumPlotNode
from swath.errors import InputInvalid

GRID = [400.0, 500.0, 600.0, 700.0]
SMALL: dict[str, Any] = {"plot_width": 161, "plot_height": 119, "dpi": 50}


def _plot(node, valid=(1,), **inputs):
    return node.forward(
        tracked_spectrum=torch.full((len(valid), 4), 6.0),
        reference_spectrum=torch.full((1, 1, 1, 2), 3.0),
        valid=torch.tensor(valid, dtype=torch.int32),
        **inputs,
    )["rgb_image"]


def _shows(plot, colour):
    return (plot - torch.tensor(colour)).abs().sum(dim=-1).lt(0.05).any(dim=-1).any(dim=-1).tolist()


@pytest.fixture
def spectrum_plot():
    return SpectrumPlotNode(GRID, GRID[1:3], tracked_hold_frames=1, **SMALL)


def test_a_plot_has_the_size_that_is_asked_for(spectrum_plot):
    assert _plot(spectrum_plot, frame_id=torch.tensor([3])).shape == (1, 119, 161, 3)


def test_the_reference_and_what_is_tracked_have_their_colours(spectrum_plot):
    plot = _plot(spectrum_plot)
    assert _shows(plot, [1.0, 0.0, 0.0]) == _shows(plot, [0.0, 1.0, 0.0]) == [True]


def test_the_latest_spectrum_stays_for_some_frames(spectrum_plot):
    assert _shows(_plot(spectrum_plot, valid=[0, 1, 0, 0, 1]), [1.0, 0.0, 0.0]) == [False, True, True, False, True]
    assert _shows(_plot(spectrum_plot, valid=[0]), [1.0, 0.0, 0.0]) == [True]
    spectrum_plot.forget()
    assert _shows(_plot(spectrum_plot, valid=[0]), [1.0, 0.0, 0.0]) == [False]


def test_only_a_plot_that_holds_has_memory(spectrum_plot):
    assert spectrum_plot.stateful
    assert not SpectrumPlotNode(GRID, GRID, tracked_hold_frames=0).stateful


def test_words_are_drawn(spectrum_plot):
    named = SpectrumPlotNode(GRID, GRID[1:3], tracked_label="it", y_fixed_range=None, **SMALL)
    assert not torch.equal(_plot(named), _plot(spectrum_plot))
    assert not torch.equal(_plot(named, frame_id=torch.tensor([3])), _plot(named))


@pytest.mark.filterwarnings("error")
def test_a_spectrum_of_nothing_is_drawn(spectrum_plot):
    free = SpectrumPlotNode(GRID, GRID[1:3], y_fixed_range=None, **SMALL)
    nothing: dict[str, Any] = {
        "tracked_spectrum": torch.full((1, 4), torch.nan),
        "reference_spectrum": torch.full((1, 1, 1, 2), torch.nan),
    }
    assert free.forward(**nothing)["rgb_image"].isfinite().all()


def test_spectra_have_the_channels_of_the_grid(spectrum_plot):
    with pytest.raises(InputInvalid, match="4 channels"):
        spectrum_plot.forward(tracked_spectrum=torch.zeros(1, 5), reference_spectrum=torch.zeros(1, 1, 1, 2))


def test_each_row_has_its_colour():
    node = SpectraPlot(palette=[[255, 0, 0], [0, 0, 255]], linewidth=3, title="rows", **SMALL)
    signatures = torch.arange(2.0).view(1, 2, 1).expand(2, 2, 4)
    valid = torch.tensor([[True, True], [True, False]])
    plot = node.forward(signatures=signatures, wavelengths=torch.tensor(GRID), valid=valid)["rgb_image"]
    assert _shows(plot, [1.0, 0.0, 0.0]) == [True, True]
    assert _shows(plot, [0.0, 0.0, 1.0]) == [True, False]


def test_wavelengths_are_one_per_channel():
    with pytest.raises(InputInvalid, match="one per channel"):
        SpectraPlot().forward(signatures=torch.zeros(1, 2, 5), wavelengths=torch.tensor(GRID))


@pytest.mark.parametrize("size", [(20, 30), (1, 1)])
def test_components_are_drawn(size):
    drawn = PCAVisualization(up_to=1).forward(data=torch.rand(2, *size, 3))["artifacts"]
    assert [picture.name for picture in drawn] == ["pca_projection_img00"]
    assert drawn[0].pixels.shape == (400, 1200, 3)


def test_components_that_are_not_finite_are_left_out():
    data = torch.rand(1, 5, 5, 2)
    data[0, 0, 0] = torch.inf
    assert len(PCAVisualization().forward(data=data)["artifacts"]) == 1
    assert len(PCAVisualization().forward(data=torch.full((1, 5, 5, 2), torch.nan))["artifacts"]) == 1


def test_one_component_is_not_enough():
    with pytest.raises(InputInvalid, match="at least 2 components"):
        PCAVisualization().forward(data=torch.rand(1, 5, 5, 1))


@pytest.fixture
def compared():
    return {
        "hsi_cube": torch.arange(5.0).view(1, 1, 1, 5).expand(2, 3, 4, 5),
        "mixer_output": torch.rand(2, 3, 4, 3),
        "ground_truth_mask": torch.ones(2, 3, 4, 1, dtype=torch.bool),
        "anomaly_scores": torch.linspace(-1, 3, 12).reshape(1, 3, 4, 1).expand(2, 3, 4, 1),
    }


def test_a_pipeline_is_shown_from_its_cube_to_its_scores(compared):
    drawn = PipelineComparisonVisualizer(hsi_channels=[0, 2, 40], max_samples=1).forward(**compared)["artifacts"]
    pixels = {picture.name.removesuffix("_sample_0"): picture.pixels for picture in drawn}
    assert list(pixels) == ["hsi_input", "mixer_output_adaclip_input", "ground_truth_mask", "anomaly_scores_heatmap"]
    assert pixels["hsi_input"][0, 0].tolist() == [0, 128, 255]
    assert pixels["ground_truth_mask"][0, 0].tolist() == [255, 0, 0]
    assert pixels["anomaly_scores_heatmap"][[0, -1], [0, -1]].tolist() == [[0, 0, 255], [255, 0, 0]]
    assert np.ptp(pixels["mixer_output_adaclip_input"]) == 255


def test_some_batches_are_left_out(compared):
    node = PipelineComparisonVisualizer(log_every_n_batches=2)
    assert node.forward(context=Context(Stage.TRAIN, batch=1), **compared)["artifacts"] == []


def test_all_views_have_the_frames_of_the_cube(compared):
    with pytest.raises(InputInvalid, match="2 frames"):
        PipelineComparisonVisualizer().forward(**compared | {"mixer_output": torch.rand(1, 3, 4, 3)})


@pytest.mark.parametrize(
    ("cls", "hparams"),
    [
        (SpectraPlot, {"plot_width": 31}),
        (SpectraPlot, {"bg_color": "no colour"}),
        (SpectraPlot, {"linewidth": 0}),
        (PCAVisualization, {"up_to": -1}),
        (PipelineComparisonVisualizer, {"hsi_channels": [1, 2]}),
    ],
)
def test_arguments_are_checked(cls, hparams):
    with pytest.raises(ValueError, match=next(iter(hparams))):
        cls(**hparams)


@pytest.mark.parametrize("hparams", [{"y_fixed_range": [3, 1]}, {"y_num_ticks": 1}, {"wavelengths": []}])
def test_arguments_of_a_spectrum_are_checked(hparams):
    with pytest.raises(ValueError, match=next(iter(hparams))):
        SpectrumPlotNode(**({"wavelengths": GRID, "reference_wavelengths": GRID} | hparams))
