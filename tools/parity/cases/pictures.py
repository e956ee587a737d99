"""Pictures that are numbers: selectors of bands, colour maps, compositions."""

from __future__ import annotations

import numpy as np

from tools.parity.cases.case import WAVELENGTHS, Case, cube, each, flags, labels, rng

_CUBES = each(lambda shape, seed: {"cube": cube(shape, seed=seed), "wavelengths": WAVELENGTHS})
_TRAIN = [{"cube": cube((2, 9, 8), seed=seed), "wavelengths": WAVELENGTHS} for seed in (3, 4)]
_LABELLED = [{**inputs, "mask": flags((2, 9, 8, 1), seed=5)} for inputs in _TRAIN]
_RGB = rng(1).random((2, 40, 50, 3), dtype=np.float32)
_LABELS = _RGB[::-1] * flags((2, 40, 50, 1), seed=4, share=0.5)
_VALID = np.array([1, 0], dtype=np.int32)
_BOXES = np.array([[3, 4, 25, 28], [10, 2, 40, 33]], dtype=np.float32)

CASES = [
    *(
        Case(f"channel_selector.{name}Selector", _CUBES)
        for name in (
            "NDWI",
            "NBR",
            "GNDVI",
            "NDRE",
            "PRI",
            "EVI",
            "EVI2",
            "SAVI",
            "MSAVI",
            "CIRedEdge",
            "MCARI",
        )
    ),
    Case(
        "channel_selector.FastRGBSelector",
        _CUBES[:1],
        unlike={"band_info": "the scale factor is that of each frame, in a list; theirs is one number for all"},
    ),
    *(
        Case(f"channel_selector.{name}Selector", _CUBES, {"norm_mode": mode}, _TRAIN if mode == "statistical" else ())
        for name in (
            "CIR",
            "FixedWavelength",
            "HighContrast",
            "RangeAverageFalseRGB",
            "CameraEmulationFalseRGB",
            "CIETristimulusRGB",
        )
        for mode in ("running", "per_frame", "statistical")
    ),
    *(
        Case(f"channel_selector.{name}Selector", _CUBES, {"num_spectral_bands": len(WAVELENGTHS)}, _LABELLED)
        for name in ("SupervisedCIR", "SupervisedFullSpectrum", "SupervisedWindowed")
    ),
    Case("channel_selector.TopKIndices", [{"weights": rng(3).random(40, dtype=np.float32)}], {"k": 5}),
    Case(
        "colormap.ScalarHSVColormapNode",
        each(lambda shape, seed: {"data": rng(seed).uniform(-0.5, 1.5, (*shape, 1)).astype(np.float32)}),
        {"value_min": -0.2, "value_max": 1.1},
    ),
    Case(
        "colormap.ClassMapToRGB",
        [{"class_map": labels((2, 9, 8), 30, dtype=np.int64) - 1, "mask": labels((2, 9, 8), 3, seed=2)}],
    ),
    Case(
        "colormap.ClassMapToRGB",
        [{"class_map": labels((2, 9, 8), 30, dtype=np.int64)}],
        {"palette": [[1, 2, 3], [200, 100, 0]], "background_value": 1},
    ),
    Case("compositing.LabelOverlay", [{"rgb_image": _RGB, "label_rgb": _LABELS}]),
    *(
        Case(
            "compositing.ROIZoomNode",
            [{"source": _RGB, "bbox": _BOXES, "valid": _VALID}],
            {"zoom_height": height, "zoom_width": width, "bg_color": [0.1, 0.2, 0.3]},
        )
        for height, width in ((8, 9), (120, 64))
    ),
    *(
        Case(
            "compositing.InsetComposer",
            [{"base": _RGB, "inset": _RGB[:, :12, :10], "valid": _VALID}],
            {"corner": corner, "margin_px": 3},
        )
        for corner in ("top-left", "top-right", "bottom-left", "bottom-right")
    ),
    *(
        Case(
            "compositing.ImageConcatenator",
            [{"images": [_RGB, _RGB[:, :21, :33], _LABELS]}],
            {"axis": axis, "align": align, "gap": 3},
        )
        for axis in ("horizontal", "vertical")
        for align in ("start", "center", "end")
    ),
    Case(
        "anomaly_visualization.MaskOverlayNode",
        [{"rgb_image": _RGB, "mask": labels((2, 40, 50), 2)}],
        {"overlay_color": [0.2, 1.0, 0.0]},
    ),
]
_TEXT = "text and lines are drawn by another library"
LEFT_OUT = {
    "BBoxesOverlayNode": _TEXT,
    "ChannelSelectorFalseRGBViz": _TEXT,
    "ChannelWeightsViz": _TEXT,
    "LegendStrip": _TEXT,
    "PCAVisualization": _TEXT,
    "PipelineComparisonVisualizer": _TEXT,
    "RGBAnomalyMask": _TEXT,
    "SpectraPlot": _TEXT,
    "SpectrumPlotNode": _TEXT,
    "TitleOverlay": _TEXT,
    "TrackingOverlayNode": _TEXT,
    "TrackingPointerOverlayNode": _TEXT,
}
