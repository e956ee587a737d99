"""Ground truth in files of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from swath.engine.data.masks import read_mask
from swath.errors import DataInvalid, FileMissing

MASK = np.eye(4, 6, dtype=np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".npz"])
def test_a_mask_is_a_picture_or_of_a_format_of_scenes(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(MASK).save(tmp_path / "mask.png")
    np.savez(tmp_path / "mask.npz", gt=MASK)

    mask = read_mask(tmp_path / f"mask{suffix}")

    assert mask.dtype == np.int32
    assert np.array_equal(mask, MASK)


def test_a_picture_that_is_not_there_or_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileMissing, match="'none"):
        read_mask(tmp_path / "none.png")
    (tmp_path / "bad.png").write_bytes(b"rubbish")
    with pytest.raises(DataInvalid, match=r"^bad\.png: not a readable picture"):
        read_mask(tmp_path / "bad.png")
