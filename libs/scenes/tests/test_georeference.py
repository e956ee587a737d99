"""A result lies on the map where its scene does, in ENVI and GeoTIFF."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from spectral.io import envi

from swath.scenes import Georeference, read_scene, write_envi, write_tiff

IMAGE = np.arange(12, dtype=np.float32).reshape(3, 4, 1)
UTM = "{UTM, 1, 1, 483000.0, 5627000.0, 2.0, 3.0, 32, North, WGS-84, units=Meters}"
WKT = 'PROJCS["Local",GEOGCS["GCS",DATUM["D_X",SPHEROID["S",6378137,298]]],PROJECTION["Transverse_Mercator"]]'
GRID = {33550: (2.0, 3.0, 0.0), 33922: (0.0, 0.0, 0.0, 483000.0, 5627000.0, 0.0)}


def keys(code: int, *, geographic: bool = False, raster: int = 1) -> tuple[int, ...]:
    return (
        1,
        1,
        0,
        3,
        1024,
        0,
        1,
        2 if geographic else 1,
        1025,
        0,
        1,
        raster,
        2048 if geographic else 3072,
        0,
        1,
        code,
    )


def envi_fields(file: Path) -> dict[str, Any]:
    return envi.read_envi_header(str(file))


def test_envi_keeps_the_fields_word_for_word(tmp_path: Path) -> None:
    place = Georeference(envi={"map info": UTM, "coordinate system string": "{" + WKT + "}"})

    assert write_envi(tmp_path / "a.hdr", IMAGE, place) == []

    assert read_scene(tmp_path / "a.hdr").georeference == place
    assert envi_fields(tmp_path / "a.hdr")["map info"] == [part.strip() for part in UTM.strip("{}").split(",")]
    np.testing.assert_array_equal(np.asarray(envi.open(str(tmp_path / "a.hdr")).load()), IMAGE)  # type: ignore[attr-defined]


def test_geotiff_keeps_the_tags(tmp_path: Path) -> None:
    tags = {**GRID, 34735: keys(2056), 34736: (1.5,), 34737: "Swiss|"}

    assert write_tiff(tmp_path / "a.tif", IMAGE, Georeference(geotiff=tags)) == []

    found = read_scene(tmp_path / "a.tif").georeference
    assert found is not None
    assert {
        code: value if isinstance(value, str) else tuple(np.atleast_1d(value)) for code, value in found.geotiff.items()
    } == tags


@pytest.mark.parametrize(
    ("info", "directory"),
    [
        (UTM, keys(32632)),
        (UTM.replace("North, WGS-84", "South, WGS-84"), keys(32732)),
        (UTM.replace("32, North, WGS-84", "11, North, North America 1983"), keys(26911)),
        (UTM.replace("WGS-84", "ETRS89"), keys(25832)),
        (
            "{Geographic Lat/Lon, 1, 1, 483000.0, 5627000.0, 2.0, 3.0, WGS-84, units=Degrees}",
            keys(4326, geographic=True),
        ),
    ],
)
def test_the_common_grids_go_from_envi_to_geotiff_and_back(info: str, directory: tuple[int, ...]) -> None:
    tags, lost = Georeference(envi={"map info": info}).as_geotiff()

    assert lost is None
    assert tags == {**GRID, 34735: directory}
    fields, lost = Georeference(geotiff=tags).as_envi()
    assert lost is None
    assert _numbers(fields["map info"]) == _numbers(info)


def _numbers(info: str) -> list[object]:
    """Parts of a map info without their unit; numbers as such."""
    parts = [part.strip() for part in info.strip("{}").split(",") if "=" not in part]
    return [float(part) if part.replace(".", "").isdecimal() else part for part in parts]


def test_envi_counts_pixels_from_1_at_their_corner() -> None:
    tags, _ = Georeference(envi={"map info": UTM.replace("1, 1,", "3.5, 2,")}).as_geotiff()

    assert tags[33922] == (2.5, 1, 0, 483000, 5627000, 0)


def test_a_geotiff_whose_points_are_middles_of_pixels_keeps_its_place() -> None:
    fields, _ = Georeference(geotiff={**GRID, 34735: keys(32632, raster=2)}).as_envi()

    assert fields["map info"].startswith("{UTM, 1.5, 1.5, 483000.0, 5627000.0")


def test_a_coordinate_system_in_words_goes_both_ways() -> None:
    info = "{Local, 1, 1, 483000.0, 5627000.0, 2.0, 3.0}"
    tags, lost = Georeference(envi={"map info": info, "coordinate system string": "{" + WKT + "}"}).as_geotiff()

    assert lost is None
    assert tags[34737] == f"ESRI PE String = {WKT}|"
    assert Georeference(geotiff=tags).as_envi()[0]["coordinate system string"] == "{" + WKT + "}"


@pytest.mark.parametrize(
    ("place", "to", "words"),
    [
        ({"envi": {"map info": UTM.replace("units", "rotation=30, units")}}, "as_geotiff", "turned on the map"),
        ({"envi": {"map info": "{Local, 1, 1, 0, 0, 2, 2}"}}, "as_geotiff", "not its coordinate system 'Local'"),
        ({"envi": {"map info": "{UTM, 1}"}}, "as_geotiff", "has no pixel, position and size"),
        ({"geotiff": {**GRID, 34735: keys(2056)}}, "as_envi", r"not its coordinate system \(EPSG 2056\)"),
        ({"geotiff": {34264: (1, 1, 0, 0, 1, -1, *[0] * 10)}}, "as_envi", "turned on the map"),
    ],
)
def test_what_a_file_does_not_say_is_said(place: dict[str, Any], to: str, words: str) -> None:
    _, lost = getattr(Georeference(**place), to)()

    assert lost is not None
    assert re.search(words, lost)


def test_a_transformation_that_is_not_turned_is_a_grid() -> None:
    matrix = (2.0, 0, 0, 483000.0, 0, -3.0, 0, 5627000.0, 0, 0, 0, 0, 0, 0, 0, 1)

    fields, lost = Georeference(geotiff={34264: matrix, 34735: keys(32632)}).as_envi()

    assert lost is None
    assert fields["map info"].startswith("{UTM, 1, 1, 483000.0, 5627000.0, 2.0, 3.0, 32, North")


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "int32", "float32", "float64", "float16", "int8"])
@pytest.mark.parametrize("bands", [1, 3])
def test_images_come_back_with_their_numbers(tmp_path: Path, dtype: str, bands: int) -> None:
    image = (np.arange(3 * 4 * bands).reshape(3, 4, bands) % 2).astype(dtype)

    write_envi(tmp_path / "a.hdr", image)
    write_tiff(tmp_path / "a.tif", image)

    for name in ("a.hdr", "a.tif"):
        np.testing.assert_array_equal(read_scene(tmp_path / name).cube, image)
    np.testing.assert_array_equal(
        np.atleast_3d(
            tifffile.imread(tmp_path / "a.tif").transpose(1, 2, 0) if bands > 1 else tifffile.imread(tmp_path / "a.tif")
        ),
        image,
    )


def test_scores_that_are_nan_are_marked_as_such(tmp_path: Path) -> None:
    scores = IMAGE.copy()
    scores[0, 0] = np.nan

    write_envi(tmp_path / "a.hdr", scores)
    write_tiff(tmp_path / "a.tif", scores)

    assert envi_fields(tmp_path / "a.hdr")["data ignore value"] == "nan"
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.pages.first.tags[42113].value == "nan"
    for name in ("a.hdr", "a.tif"):
        valid = read_scene(tmp_path / name).valid
        assert valid is not None
        assert np.argwhere(~valid).tolist() == [[0, 0]]


@pytest.mark.parametrize("code", [26943, 26929, 25884, 26760])
def test_codes_beside_those_of_utm_are_no_zones_of_it(code: int) -> None:
    """26943 is zone 3 of California on NAD83, for one."""
    fields, lost = Georeference(geotiff={**GRID, 34735: keys(code)}).as_envi()
    assert fields["map info"].startswith("{Arbitrary, ")
    assert lost is not None
    assert f"EPSG {code}" in lost


def test_a_zone_that_a_datum_has_no_code_for_is_not_made_one() -> None:
    info = UTM.replace("32, North, WGS-84", "33, North, North America 1983")
    tags, lost = Georeference(envi={"map info": info}).as_geotiff()
    assert 34735 not in tags
    assert lost is not None
    assert "33, North, North America 1983" in lost


def test_a_rotation_that_is_no_number_is_a_rotation() -> None:
    _, lost = Georeference(envi={"map info": UTM.replace("units=Meters", "units=Meters, rotation=30 deg")}).as_geotiff()
    assert lost is not None
    assert "turned" in lost
