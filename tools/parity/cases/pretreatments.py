"""Spectra made ready, taken apart and grouped."""

from __future__ import annotations

import numpy as np

from tools.parity.cases.case import BANDS, WAVELENGTHS, Case, cube, each, labels, numbers, rng

_CUBES = each(lambda shape, seed: {"cube": cube(shape, seed=seed)})
_EVEN = [{**inputs, "wavelengths": WAVELENGTHS} for inputs in _CUBES]
_STEPS = (400 + np.cumsum(rng(7).integers(2, 7, BANDS))).astype(np.int32)
_UNEVEN = [{**inputs, "wavelengths": _STEPS} for inputs in _CUBES]
_FIT = [{"cube": cube((1, 12, 10), seed=seed)} for seed in (5, 6)]
_FEW = [{"cube": cube((1, 4, 5)), "endmembers": cube((5, 1, 1), seed=30).reshape(5, BANDS)}]
_MASKED = [{**inputs, "mask": labels(inputs["cube"].shape[:3], 2, seed=4)} for inputs in _CUBES]
_SAVITZKY_GOLAY = "pretreatments.savitzky_golay.SavitzkyGolay"

CASES = [
    *(
        Case(_SAVITZKY_GOLAY, _EVEN, {"deriv": order, "mode": mode, "delta": 2.0})
        for order, mode in ((0, "nearest"), (1, "mirror"), (2, "constant"))
    ),
    Case(_SAVITZKY_GOLAY, _CUBES, {"deriv": 1, "window_length": 7, "polyorder": 3}),
    Case("pretreatments.continuum_removal.ContinuumRemoval", _UNEVEN),
    Case("pretreatments.spectral_derivative.SpectralDerivative", _UNEVEN),
    Case("pretreatments.spectral_derivative.SpectralDerivative", _EVEN, {"order": 2}),
    Case("pretreatments.snv.SNVCorrection", _CUBES),
    Case("pretreatments.logarithm.Logarithm", _CUBES),
    Case("pretreatments.logarithm.Logarithm", _CUBES, {"mode": "ln", "negate": True}),
    Case("pretreatments.scaling.MeanCenter", _CUBES, fit=_FIT),
    Case("pretreatments.scaling.UnitVarianceScaling", _CUBES, fit=_FIT),
    Case("unmixing.nnls.NNLSUnmixing", _FEW, {"max_iter": 20_000, "tol": 1e-12}),
    Case("unmixing.nmf.NMFUnmixing", _CUBES, fit=_FIT),
    Case("clustering.kmeans.KMeansClusterer", _CUBES, {"n_clusters": 5}, _FIT),
    Case(
        "clustering.gmm.GaussianMixtureClusterer",
        _CUBES,
        {"reg_covar": 1e-3},
        _FIT,
        why="shares follow from log-likelihoods, which the reference rounds to float32; here they stay float64",
    ),
    Case("svm.OneClassSVMDetector", _CUBES, {"nu": 0.2}, _FIT),
    *(
        Case("segmentation.intensity.IntensityThresholdSegmenter", _CUBES, {"low": 0.5, "high": 0.8, "reduction": kind})
        for kind in ("mean", "max")
    ),
    Case("preprocessors.SaturatedPixelDetector", _CUBES, {"saturation_value": 1.1, "mask_threshold": 0.1}),
    Case("preprocessors.ChannelNormalizeNode", [{"images": numbers((2, 3, 9, 11))}]),
    *(Case("preprocessors.SpatialRotateNode", _MASKED, {"rotation": angle}) for angle in (None, 90, -90, 180)),
    Case("spectral_extractor.MaskedMeanSpectrum", _MASKED),
    *(
        Case("spectral_extractor.SignaturesToReferences", [{"signatures": cube((1, 5), seed=9)}], {"normalize": kind})
        for kind in (None, "l2", "unit_mean")
    ),
]
