"""Principal components and learnt mixtures of channels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tools.parity.cases.case import Case, cube, each, rng

_CHANNELS = 12
_CALLS = each(lambda shape, seed: {"data": cube(shape, _CHANNELS, seed=seed)})
_FIT = [{"data": cube((2, 20, 15), _CHANNELS, seed=seed)} for seed in (3, 4)]
_MIXER = "channel_mixer.LearnableChannelMixer"


def _projection(folder: Path) -> None:
    random = rng(0)
    np.savez(
        folder / "projection.npz",
        mean=random.random(_CHANNELS),
        comps=random.standard_normal((2, _CHANNELS)),
        lo=np.array([-1.0, -1.5]),
        hi=np.array([1.0, 1.0]),
        explained=np.array([2.0, 1.0]),
    )


_SIGNS = (
    "eigenvectors have no sign of their own: here the largest entry of each is positive, so that two fits agree; "
    "shares are of the whole variance, theirs of what the components that are kept explain"
)

CASES = [
    Case("dimensionality_reduction.PCA", _CALLS, {"n_components": 3}, why=_SIGNS),
    *(
        Case(
            "dimensionality_reduction.TrainablePCA",
            _CALLS,
            {"num_channels": _CHANNELS, "n_components": 4, "whiten": whiten},
            _FIT,
            why=_SIGNS,
        )
        for whiten in (False, True)
    ),
    *(
        Case(
            "dimensionality_reduction.FixedPCAProjection",
            _CALLS,
            {"projection_path": "{folder}/projection.npz", **hparams},
            prepare=_projection,
        )
        for hparams in ({}, {"scale_to_unit": False, "clamp01": False}, {"input_global_minmax": False})
    ),
    Case("channel_mixer.ConcreteChannelMixer", _CALLS, {"input_channels": _CHANNELS}),
    Case("channel_mixer.ConcreteChannelMixer", _CALLS, {"input_channels": _CHANNELS, "use_hard_inference": False}),
    *(
        Case(_MIXER, _CALLS, {"input_channels": _CHANNELS, "output_channels": 3, **hparams})
        for hparams in (
            {},
            {"use_bias": False, "normalize_output": False},
            {"inference_normalization": "per_frame_minmax"},
            {"inference_normalization": "sigmoid_only"},
            {"inference_normalization": "none", "reduction_scheme": [_CHANNELS, 6, 3]},
        )
    ),
    Case(_MIXER, _CALLS, {"input_channels": _CHANNELS, "output_channels": 3, "init_method": "pca"}, _FIT, why=_SIGNS),
]
