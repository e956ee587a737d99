"""Readers give the same scene from every format, and say what is wrong with a file that is not one."""

from __future__ import annotations

import pickle
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile
from scipy.io import savemat
from spectral.io import envi

from swath.errors import DataInvalid, DependencyMissing, FileMissing
from swath.scenes import Options, Recording, Scene, read_plane, read_scene

NANOMETRES = [450.4, 550.6, 650.0]


def write_envi(folder: Path, cube: np.ndarray, *, name: str = "scene", **options: Any) -> Path:
    header = folder / f"{name}.hdr"
    metadata = {"wavelength": NANOMETRES, "wavelength units": "Nanometers", **options.pop("metadata", {})}
    envi.save_image(str(header), cube, metadata=metadata, ext=".img", force=True, **options)
    return header


def edit(header: Path, old: str, new: str) -> Path:
    text = header.read_text()
    assert old in text
    header.write_text(text.replace(old, new))
    return header


def mapped(array: np.ndarray | None) -> bool:
    while array is not None:
        if isinstance(array, np.memmap):
            return True
        array = array.base if isinstance(array.base, np.ndarray) else None
    return False


# --- what every format gives ---


def stored_npz(folder: Path, cube: np.ndarray) -> Path:
    np.savez(folder / "scene.npz", cube=cube, wavelengths=np.array(NANOMETRES))
    return folder / "scene.npz"


def packed_npz(folder: Path, cube: np.ndarray) -> Path:
    np.savez_compressed(folder / "scene.npz", cube=cube, wavelengths=np.array(NANOMETRES))
    return folder / "scene.npz"


def mat(folder: Path, cube: np.ndarray) -> Path:
    savemat(folder / "scene.mat", {"data": cube, "wavelength": np.array(NANOMETRES)})
    return folder / "scene.mat"


def tiff(folder: Path, cube: np.ndarray) -> Path:
    return write_tiff(folder / "scene.tif", np.moveaxis(cube, -1, 0))


def tiff_bands_last(folder: Path, cube: np.ndarray) -> Path:
    return write_tiff(folder / "scene.tiff", cube, photometric="minisblack", planarconfig="contig", compression="zlib")


def write_tiff(path: Path, stored: np.ndarray, **options: Any) -> Path:
    listed = ", ".join(str(wavelength) for wavelength in NANOMETRES)
    gdal = f'<GDALMetadata>\n<Item name="wavelength">{{{listed}}}</Item>\n</GDALMetadata>'
    tifffile.imwrite(path, stored, extratags=[(42112, 2, 0, gdal, True)], **{"photometric": "minisblack", **options})
    return path


@pytest.mark.parametrize("write", [stored_npz, packed_npz, mat, tiff, tiff_bands_last, write_envi])
def test_every_format_gives_the_same_scene(
    tmp_path: Path, small_cube: np.ndarray, write: Callable[[Path, np.ndarray], Path]
) -> None:
    scene = read_scene(write(tmp_path, small_cube))

    assert scene.cube.dtype.newbyteorder("=") == np.uint16
    assert np.array_equal(scene.cube, small_cube)
    assert scene.wavelengths is not None
    assert scene.wavelengths.tolist() == NANOMETRES
    assert scene.mask is None


@pytest.mark.parametrize("write", [stored_npz, tiff, write_envi])
def test_what_is_stored_as_it_is_stays_on_the_disk(
    tmp_path: Path, small_cube: np.ndarray, write: Callable[[Path, np.ndarray], Path]
) -> None:
    assert mapped(read_scene(write(tmp_path, small_cube)).cube)


def test_a_crop_is_a_new_array_of_float32(tmp_path: Path, small_cube: np.ndarray) -> None:
    scene = read_scene(write_envi(tmp_path, small_cube, interleave="bsq"))

    crop = scene.crop((1, 3, 2, 6))

    assert (crop.dtype, crop.flags.c_contiguous, crop.flags.writeable) == (np.float32, True, True)
    assert np.array_equal(crop, small_cube[1:3, 2:6])


@pytest.mark.parametrize("suffix", [".npz", ".mat", ".tif", ".hdr", ".h5", ".zarr", ".cu3s"])
def test_a_file_that_is_not_there_is_missing(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(FileMissing, match="'none"):
        read_scene(tmp_path / f"none{suffix}")


@pytest.mark.parametrize("suffix", [".npz", ".mat", ".tif", ".hdr", ".h5"])
@pytest.mark.parametrize("content", [b"", b"\x89rubbish\x00\xff" * 40], ids=["empty", "rubbish"])
def test_a_file_that_is_not_what_its_suffix_says_is_invalid(tmp_path: Path, suffix: str, content: bytes) -> None:
    (tmp_path / f"bad{suffix}").write_bytes(content)
    (tmp_path / "bad.img").write_bytes(content)

    with pytest.raises(DataInvalid, match=rf"^bad\{suffix}: not a readable "):
        read_scene(tmp_path / f"bad{suffix}")


# --- npz ---


def test_pickled_arrays_are_refused_unread(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path(tmp_path / "exploded").touch, ())

    np.savez(tmp_path / "scene.npz", cube=np.array([Bomb()], dtype=object))

    with pytest.raises(DataInvalid, match=r"^scene\.npz: cube: expected an array of numbers, got pickled objects"):
        read_scene(tmp_path / "scene.npz")
    assert not (tmp_path / "exploded").exists()


def test_a_pickle_named_npz_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "scene.npz").write_bytes(pickle.dumps({"cube": 1}))

    with pytest.raises(DataInvalid, match="not a readable npz file"):
        read_scene(tmp_path / "scene.npz")


def test_a_stored_array_shorter_than_its_header_says_is_invalid(tmp_path: Path, small_cube: np.ndarray) -> None:
    np.save(tmp_path / "cube.npy", small_cube)
    with zipfile.ZipFile(tmp_path / "scene.npz", "w") as archive:
        archive.writestr("cube.npy", (tmp_path / "cube.npy").read_bytes()[:-10])

    with pytest.raises(DataInvalid, match=r"scene\.npz: cube: expected 144 bytes for \[4, 6, 3\], got 134"):
        read_scene(tmp_path / "scene.npz")


@pytest.mark.parametrize("order", ["C", "F"])
def test_both_memory_orders_are_read(tmp_path: Path, small_cube: np.ndarray, order: Any) -> None:
    np.savez(tmp_path / "scene.npz", cube=np.asarray(small_cube, order=order))

    assert np.array_equal(read_scene(tmp_path / "scene.npz").cube, small_cube)


def test_the_only_3d_array_is_the_cube(tmp_path: Path, small_cube: np.ndarray) -> None:
    np.savez(tmp_path / "scene.npz", pines=small_cube, gt=np.zeros((4, 6)))

    assert read_scene(tmp_path / "scene.npz").cube.shape == (4, 6, 3)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.zeros((2, 2, 2)), "b": np.zeros((2, 2, 2))}, r"several arrays could be the cube: a \[2, 2, 2\], b"),
        ({"cube": np.zeros((4, 6))}, r"cube: expected \[rows, columns, bands\], got shape \[4, 6\]"),
        ({"cube": np.zeros((0, 6, 3))}, r"got shape \[0, 6, 3\]"),
        ({"cube": np.zeros((2, 2, 2), complex)}, "cube: expected real numbers, got complex128"),
        ({"cube": np.zeros((4, 6, 3)), "mask": np.zeros((4, 5))}, r"mask: expected the cube's \[4, 6\], got 'mask' "),
        ({"cube": np.zeros((4, 6, 3)), "mask": np.full((4, 6), 0.5)}, "mask: expected whole numbers, got fractions"),
        ({"cube": np.zeros((4, 6, 3)), "mask": np.full((4, 6), np.nan)}, "mask: expected -2147483648 to"),
        ({"cube": np.zeros((4, 6, 3)), "class_mask": np.full((4, 6), 256)}, "class_mask: expected 0 to 255, got 256"),
        ({"cube": np.zeros((4, 6, 3)), "wavelengths": np.ones(4)}, "wavelengths: expected one for each of 3 bands"),
        ({"cube": np.zeros((4, 6, 3)), "wavelengths": np.zeros(3)}, "wavelengths: expected positive numbers, got 0 "),
        ({"cube": np.zeros((4, 6, 3)), "wavelengths": np.array(["red"] * 3)}, "wavelengths: expected numbers"),
    ],
)
def test_parts_that_do_not_fit_are_named(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    np.savez(tmp_path / "scene.npz", **arrays)  # pyright: ignore[reportArgumentType]

    with pytest.raises(DataInvalid, match=rf"^scene\.npz: .*{message}"):
        read_scene(tmp_path / "scene.npz")


# --- ENVI ---


@pytest.mark.parametrize("interleave", ["bip", "bil", "bsq"])
@pytest.mark.parametrize("byte_order", [0, 1])
def test_envi_interleaves_and_byte_orders(
    tmp_path: Path, small_cube: np.ndarray, interleave: str, byte_order: int
) -> None:
    header = write_envi(tmp_path, small_cube, interleave=interleave, byteorder=byte_order)

    assert np.array_equal(read_scene(header).crop(), small_cube)


def test_an_envi_scene_is_found_from_either_file(tmp_path: Path, small_cube: np.ndarray) -> None:
    write_envi(tmp_path, small_cube)
    (tmp_path / "scene.img").rename(tmp_path / "scene")
    (tmp_path / "other.dat").write_bytes((tmp_path / "scene").read_bytes())
    (tmp_path / "other.dat.hdr").write_bytes((tmp_path / "scene.hdr").read_bytes())

    for name in ("scene", "scene.hdr", "other.dat", "other.dat.hdr"):
        assert np.array_equal(read_scene(tmp_path / name).cube, small_cube)


def test_an_envi_header_offset_is_skipped(tmp_path: Path, small_cube: np.ndarray) -> None:
    header = edit(write_envi(tmp_path, small_cube), "header offset = 0", "header offset = 7")
    image = tmp_path / "scene.img"
    image.write_bytes(b"_______" + image.read_bytes())

    assert np.array_equal(read_scene(header).cube, small_cube)


def test_the_reflectance_scale_factor_divides(tmp_path: Path, small_cube: np.ndarray) -> None:
    header = write_envi(tmp_path, small_cube, metadata={"reflectance scale factor": 100})

    scene = read_scene(header)

    assert np.array_equal(scene.crop(), (small_cube / 100).astype(np.float32))
    assert np.array_equal(read_scene(header, Options(scale=1)).crop(), small_cube)


@pytest.mark.parametrize(
    ("unit", "wavelengths", "nanometres"),
    [
        ("Nanometers", [450.4, 550.6, 650.0], [450.4, 550.6, 650.0]),
        ("Micrometers", [0.4504, 0.5506, 0.65], [450.4, 550.6, 650.0]),
        ("Unknown", [450.4, 550.6, 650.0], [450.4, 550.6, 650.0]),
        ("Wavenumber", [20000, 10000, 5000], [500, 1000, 2000]),
    ],
)
def test_envi_wavelengths_are_turned_into_nm(
    tmp_path: Path, small_cube: np.ndarray, unit: str, wavelengths: list[float], nanometres: list[float]
) -> None:
    metadata = {"wavelength units": unit, "wavelength": wavelengths}

    scene = read_scene(write_envi(tmp_path, small_cube, metadata=metadata))

    assert scene.wavelengths is not None
    assert scene.wavelengths.tolist() == pytest.approx(nanometres)


def test_band_numbers_are_no_wavelengths(tmp_path: Path, small_cube: np.ndarray) -> None:
    metadata = {"wavelength units": "Index", "wavelength": [1, 2, 3]}

    assert read_scene(write_envi(tmp_path, small_cube, metadata=metadata)).wavelengths is None


def test_upper_case_field_names_are_read_without_a_warning(tmp_path: Path, small_cube: np.ndarray) -> None:
    header = edit(write_envi(tmp_path, small_cube), "data type", "Data Type")

    assert np.array_equal(read_scene(header).cube, small_cube)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("lines = 4", "lines = 5", r"lines 5, samples 6, bands 3 .* expected 180 bytes in 'scene\.img', got 144"),
        ("lines = 4", "lines = four", "lines: expected a whole number >= 0, got 'four'"),
        ("lines = 4", "rows = 4", "the header has no field 'lines'; it has bands, byte order"),
        ("data type = 12", "data type = 6", "data type: expected one of .*, got 6"),
        ("byte order = 0", "byte order = 2", r"byte order: expected 0 \(little\) or 1 \(big\), got 2"),
        ("interleave = bip", "interleave = bap", "interleave: expected bip, bil or bsq, got 'bap'"),
        ("units = Nanometers", "units = Furlongs", "wavelength units: expected one of nm, um, .* got 'Furlongs'"),
        ("ENVI\n", "IDL\n", "not a readable ENVI header"),
        ("650.0 }", "650.0", "not a readable ENVI header"),
        ("lines = 4", "lines = 4\nreflectance scale factor = 0", "scale factor: expected a number > 0, got '0'"),
    ],
)
def test_wrong_envi_fields_are_named(tmp_path: Path, small_cube: np.ndarray, old: str, new: str, message: str) -> None:
    header = edit(write_envi(tmp_path, small_cube, interleave="bip"), old, new)

    with pytest.raises(DataInvalid, match=rf"^scene\.hdr: .*{message}"):
        read_scene(header)


@pytest.mark.parametrize(
    ("gone", "asked", "message"),
    [
        ("scene.img", "scene.hdr", r"the image of ENVI header 'scene\.hdr' does not exist; tried scene alone "),
        ("scene.hdr", "scene.img", r"the ENVI header of 'scene\.img' does not exist; tried scene\.hdr, scene\.img"),
    ],
)
def test_an_envi_half_that_is_not_there_is_missing(
    tmp_path: Path, small_cube: np.ndarray, gone: str, asked: str, message: str
) -> None:
    write_envi(tmp_path, small_cube)
    (tmp_path / gone).unlink()

    with pytest.raises(FileMissing, match=message):
        read_scene(tmp_path / asked)


# --- MAT ---


def test_mat_variables_by_name(tmp_path: Path, small_cube: np.ndarray) -> None:
    savemat(tmp_path / "scene.mat", {"hsi": small_cube, "other": small_cube + 1, "gt": np.eye(4, 6)})

    scene = read_scene(tmp_path / "scene.mat", Options(cube_key="hsi", mask_key="gt"))

    assert np.array_equal(scene.cube, small_cube)
    assert scene.mask is not None
    assert (scene.mask.dtype, int(scene.mask.sum())) == (np.int32, 4)


def test_mat_7_3_without_h5py_says_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    (tmp_path / "scene.mat").write_bytes(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512))

    with pytest.raises(DependencyMissing, match=r"scene\.mat is a MAT 7\.3 file and needs the package h5py"):
        read_scene(tmp_path / "scene.mat")


def write_mat73(path: Path, fill: Callable[[Any], None]) -> Path:
    with h5py.File(path, "w", userblock_size=512) as file:
        fill(file)
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512))
    return path


def test_mat_7_3_arrays_are_turned_as_matlab_stores_them(tmp_path: Path, small_cube: np.ndarray) -> None:
    path = write_mat73(tmp_path / "scene.mat", lambda file: file.update({"data": small_cube.T}))

    assert np.array_equal(read_scene(path).cube, small_cube)


def test_mat_7_3_links_to_other_files_are_not_followed(tmp_path: Path, small_cube: np.ndarray) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["data"] = small_cube

    def fill(file: Any) -> None:
        file["data"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/data")
        external = [(str(tmp_path / "secret.h5"), 0, 24)]
        file.create_dataset("raw", (2, 3, 4), np.uint8, external=external)

    with pytest.raises(DataInvalid, match=r"expected a cube \[rows, columns, bands\], got no arrays"):
        read_scene(write_mat73(tmp_path / "scene.mat", fill))


# --- TIFF and masks ---


def test_a_tiff_of_two_axes_is_one_band(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "plane.tif", np.ones((4, 6), np.uint8))

    scene = read_scene(tmp_path / "plane.tif")

    assert (scene.cube.shape, scene.wavelengths) == ((4, 6, 1), None)


def test_a_tiff_of_four_axes_is_no_scene(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "movie.tif", np.ones((2, 3, 4, 6), np.uint8), photometric="minisblack")

    with pytest.raises(DataInvalid, match=r"movie\.tif: expected axes YXS, bands before YX, or YX, got QQYX"):
        read_scene(tmp_path / "movie.tif")


def test_an_ome_tiff_does_not_lead_to_other_files(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "secret.ome.tif", np.full((2, 4, 6), 7, np.uint8), metadata={"axes": "ZYX"})
    with tifffile.TiffFile(tmp_path / "secret.ome.tif") as file:
        description = file.ome_metadata or ""
    uuid = description.split('UUID="')[1].split('"')[0]
    data = f'<TiffData IFD="0" PlaneCount="2"><UUID FileName="secret.ome.tif">{uuid}</UUID></TiffData>'
    start, end = description.index("<TiffData"), description.index("</Pixels>")
    tifffile.imwrite(
        tmp_path / "scene.tif",
        np.zeros((1, 6), np.uint8),
        metadata=None,
        description=(description[:start] + data + description[end:]).replace(uuid, "urn:uuid:0", 1),
    )

    assert read_scene(tmp_path / "scene.tif").cube.max() == 0


@pytest.mark.parametrize("name", ["mask.npz", "mask.mat", "mask.tif", "mask.hdr", "mask.h5"])
def test_masks_are_read_from_every_format(tmp_path: Path, name: str) -> None:
    mask = np.eye(4, 6, dtype=np.uint8)
    np.savez(tmp_path / "mask.npz", mask=mask)
    savemat(tmp_path / "mask.mat", {"map": mask})
    tifffile.imwrite(tmp_path / "mask.tif", mask)
    envi.save_image(str(tmp_path / "mask.hdr"), mask[..., None], ext=".img")
    with h5py.File(tmp_path / "mask.h5", "w") as file:
        file["labels/gt"] = mask

    read = read_plane(tmp_path / name)

    assert read.dtype == np.int32
    assert np.array_equal(read, mask)


def test_a_mask_in_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataInvalid, match=r"mask\.jpg: expected a scene file \(\.hdr.*got suffix '\.jpg'"):
        read_plane(tmp_path / "mask.jpg")


# --- cu3s ---


def test_cu3s_without_the_sdk_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuvis", None)
    (tmp_path / "scene.cu3s").write_bytes(b"recording")

    with pytest.raises(DependencyMissing, match="needs Cubert's proprietary SDK 'cuvis', which is not installed here"):
        read_scene(tmp_path / "scene.cu3s")


def test_a_processing_mode_that_does_not_exist_is_named(tmp_path: Path) -> None:
    (tmp_path / "scene.cu3s").write_bytes(b"recording")

    with pytest.raises(
        DataInvalid, match="expected one of Raw, Reflectance, DarkSubtract, SpectralRadiance, got 'Hot'"
    ):
        Recording(tmp_path / "scene.cu3s", Options(processing_mode="Hot"))


def test_a_scene_says_what_of_it_does_not_fit() -> None:
    with pytest.raises(DataInvalid, match=r"^here: wavelengths: expected one for each of 3 bands, got 2$"):
        Scene("here", np.zeros((2, 2, 3)), wavelengths=np.ones(2))
