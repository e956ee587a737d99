"""Small scenes as people have them, each with what is right for it.

The cube is the same in all: 4 lines, 5 samples, 6 bands; value = 1000 line + 100 sample + band, as uint16, bands at
450, 500, 550, 650, 800 and 900 nm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tifffile
import zarr
from scipy.io import savemat

LINE, SAMPLE, BAND = np.meshgrid(np.arange(4), np.arange(5), np.arange(6), indexing="ij")
CUBE = (1000 * LINE + 100 * SAMPLE + BAND).astype("<u2")
NM = [450, 500, 550, 650, 800, 900]
UM = [nm / 1000 for nm in NM]
VALUES = CUBE.astype(np.float32)
REFLECTANCE = (CUBE / 10000).astype(np.float32)

ONE_HOLE = VALUES.copy()
ONE_HOLE[1, 2] = np.nan
CORNER_HOLE = VALUES.copy()
CORNER_HOLE[0, 0] = np.nan

Write = Callable[[Path], str]


@dataclass(frozen=True)
class Case:
    """One file.

    Attributes:
        name: What is particular about it.
        write: Writes it into a folder and returns its name.
        values: What both sides read, NaN where invalid.
        nm: Wavelengths in whole nm, None where there are none.
        options: What is said to both sides, by the names of a training's parameters.
        refused: Pattern of both sides' error, for files that neither takes.
        mask: Sum of the mask, None where there is none.
    """

    name: str
    write: Write
    values: np.ndarray = field(default_factory=lambda: VALUES)
    nm: list[int] | None = field(default_factory=lambda: list(NM))
    options: dict[str, Any] = field(default_factory=dict)
    refused: str = ""
    mask: int | None = None

    def __str__(self) -> str:
        return self.name


FIELDS = {
    "samples": 5,
    "lines": 4,
    "bands": 6,
    "header offset": 0,
    "data type": 12,
    "interleave": "bsq",
    "byte order": 0,
    "wavelength units": "Nanometers",
    "wavelength": "{450, 500, 550, 650, 800, 900}",
}
_AXES = {"bip": (0, 1, 2), "bil": (0, 2, 1), "bsq": (2, 0, 1)}


def raw(cube: np.ndarray = CUBE, interleave: str = "bsq") -> bytes:
    """The bytes of an image."""
    return np.ascontiguousarray(cube.transpose(_AXES[interleave])).tobytes()


def envi(
    data: bytes | None = None,
    *,
    names: tuple[str, str] = ("scene.hdr", "scene.img"),
    given: int = 0,
    drop: tuple[str, ...] = (),
    edit: Callable[[bytes], bytes] = bytes,
    **changes: Any,
) -> Write:
    """An ENVI pair.

    Args:
        data: Bytes of the image.
        names: Header and image.
        given: Which of the two is read.
        drop: Fields that the header lacks.
        edit: Changes the header's bytes.
        changes: Fields of the header, with ``_`` for blanks.
    """

    def write(folder: Path) -> str:
        fields = FIELDS | {key.replace("_", " "): value for key, value in changes.items()}
        lines = [f"{key} = {value}\n" for key, value in fields.items() if key not in drop]
        (folder / names[0]).write_bytes(edit("".join(["ENVI\n", *lines]).encode()))
        (folder / names[1]).write_bytes(raw() if data is None else data)
        return names[given]

    return write


def npz(**arrays: Any) -> Write:
    """An npz file."""

    def write(folder: Path) -> str:
        np.savez(folder / "scene.npz", **arrays)
        return "scene.npz"

    return write


def mat(**arrays: Any) -> Write:
    """A MAT file of version 5."""

    def write(folder: Path) -> str:
        savemat(folder / "scene.mat", arrays)
        return "scene.mat"

    return write


def mat73(**arrays: np.ndarray) -> Write:
    """A MAT file of version 7.3: HDF5 with the axes the other way round."""

    def write(folder: Path) -> str:
        with h5py.File(folder / "scene.mat", "w", userblock_size=512) as file:
            for name, array in arrays.items():
                file[name] = array.T
                file[name].attrs["MATLAB_class"] = np.bytes_(array.dtype.name)
        with (folder / "scene.mat").open("r+b") as stream:
            stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
        return "scene.mat"

    return write


def hdf5(fill: Callable[[Any], None], suffix: str = ".h5") -> Write:
    """An HDF5 file."""

    def write(folder: Path) -> str:
        with h5py.File(folder / f"scene{suffix}", "w") as file:
            fill(file)
        return f"scene{suffix}"

    return write


def grouped(
    unit: str | None = "nm", wavelengths: Any = NM, cube: np.ndarray = CUBE, **attributes: Any
) -> Callable[[Any], None]:
    """The cube and its wavelengths in a folder, with attributes."""

    def fill(file: Any) -> None:
        file.create_dataset("scene/reflectance", data=cube).attrs.update(attributes)
        listed = file.create_dataset("scene/wavelength", data=np.array(wavelengths, float))
        if unit is not None:
            listed.attrs["units"] = unit

    return fill


def zarred(unit: str = "nm", wavelengths: Any = NM) -> Write:
    """A zarr folder with the cube and its wavelengths in a group."""

    def write(folder: Path) -> str:
        group = zarr.open_group(str(folder / "scene.zarr"), mode="w").create_group("scene")
        group.create_array("cube", data=CUBE)
        group.create_array("wavelengths", data=np.array(wavelengths, float)).attrs["units"] = unit
        return "scene.zarr"

    return write


def gdal(items: str = "", *, cube: np.ndarray = CUBE, nodata: str = "", **options: Any) -> Write:
    """A GeoTIFF as GDAL writes it."""

    def write(folder: Path) -> str:
        tags = [(42112, "s", 0, f"<GDALMetadata>\n{items}</GDALMetadata>\n", True)] if items else []
        tags += [(42113, "s", 0, nodata, True)] if nodata else []
        stored = cube.transpose(2, 0, 1)
        settings = {"photometric": "minisblack", "planarconfig": "separate", "metadata": None, **options}
        tifffile.imwrite(folder / "scene.tif", stored, extratags=tags, **settings)
        return "scene.tif"

    return write


def items(name: str, values: list[Any], unit: str = "") -> str:
    """Items of each band."""
    lines = [f'  <Item name="{name}" sample="{band}">{value}</Item>\n' for band, value in enumerate(values)]
    if unit:
        lines += [f'  <Item name="{name}_units" sample="{band}">{unit}</Item>\n' for band in range(len(values))]
    return "".join(lines)


def _holes() -> np.ndarray:
    holes = CUBE.astype("<i2")
    holes[1, 2] = -9999
    return holes


def _nan() -> np.ndarray:
    cube = CUBE.astype("<f4")
    cube[0, 0, 0] = np.nan
    return cube


_ASKED = r"have no unit and are too small for nm.*data\.params\.wavelength_units.*--wavelength-units"
_BANDS_WL = {"wavelengths": NM}

ENVI = [
    Case("envi", envi()),
    Case("envi by its image", envi(given=1)),
    Case("envi scale factor", envi(reflectance_scale_factor="10000.0"), REFLECTANCE),
    Case("envi scale overridden", envi(reflectance_scale_factor=7), REFLECTANCE, options={"scale": 1e-4}),
    Case("envi Bil", envi(raw(interleave="bil"), interleave="Bil")),
    Case("envi BIP", envi(raw(interleave="bip"), interleave="BIP")),
    Case("envi line", envi(raw(interleave="bil"), interleave="line")),
    Case("envi pixel", envi(raw(interleave="bip"), interleave="pixel")),
    Case("envi band", envi(interleave="band")),
    Case("envi big-endian", envi(raw(CUBE.astype(">u2")), byte_order=1)),
    Case("envi no byte order", envi(drop=("byte order",))),
    Case("envi Angstroms", envi(wavelength="{4500, 5000, 5500, 6500, 8000, 9000}", wavelength_units="Angstroms")),
    Case("envi micrometres", envi(wavelength=f"{{{str(UM)[1:-1]}}}", wavelength_units="Micrometers")),
    Case("envi µm", envi(wavelength=f"{{{str(UM)[1:-1]}}}", wavelength_units="µm")),
    Case(
        "envi wavenumbers",
        envi(
            wavelength="{22222.222, 20000, 18181.818, 15384.615, 12500, 11111.111}",
            wavelength_units="Wavenumber (cm-1)",
        ),
    ),
    Case(
        "envi GHz",
        envi(wavelength="{666205.5, 599584.9, 545077.2, 461219.2, 374740.6, 333102.7}", wavelength_units="GHz"),
    ),
    Case(
        "envi unit said",
        envi(wavelength=f"{{{str(UM)[1:-1]}}}", drop=("wavelength units",)),
        options={"wavelength_units": "um"},
    ),
    Case("envi unit unknown", envi(wavelength=f"{{{str(UM)[1:-1]}}}", wavelength_units="Unknown"), refused=_ASKED),
    Case(
        "envi unit wrong", envi(wavelength=f"{{{str(UM)[1:-1]}}}"), refused=r"0\.45 to 0\.9 nm.*which unit do they have"
    ),
    Case("envi no wavelengths", envi(drop=("wavelength", "wavelength units")), nm=None),
    Case("envi band numbers", envi(wavelength="{1, 2, 3, 4, 5, 6}", wavelength_units="Index"), nm=None),
    Case("envi wavelengths given", envi(drop=("wavelength",)), options=_BANDS_WL),
    Case("envi wavelengths replaced", envi(wavelength="{450, nan, 550}"), options=_BANDS_WL),
    Case(
        "envi nan wavelength",
        envi(wavelength="{450, 500, nan, 650, 800, 900}"),
        refused="expected positive numbers, got nan",
    ),
    Case(
        "envi five wavelengths", envi(wavelength="{450, 500, 550, 650, 800}"), refused="one for each of 6 bands, got 5"
    ),
    Case("envi red", envi(wavelength="{red, 500, 550, 650, 800, 900}"), refused=r"expected numbers, got \['red'"),
    Case(
        "envi underscores",
        envi(
            edit=lambda text: text.replace(b"byte order", b"byte_order").replace(
                b"wavelength units", b"Wavelength_Units"
            )
        ),
    ),
    Case("envi wavelengths by another name", envi(edit=lambda text: text.replace(b"wavelength =", b"Wavelengths ="))),
    Case("envi trailing comma", envi(wavelength="{450, 500, 550, 650, 800, 900,}")),
    Case("envi Latin-1", envi(edit=lambda text: text + "description = {23 °C, Füllstand}\n".encode("latin-1"))),
    Case("envi BOM", envi(edit=lambda text: b"\xef\xbb\xbf" + text)),
    Case("envi UTF-16", envi(edit=lambda text: text.decode().encode("utf-16"))),
    Case("envi CRLF", envi(edit=lambda text: text.replace(b"\n", b"\r\n"))),
    Case("envi comments", envi(edit=lambda text: text.replace(b"ENVI\n", b"ENVI\n; a = comment\n\n"))),
    Case("envi fields in capitals", envi(edit=lambda text: text.replace(b"data type", b"Data  Type"))),
    Case("envi capitals", envi(names=("SCENE.HDR", "SCENE.IMG"))),
    Case("envi capitals by its image", envi(names=("SCENE.HDR", "SCENE.IMG"), given=1)),
    *(
        Case(f"envi {suffix}", envi(names=("scene.hdr", f"scene{suffix}"), given=given))
        for suffix in ("", ".bin", ".hyspex", ".pix", ".ref", ".rdn", ".cub", ".envi", ".odd")
        for given in (0, 1)
    ),
    Case("envi header of the image's name", envi(names=("scene.img.hdr", "scene.img"), given=1)),
    Case("envi more bytes", envi(raw() + bytes(64))),
    Case("envi offset", envi(bytes(7) + raw(), header_offset=7)),
    Case("envi short", envi(raw()[:-10]), refused=r"expected 240 bytes in 'scene\.img', got 230"),
    Case("envi type 7", envi(data_type=7), refused=r"data type: expected one of \[1, 2, .*got 7"),
    Case(
        "envi compressed",
        envi(file_compression=1),
        refused="file compression: expected an image that is not compressed",
    ),
    Case("envi no interleave", envi(drop=("interleave",)), refused="the header has no field 'interleave'"),
    Case("envi list without end", envi(wavelength="{450, 500"), refused="the list of 'wavelength' does not end with }"),
    Case("envi no image", envi(names=("scene.hdr", "other.img")), refused=r"the image of ENVI header 'scene\.hdr'"),
    Case(
        "envi ignore value",
        envi(raw(_holes()), data_type=2, data_ignore_value=-9999, bbl="{1, 1, 0, 1, 1, 1}"),
        ONE_HOLE,
    ),
    Case(
        "envi ignore value scaled",
        envi(raw(_holes()), data_type=2, data_ignore_value=-9999, reflectance_scale_factor=10000),
        np.where(np.isnan(ONE_HOLE), ONE_HOLE, REFLECTANCE),
    ),
    Case("envi impossible ignore value", envi(data_ignore_value=-9999)),
    Case(
        "envi bad bands dropped",
        envi(bbl="{1, 1, 0, 1, 1, 0}"),
        VALUES[..., [0, 1, 3, 4]],
        nm=[450, 500, 650, 800],
        options={"drop_bad_bands": True},
    ),
    Case("envi bbl too short", envi(bbl="{1, 0}"), refused="bbl: expected one for each of 6 bands, got 2"),
    Case("envi nan", envi(raw(_nan()), data_type=4), CORNER_HOLE),
    Case(
        "envi float fill",
        envi(
            raw(np.where(LINE * SAMPLE == 2, -3.4028235e38, CUBE).astype("<f4")[:, :, :]),
            data_type=4,
            data_ignore_value="-3.40282e+38",
        ),
        np.where((LINE * SAMPLE == 2), np.nan, VALUES).astype(np.float32),
    ),
    *(
        Case(f"envi data type {code}", envi(raw(CUBE.astype(kind)), data_type=code))
        for code, kind in {2: "<i2", 3: "<i4", 4: "<f4", 5: "<f8", 12: "<u2", 13: "<u4", 14: "<i8", 15: "<u8"}.items()
    ),
    Case("envi data type 1", envi(raw(BAND.astype("u1")), data_type=1), BAND.astype(np.float32)),
]

ARRAYS = [
    Case("npz", npz(cube=CUBE, wavelengths=NM)),
    Case("npz Data", npz(Data=CUBE, Wavelength=NM)),
    Case("npz signed", npz(cube=CUBE.astype(np.int16), wavelengths=NM)),
    Case("npz double", npz(cube=CUBE / 3, wavelengths=NM), (CUBE / 3).astype(np.float32)),
    Case("npz micrometres without a unit", npz(cube=CUBE, wavelengths=UM), refused=_ASKED),
    Case("npz micrometres", npz(cube=CUBE, wavelengths=UM, wavelength_units="um")),
    Case("npz micrometres said", npz(cube=CUBE, wavelengths=UM), options={"wavelength_units": "Micrometers"}),
    Case("npz gt", npz(cube=CUBE, wavelengths=NM, gt=(CUBE[..., 0] > 2000).astype("u1")), mask=9),
    Case("npz map", npz(cube=CUBE, wavelengths=NM, map=(CUBE[..., 0] > 2000)), mask=9),
    Case("npz mask named", npz(cube=CUBE, wavelengths=NM, odd=np.eye(4, 5)), options={"mask_key": "odd"}, mask=4),
    Case("npz no mask wanted", npz(cube=CUBE, wavelengths=NM, gt=np.eye(5, 4)), options={"mask_key": ""}),
    Case(
        "npz mask of another size",
        npz(cube=CUBE, gt=np.eye(5, 4)),
        refused=r"mask: expected the cube's \[4, 5\], got 'gt'",
    ),
    Case("npz bands first", npz(cube=CUBE.transpose(2, 0, 1), wavelengths=NM), options={"cube_axes": "CHW"}),
    Case("npz wavelengths named", npz(cube=CUBE, axis=NM), options={"wavelengths_key": "axis"}),
    Case("npz five wavelengths", npz(cube=CUBE, wavelengths=NM[:5]), refused="one for each of 6 bands, got 5"),
    Case(
        "npz infinite",
        npz(cube=np.where((LINE == 0) & (SAMPLE == 0) & (BAND == 3), np.inf, CUBE), wavelengths=NM),
        CORNER_HOLE,
    ),
    Case("npz pickled", npz(cube=np.array([[[None]]])), refused="pickled objects, which are refused"),
    Case("mat", mat(cube=CUBE, wavelengths=np.array(NM))),
    Case("mat any name", mat(paviaU=CUBE, wl=np.array(NM)[:, None])),
    Case("mat unit", mat(cube=CUBE, wavelength=np.array(UM), wavelength_units="µm")),
    Case(
        "mat two cubes",
        mat(radiance=CUBE, reflectance=CUBE / 10000.0),
        refused=r"radiance \[4, 5, 6\], reflectance \[4, 5, 6\]; choose",
    ),
    *(
        Case(
            f"mat {key}",
            mat(radiance=CUBE, reflectance=CUBE / 10000.0, wavelengths=np.array(NM)),
            values,
            options={"cube_key": key},
        )
        for key, values in (("radiance", VALUES), ("reflectance", REFLECTANCE))
    ),
    Case("mat 7.3", mat73(data=CUBE, wavelengths=np.array([NM], float).T)),
    Case("mat 7.3 gt", mat73(data=CUBE, wavelengths=np.array([NM], float), gt=np.eye(4, 5)), mask=4),
    Case("hdf5", hdf5(grouped(cube=CUBE / 10000)), REFLECTANCE),
    Case("hdf5 .he5", hdf5(grouped(), ".he5")),
    Case("hdf5 by path", hdf5(grouped()), options={"cube_key": "scene/reflectance"}),
    Case("hdf5 by absolute path", hdf5(grouped()), options={"cube_key": "/scene/reflectance"}),
    Case(
        "hdf5 wrong path",
        hdf5(grouped()),
        options={"cube_key": "cube"},
        refused=r"'cube' as cube, got scene/reflectance \[4, 5, 6\]",
    ),
    Case("hdf5 micrometres", hdf5(grouped("micrometers", UM))),
    Case("hdf5 no unit", hdf5(grouped(None, UM)), refused=_ASKED),
    Case("hdf5 scale_factor", hdf5(grouped(scale_factor=1e-4)), REFLECTANCE),
    Case("hdf5 Scale_Factor", hdf5(grouped(Scale_Factor=10000.0)), REFLECTANCE),
    Case("hdf5 fill value", hdf5(grouped(cube=_holes(), _FillValue=np.int16(-9999))), ONE_HOLE),
    Case("hdf5 bands first", hdf5(grouped(cube=CUBE.transpose(2, 0, 1))), options={"cube_axes": "CHW"}),
    Case(
        "hdf5 wavelengths as attributes",
        hdf5(
            lambda file: file.create_dataset("data", data=CUBE).attrs.update(
                wavelength=UM, wavelength_units="um", bbl=[1] * 6
            )
        ),
    ),
    Case(
        "hdf5 good bands",
        hdf5(grouped(bbl=[0, 1, 1, 1, 1, 1])),
        VALUES[..., 1:],
        nm=NM[1:],
        options={"drop_bad_bands": True},
    ),
    Case("hdf5 unit beside", hdf5(lambda file: file.update(cube=CUBE, wavelengths=UM, wavelength_units="microns"))),
    Case("hdf5 add_offset", hdf5(grouped(cube=CUBE.astype("f4"), scale_factor=2.0, add_offset=1.0)), VALUES * 2 + 1),
    Case("zarr", zarred()),
    Case("zarr micrometres", zarred("um", UM)),
    Case("zarr by path", zarred(), options={"cube_key": "scene/cube"}),
]

_BAND_NM = items("wavelength", NM, "Nanometers")

TIFF = [
    Case("tiff gdal", gdal(_BAND_NM, nodata="65535")),
    Case("tiff gdal deflate", gdal(_BAND_NM, nodata="65535", compression="zlib")),
    Case("tiff gdal lzw", gdal(_BAND_NM, compression="lzw")),
    Case("tiff gdal lzw predicted", gdal(_BAND_NM, compression="lzw", predictor=2)),
    Case("tiff gdal float predicted", gdal(_BAND_NM, cube=CUBE.astype("f4"), compression="zlib", predictor=3)),
    Case("tiff gdal micrometres", gdal(items("wavelength", UM, "Micrometers"))),
    Case("tiff gdal central", gdal(items("CENTRAL_WAVELENGTH_UM", UM))),
    Case("tiff gdal list", gdal(f'<Item name="wavelength">{{{str(NM)[1:-1]}}}</Item>')),
    Case(
        "tiff gdal named bands",
        gdal("".join(f'<Item name="Band_{band + 1}">{nm}.0 Nanometers</Item>' for band, nm in enumerate(NM))),
    ),
    Case("tiff gdal five wavelengths", gdal(items("wavelength", NM[:5])), refused="one for each of 6 bands, got 5"),
    Case("tiff gdal no unit", gdal(items("wavelength", UM)), refused=_ASKED),
    Case("tiff gdal nodata", gdal(_BAND_NM, cube=_holes(), nodata="-9999"), ONE_HOLE),
    Case(
        "tiff gdal scale",
        gdal(
            _BAND_NM
            + "".join(f'<Item name="SCALE" sample="{b}" role="scale">0.0001</Item>' for b in range(6))
            + "".join(f'<Item name="OFFSET" sample="{b}" role="offset">0</Item>' for b in range(6))
        ),
        REFLECTANCE,
    ),
    Case("tiff bands last", gdal(_BAND_NM, cube=CUBE.transpose(1, 2, 0), planarconfig="contig")),
    Case("tiff without wavelengths", gdal(), nm=None),
    Case("tiff wavelengths given", gdal(), options={"wavelengths": NM}),
]


def one_band(folder: Path) -> str:
    """A TIFF of one band."""
    tifffile.imwrite(folder / "scene.tif", CUBE[..., 0])
    return "scene.tif"


CASES = [*ENVI, *ARRAYS, *TIFF, Case("tiff of one band", one_band, VALUES[..., :1], nm=None)]
