"""What a reader finds in a file, and how it becomes a scene: the rules that all formats share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swath.errors import DataInvalid
from swath.scenes.georeference import Georeference
from swath.scenes.options import Options
from swath.scenes.scene import Scene, representable
from swath.scenes.wavelengths import Stored, judged


@dataclass(frozen=True)
class Draft:
    """One frame as it is in the file; attributes as of `Scene`, wavelengths not judged yet.

    Attributes:
        number: Which frame of several; None where the file can hold only one.
    """

    cube: NDArray[Any]
    number: int | None = None
    wavelengths: Stored | None = None
    mask: NDArray[Any] | None = None
    class_mask: NDArray[Any] | None = None
    scale: float | NDArray[np.float64] = 1.0
    offset: float | NDArray[np.float64] = 0.0
    ignore_value: float | None = None
    bad_bands: NDArray[np.bool_] | None = None
    georeference: Georeference | None = None
    notes: tuple[str, ...] = ()


def finished(draft: Draft, options: Options, *, stem: str, shown: str) -> Scene:
    """Return the scene that a file and the caller's options make.

    Args:
        draft: What the file says.
        options: What the caller says.
        stem: The file's name without suffix.
        shown: The file, for messages.

    Raises:
        DataInvalid: Parts do not fit together, or wavelengths are none.
    """
    notes, ignore_value = draft.notes, draft.ignore_value
    if ignore_value is not None and not np.isfinite(ignore_value):
        ignore_value = None  # what is not finite is invalid anyway
    if ignore_value is not None and not representable(ignore_value, draft.cube.dtype):
        notes = (*notes, f"the ignore value {ignore_value:g} is none that {draft.cube.dtype} can have")
        ignore_value = None
    scale = draft.scale if options.scale is None else float(options.scale)
    offset = draft.offset if options.scale is None else 0.0
    if not (np.isfinite(scale).all() and np.all(scale) and np.isfinite(offset).all()):
        raise DataInvalid(
            f"{shown}: scale: expected finite numbers other than 0, and finite offsets, got {scale} and {offset}"
        )
    bad = draft.bad_bands if draft.bad_bands is not None and draft.bad_bands.any() else None
    if bad is not None and not options.drop_bad_bands:
        notes = (
            *notes,
            f"{int(bad.sum())} of {bad.size} bands are marked bad and stay; +data.params.drop_bad_bands=true in "
            "training, --drop-bad-bands of swath infer leaves them out",
        )
    scene = Scene(
        stem if draft.number is None else f"{stem}_{draft.number:04d}",
        draft.cube,
        mask=draft.mask,
        class_mask=draft.class_mask,
        scale=scale,
        offset=offset,
        ignore_value=ignore_value,
        bad_bands=bad,
        georeference=draft.georeference,
        notes=notes,
        file=shown,
    )
    # Judged after the cube itself: what is no cube has no bands to count.
    wavelengths = judged(
        draft.wavelengths,
        scene.cube.shape[2],
        name=shown,
        given=options.wavelengths,
        given_unit=options.wavelength_units,
    )
    scene = replace(scene, wavelengths=wavelengths)
    return scene.without_bad_bands() if options.drop_bad_bands else scene
