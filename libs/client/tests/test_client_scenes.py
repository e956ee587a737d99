"""Scenes from files and results into files."""

import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import tifffile
from spectral.io import envi

from swath.client import MissingPackageError, SceneError, read_scenes
from swath.client.data.pictures import false_colour
from swath.client.data.results import write_results

CUBE = np.arange(4 * 5 * 6, dtype=np.uint16).reshape(4, 5, 6)
NM = np.linspace(400, 900, 6, dtype=np.float32)
MASK = (np.arange(20).reshape(4, 5) == 7).astype(np.uint8)


def test_npz_gives_cube_wavelengths_and_mask(tmp_path: Path) -> None:
    np.savez(tmp_path / "scene.npz", cube=CUBE, wavelengths=NM, mask=MASK)
    [scene] = read_scenes(tmp_path / "scene.npz")
    np.testing.assert_array_equal(scene.cube, CUBE)
    np.testing.assert_array_equal(scene.wavelengths, NM)
    np.testing.assert_array_equal(scene.mask, MASK)
    assert scene.inputs()["cube"].shape == (1, 4, 5, 6)


def test_mat_cube_is_found_by_shape_where_its_name_says_nothing(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "scene.mat", {"sandiego": CUBE, "map": MASK})
    [scene] = read_scenes(tmp_path / "scene.mat")
    np.testing.assert_array_equal(scene.cube, CUBE)
    np.testing.assert_array_equal(scene.mask, MASK)


def test_tiff_with_one_page_a_band_is_turned_round(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "scene.tif", np.moveaxis(CUBE, -1, 0), photometric="minisblack")
    [scene] = read_scenes(tmp_path / "scene.tif")
    np.testing.assert_array_equal(scene.cube, CUBE)


@pytest.mark.parametrize("named", ["scene.hdr", "scene.img"])
@pytest.mark.parametrize(("unit", "factor"), [("nm", 1.0), ("Micrometers", 1e-3)])
def test_envi_is_read_by_header_or_data_file(tmp_path: Path, named: str, unit: str, factor: float) -> None:
    metadata = {"wavelength": [str(nm * factor) for nm in NM], "wavelength units": unit}
    envi.save_image(str(tmp_path / "scene.hdr"), CUBE, metadata=metadata, interleave="bsq")
    [scene] = read_scenes(tmp_path / named)
    assert scene.cube.dtype == np.uint16
    np.testing.assert_array_equal(scene.cube, CUBE)
    np.testing.assert_allclose(scene.wavelengths, NM, rtol=1e-6)  # type: ignore[arg-type]


def test_stack_of_frames_comes_one_by_one(tmp_path: Path) -> None:
    np.savez(tmp_path / "stack.npz", cube=np.stack([CUBE, CUBE + 1]))
    names = [scene.name for scene in read_scenes(tmp_path / "stack.npz")]
    assert names == ["stack_0000", "stack_0001"]


def test_cu3s_without_the_sdk_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "scene.cu3s").touch()
    with pytest.raises(MissingPackageError, match="SDK 'cuvis'"):
        list(read_scenes(tmp_path / "scene.cu3s"))


def test_a_package_that_is_not_installed_is_named_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scipy.io.savemat(tmp_path / "scene.mat", {"cube": CUBE})
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    monkeypatch.setitem(sys.modules, "matplotlib.image", None)
    with pytest.raises(
        MissingPackageError, match=r"scene.mat is a MAT file and needs the package scipy, .* 'swath-scenes\[mat\]'"
    ):
        list(read_scenes(tmp_path / "scene.mat"))
    with pytest.raises(MissingPackageError, match=r"writing map.png needs matplotlib, .* pip install 'swath\[plots\]'"):
        write_results(tmp_path / "map.png", {"rx.scores": np.ones((1, 4, 5, 1), np.float32)})
    assert not (tmp_path / "map.png").exists()


@pytest.mark.parametrize("name", ["missing.npz", "missing.hdr"])
def test_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(SceneError, match=name):
        list(read_scenes(tmp_path / name))


def test_file_without_a_cube_says_what_it_holds(tmp_path: Path) -> None:
    np.savez(tmp_path / "flat.npz", weights=np.ones(3))
    with pytest.raises(SceneError, match=r"weights \[3\]"):
        list(read_scenes(tmp_path / "flat.npz"))


def test_broken_and_unknown_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.npz").write_bytes(b"PK no zip")
    (tmp_path / "scene.xyz").touch()
    for name in ("broken.npz", "scene.xyz"):
        with pytest.raises(SceneError, match=name):
            list(read_scenes(tmp_path / name))


def test_results_as_npz_png_and_envi(tmp_path: Path) -> None:
    outputs: dict[str, np.ndarray[Any, Any]] = {"rx.scores": np.random.default_rng(0).random((1, 4, 5, 1))}
    for suffix in (".npz", ".png", ".hdr"):
        [written] = write_results(tmp_path / f"out{suffix}", outputs)
        assert written.stat().st_size > 0
    [scene] = read_scenes(tmp_path / "out.hdr")
    np.testing.assert_allclose(scene.cube, outputs["rx.scores"][0])


def test_several_images_get_a_file_each(tmp_path: Path) -> None:
    image = np.zeros((1, 4, 5, 1), bool)
    written = write_results(tmp_path / "out.png", {"a.x": image, "b.x": image, "c.vector": np.zeros(3)})
    assert [path.name for path in written] == ["out.a.x.png", "out.b.x.png"]


def test_results_of_an_unknown_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match=r"\.npz"):
        write_results(tmp_path / "out.jpg", {})


def test_false_colour_takes_the_bands_by_wavelength() -> None:
    cube = np.random.default_rng(0).random((8, 8, 6), dtype=np.float32)
    picture = false_colour(cube, [460, 500, 550, 600, 640, 700], stretch=(0, 100))
    assert picture.shape == (8, 8, 3)
    assert picture[..., 0].argmax() == cube[..., 4].argmax()
    assert picture[..., 2].argmax() == cube[..., 0].argmax()


def test_a_file_that_claims_more_than_fits_into_memory_is_refused(tmp_path: Path) -> None:
    header = {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**6, 100)}
    with (
        zipfile.ZipFile(tmp_path / "huge.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("cube.npy", "w") as file,
    ):
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(SceneError, match=r"fit into memory|not a readable npz file"):
        list(read_scenes(tmp_path / "huge.npz"))
