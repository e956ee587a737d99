"""No file of a scene runs code, leads to other files, or explodes."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
import zarr

from swath.errors import DataInvalid
from swath.scenes import Options, read_scene

CUBE = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file that no scene may lead to."""
    (tmp_path / "else").mkdir()
    with h5py.File(tmp_path / "else" / "secret.h5", "w") as file:
        file["cube"] = CUBE
    return tmp_path / "else" / "secret.h5"


def test_hdf5_links_to_other_files_are_not_followed(tmp_path: Path, secret: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["group/cube"] = h5py.ExternalLink(str(secret), "/cube")
        file["soft"] = h5py.SoftLink("/group/cube")
        file.create_dataset("raw", (2, 3, 4), np.uint8, external=[(str(secret), 0, 24)])
        layout = h5py.VirtualLayout((2, 3, 4), np.uint8)
        layout[...] = h5py.VirtualSource(str(secret), "cube", (2, 3, 4))
        file.create_virtual_dataset("virtual", layout)
        file["flat"] = np.zeros(3)

    for key in (None, "group/cube", "soft", "raw", "virtual"):
        with pytest.raises(DataInvalid, match=r"got flat \[3\]"):
            read_scene(tmp_path / "a.h5", Options(cube_key=key))


def test_an_hdf5_file_whose_groups_hold_themselves_ends(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("group")
        group["again"] = file["/"]
        file["group/cube"] = CUBE

    scene = read_scene(tmp_path / "a.h5")

    np.testing.assert_array_equal(scene.cube, CUBE)


@pytest.mark.parametrize("name", ["a.hdr", "a.npz", "a.mat", "a.tif", "a.h5"])
def test_what_the_system_refuses_is_said_without_the_path_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).write_bytes(b"ENVI")
    (tmp_path / "a.img").write_bytes(b"")

    def refuse(path: object, *arguments: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    for place in ("pathlib.Path.open", "pathlib.Path.read_bytes", "tifffile.TiffFile", "h5py.File"):
        monkeypatch.setattr(place, refuse)
    with pytest.raises(DataInvalid, match=r"^a\.\w+: not a readable \w+ file: Permission denied$"):
        read_scene(tmp_path / name)


def test_links_in_a_zarr_folder_are_refused(tmp_path: Path, secret: Path) -> None:
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w")
    group.create_array("cube", data=CUBE)
    (tmp_path / "a.zarr" / "more").symlink_to(secret.parent)

    with pytest.raises(DataInvalid, match=r"a\.zarr: 'more' is a link, which is refused"):
        read_scene(tmp_path / "a.zarr")


def test_metadata_of_a_tiff_that_defines_entities_are_not_expanded(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "450">]><GDALMetadata><Item name="wavelength" sample="0">&a;</Item></GDALMetadata>'
    tifffile.imwrite(tmp_path / "a.tif", CUBE[..., 0], metadata=None, extratags=[(42112, "s", 0, bomb, True)])

    assert read_scene(tmp_path / "a.tif").wavelengths is None
