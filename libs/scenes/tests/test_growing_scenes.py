"""ENVI images to which lines are appended."""

from pathlib import Path

import numpy as np
import pytest

from swath.errors import DataInvalid, FileMissing
from swath.scenes import GrowingScene, Options, read_scene

HEADER = (
    "ENVI\nsamples = 4\nbands = 3\ndata type = 12\nheader offset = 7\nmap info = {UTM, 1, 1, 0, 0, 2, 2, 32, North}\n"
)


@pytest.fixture
def cube() -> np.ndarray:
    return np.random.default_rng(4).integers(0, 5000, (10, 4, 3), dtype=np.uint16)


def _start(tmp_path: Path, more: str = "interleave = bil\n") -> Path:
    (tmp_path / "scan.hdr").write_text(HEADER + more)
    (tmp_path / "scan.img").write_bytes(bytes(7))
    return tmp_path / "scan.img"


def _append(image: Path, lines: np.ndarray, cut: int = 0) -> None:
    with image.open("ab") as file:
        data = lines.transpose(0, 2, 1).tobytes()
        file.write(data[: len(data) - cut])


def test_lines_count_when_they_are_whole(tmp_path: Path, cube: np.ndarray) -> None:
    image = _start(tmp_path)
    growing = GrowingScene(image)
    assert growing.lines() == 0
    _append(image, cube[:3], cut=1)
    assert (growing.lines(), growing.line_bytes) == (2, 24)
    np.testing.assert_array_equal(growing.scene(0, 2).cube, cube[:2])
    with image.open("ab") as file:
        file.write(cube[2].T.tobytes()[-1:])
    assert growing.lines() == 3
    np.testing.assert_array_equal(growing.scene(1, 3).cube, cube[1:3])


@pytest.mark.parametrize("named", ["", "lines = 0\n", "lines = 2\n", "lines = 99\n"])
def test_the_lines_that_the_header_names_do_not_count(tmp_path: Path, cube: np.ndarray, named: str) -> None:
    image = _start(tmp_path, f"interleave = bil\n{named}")
    growing = GrowingScene(image.with_suffix(".hdr"))
    _append(image, cube)
    assert growing.lines() == 10
    assert growing.named_lines == (99 if "99" in named else None)
    scene = growing.scene(0, 10)
    np.testing.assert_array_equal(scene.cube, cube)
    assert scene.notes == ()


def test_it_is_read_by_the_rules_of_the_finished_file(tmp_path: Path, cube: np.ndarray) -> None:
    rules = "interleave = bil\nreflectance scale factor = 10000\ndata ignore value = 0\nbbl = {1, 0, 1}\nlines = 10\n"
    cube[7, 2] = 0
    image = _start(tmp_path, rules)
    _append(image, cube)
    options = Options(drop_bad_bands=True, wavelengths=[500, 600, 700])
    growing, finished = GrowingScene(image, options), read_scene(image, options)
    parts = [growing.scene(first, end) for first, end in ((0, 4), (4, 9), (9, 10))]
    np.testing.assert_array_equal(np.concatenate([part.values() for part in parts]), finished.values())
    for part in parts:
        np.testing.assert_array_equal(part.whole_wavelengths, finished.whole_wavelengths)
    # Where it lies is that of its first line.
    assert parts[0].georeference == finished.georeference
    assert parts[1].georeference is None


def test_what_cannot_grow_by_lines_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataInvalid, match="expected bil or bip, got bsq"):
        GrowingScene(_start(tmp_path, "interleave = bsq\n"))
    np.savez(tmp_path / "cube.npz", cube=np.zeros((1, 1, 1)))
    with pytest.raises(DataInvalid, match="expected an ENVI image, to which lines can be appended, got npz"):
        GrowingScene(tmp_path / "cube.npz")
    with pytest.raises(FileMissing):
        GrowingScene(tmp_path / "no.hdr")
    (tmp_path / "none.hdr").write_text("ENVI\nsamples = 0\nbands = 3\ndata type = 4\ninterleave = bip\n")
    (tmp_path / "none.img").write_bytes(b"")
    with pytest.raises(DataInvalid, match="expected samples and bands above 0"):
        GrowingScene(tmp_path / "none.hdr")
