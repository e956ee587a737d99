"""Files that people have reported elsewhere as unreadable, or read wrongly: each is read right, or refused in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import tifffile

from swath.errors import DataInvalid
from swath.scenes import Options, Scene, read_scenes

CUBE = (1000 * np.arange(4)[:, None, None] + 100 * np.arange(5)[None, :, None] + np.arange(6)[None, None, :]).astype(
    np.uint16
)
NM = [450.0, 500.0, 550.0, 650.0, 800.0, 900.0]
HEADER = (
    "ENVI\nsamples = 5\nlines = 4\nbands = 6\nheader offset = 0\ndata type = 12\ninterleave = bip\nbyte order = 0\n"
)
WAVELENGTHS = "wavelength units = nm\nwavelength = {450, 500, 550, 650, 800, 900}\n"


def _one(path: Path, **options: Any) -> Scene:
    [scene] = read_scenes(path, Options(**options))
    return scene


def _pair(folder: Path, header: str, image: bytes = CUBE.tobytes(), suffix: str = ".img") -> Path:
    (folder / f"scene{suffix}").write_bytes(image)
    place = folder / "scene.hdr"
    place.write_text(header)
    return place


@pytest.mark.parametrize(
    "more",
    [
        "; made by hand\ndescription =\nwavelength units =\nwavelength = {450, 500,\n 550, 650, 800, 900}\n",
        "Wavelength Units = nm\nWavelength = { \n450,\n500,\n550,\n650,\n800,\n900 \n}\n",
        "wavelengths = {450, 500, 550, 650, 800, 900}\n",
        "wavelength units = Nanometers (nm)\nwavelength = {450, 500, 550, 650, 800, 900}\n",
        "z plot titles = {Wavelength (nm), Value}\nsensor type = {a = b}\nband names = {a, b (1,2), c, d, e, f}\n"
        + WAVELENGTHS,
    ],
    ids=["empty values and comments", "lists over lines", "another key", "a unit said twice", "lists that say more"],
)
def test_headers_as_other_programs_write_them(tmp_path: Path, more: str) -> None:
    scene = _one(_pair(tmp_path, HEADER + more))
    np.testing.assert_array_equal(scene.values(), CUBE.astype(np.float32))
    np.testing.assert_array_equal(scene.wavelengths, NM)


def test_a_list_in_square_brackets_is_refused_with_what_to_do(tmp_path: Path) -> None:
    header = _pair(tmp_path, HEADER + "wavelength = [ 450 500 550 650 800 900 ]\n")
    with pytest.raises(
        DataInvalid, match=r"scene.hdr: wavelengths: expected numbers, got .*--wavelengths of swath infer"
    ):
        _one(header)
    np.testing.assert_array_equal(_one(header, wavelengths=NM).wavelengths, NM)


def test_an_image_of_pci_begins_after_its_own_header(tmp_path: Path) -> None:
    header = HEADER.replace("offset = 0", "offset = 82432").replace("order = 0", "order  = 1") + "file type   = PCI\n"
    (tmp_path / "flight.sl.rY_g.pix.hdr").write_text(header + WAVELENGTHS)
    (tmp_path / "flight.sl.rY_g.pix").write_bytes(bytes(82432) + CUBE.astype(">u2").tobytes())
    for name in ("flight.sl.rY_g.pix.hdr", "flight.sl.rY_g.pix"):
        np.testing.assert_array_equal(_one(tmp_path / name).values(), CUBE.astype(np.float32))


def test_bad_bands_may_be_written_as_fractions(tmp_path: Path) -> None:
    scene = _one(_pair(tmp_path, HEADER + WAVELENGTHS + "bbl = {1.0, 1.0, 1.000000, 0.0,\n 1.0 , 1}\n"))
    assert scene.bad_bands is not None
    assert scene.bad_bands.tolist() == [False, False, False, True, False, False]


@pytest.mark.parametrize("written", ["-3.40282346638528860e+38", "nan", "-9999.9"])
def test_an_ignore_value_is_that_of_the_image_s_own_precision(tmp_path: Path, written: str) -> None:
    cube = CUBE.astype(np.float32)
    cube[1, 2] = np.float32(written)
    header = HEADER.replace("data type = 12", "data type = 4") + WAVELENGTHS + f"data ignore value = {written}\n"
    scene = _one(_pair(tmp_path, header, cube.tobytes()))
    expected = CUBE.astype(np.float32)
    expected[1, 2] = np.nan
    np.testing.assert_array_equal(scene.values(), expected)


@pytest.mark.parametrize("magic", [b"II*\0", b"\xff\xd8\xff\xe0", b"\x89HDF", b"PK\3\4"])
def test_an_image_that_begins_like_another_kind_of_file_is_read_by_its_header(tmp_path: Path, magic: bytes) -> None:
    image = magic + CUBE.tobytes()[4:]
    _pair(tmp_path, HEADER + WAVELENGTHS, image, ".bsq")
    expected = np.frombuffer(image, np.uint16).reshape(CUBE.shape)
    np.testing.assert_array_equal(_one(tmp_path / "scene.bsq").cube, expected)


def test_an_image_of_more_than_four_gigabytes_is_read_to_its_end(tmp_path: Path) -> None:
    header = _pair(tmp_path, "ENVI\nsamples = 30000\nlines = 20000\nbands = 4\ndata type = 12\ninterleave = bip\n", b"")
    size = 30_000 * 20_000 * 4 * 2
    with (tmp_path / "scene.img").open("r+b") as image:
        image.truncate(size)  # which takes no room on the disk
        image.seek(size - 2)
        image.write(b"\x07\x00")
    assert _one(header).cube[-1, -1].tolist() == [0, 0, 0, 7]


def test_a_spectral_library_is_no_scene(tmp_path: Path) -> None:
    header = HEADER.replace("ENVI\n", "ENVI\nfile type = ENVI Spectral Library\n")
    with pytest.raises(DataInvalid, match="expected an image, got a spectral library"):
        _one(_pair(tmp_path, header, suffix=".sli"))


def test_scales_and_offsets_that_differ_by_band_are_applied_to_theirs(tmp_path: Path) -> None:
    scales, offsets = [0.001, 0.001, 0.002, 0.001, 0.001, 1.0], [0.0, 0.0, 0.0, -0.1, 0.0, 0.0]
    items = "".join(
        f'<Item name="SCALE" sample="{band}" role="scale">{scale}</Item>'
        f'<Item name="OFFSET" sample="{band}" role="offset">{offset}</Item>'
        for band, (scale, offset) in enumerate(zip(scales, offsets, strict=True))
    )
    tags = [(42112, "s", 0, f"<GDALMetadata>{items}</GDALMetadata>\n", True)]
    tifffile.imwrite(
        tmp_path / "a.tif", CUBE.transpose(2, 0, 1), planarconfig="separate", photometric="minisblack", extratags=tags
    )
    expected = (CUBE.astype(np.float64) * scales + offsets).astype(np.float32)
    np.testing.assert_array_equal(_one(tmp_path / "a.tif").values(), expected)


def test_of_the_cubes_of_a_product_one_is_chosen_by_its_path(tmp_path: Path) -> None:
    folder = "HDFEOS/SWATHS/PRS_L1_HCO/Data Fields"
    with h5py.File(tmp_path / "product.he5", "w") as product:
        product[f"{folder}/VNIR_Cube"] = CUBE.transpose(0, 2, 1)  # bands in the middle
        product[f"{folder}/SWIR_Cube"] = CUBE.transpose(0, 2, 1)[:, :3]
    with pytest.raises(DataInvalid, match=r"SWIR_Cube \[4, 3, 5\].*VNIR_Cube \[4, 6, 5\]; choose one by cube_key"):
        _one(tmp_path / "product.he5")
    scene = _one(tmp_path / "product.he5", cube_key=f"{folder}/VNIR_Cube", cube_axes="HCW", wavelengths=NM)
    np.testing.assert_array_equal(scene.cube, CUBE)


def test_a_struct_of_matlab_is_looked_into(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "a.mat", {"scene": {"cube": CUBE, "camera": {"wavelength": NM}, "name": "field"}})
    for options in ({}, {"cube_key": "scene/cube", "wavelengths_key": "scene/camera/wavelength"}):
        scene = _one(tmp_path / "a.mat", **options)
        np.testing.assert_array_equal(scene.cube, CUBE)
        np.testing.assert_array_equal(scene.wavelengths, NM)
