"""Objects: spectra of boxes and labels, patches, shapes."""

from __future__ import annotations

import numpy as np

from tools.parity.cases.case import Case, blobs, cube, labels, rng

_BOXES = np.array([[[1.2, 2.3, 8.4, 7.9], [3, 3, 12, 9], [9, 8, 20, 15], [0, 0, 0, 0]]], dtype=np.float32)
_CUBE = cube((1, 24, 30), seed=3)
_IMAGES = rng(2).random((1, 24, 30, 3), dtype=np.float32)
_LABELLED = {"cube": _CUBE, "mask": blobs()}


def _objects() -> np.ndarray:
    """Return a cube of like spectra with two objects of another kind."""
    values = np.repeat(cube((2, 64, 48), 31, seed=8).mean(axis=(1, 2), keepdims=True), 64, 1).repeat(48, 2)
    values = values * rng(1).uniform(0.99, 1.01, values.shape)
    values[0, 10:30, 12:28] *= 1 + np.linspace(0, 2, 31)
    values[1, 40:60, 5:20] *= 2 - np.linspace(0, 1.8, 31)
    return values.astype(np.float32)


CASES = [
    *(
        Case("spectral_extractor.BBoxSpectralExtractor", [{"cube": _CUBE, "bboxes": _BOXES}], hparams)
        for hparams in (
            {},
            {"aggregation": "mean", "l2_normalize": False, "center_crop_scale": 1.0, "trim_fraction": 0.0},
            {"min_crop_pixels": 12, "trim_fraction": 0.3},
        )
    ),
    Case("spectral_extractor.SpectralSignatureExtractor", [_LABELLED], {"min_mask_pixels": 2}),
    *(
        Case("preprocessors.BBoxRoiCropNode", [{"images": _IMAGES, "bboxes": _BOXES}], hparams)
        for hparams in ({"output_size": [8, 6]}, {"output_size": [3, 4], "aligned": False})
    ),
    *(
        Case("spectral_angle_mapper.SpectralObjectMask", [{"cube": _objects()}], hparams)
        for hparams in ({}, {"stride": 2, "threshold": "otsu", "fill": True, "dilate_px": 3})
    ),
    *(
        Case(
            "patch_inference.PatchSampler",
            [{"cube": _CUBE, "targets": labels((1, 24, 30), 4, dtype=np.int64)}],
            {"mode": "eval", "patch_size": 3, **hparams},
        )
        for hparams in ({}, {"max_per_frame": 7})
    ),
    *(
        Case("morphology.ShapeMorphology", [{"mask": blobs()}], {"max_objects": 8, **hparams})
        for hparams in ({}, {"binarize": False}, {"connectivity": 4, "properties": ["orientation", "area"]})
    ),
]
LEFT_OUT = {"ClassMapAccumulator": "gathers maps for the program that holds it: it has no output and writes no file"}
