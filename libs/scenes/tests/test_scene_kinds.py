"""Scenes of the less usual kinds, and files that are none."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.io
import tifffile
from spectral.io import envi

from swath.errors import DataInvalid, FileMissing
from swath.scenes import Options, Scene, read_scenes

CUBE = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)
NM = [400.0, 500.0, 600.0, 700.0]


def _one(path: Path, **options: Any) -> Scene:
    [scene] = read_scenes(path, Options(**options))
    return scene


class TestArrays:
    def test_a_cube_is_known_by_its_name_before_its_size(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "a.npz", Cube=CUBE, noise=np.zeros((9, 9, 9)))
        assert _one(tmp_path / "a.npz").cube.tolist() == CUBE.tolist()

    def test_of_two_of_three_dimensions_one_is_to_be_chosen_where_no_name_helps(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "a.npz", small=np.zeros((1, 1, 1)), large=CUBE)
        with pytest.raises(DataInvalid, match=r"small \[1, 1, 1\], large \[2, 3, 4\]; choose one by cube_key"):
            _one(tmp_path / "a.npz")
        assert _one(tmp_path / "a.npz", cube_key="large").cube.tolist() == CUBE.tolist()

    def test_a_cube_may_be_stored_with_its_axes_in_another_order(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "a.npz", cube=CUBE.transpose(2, 0, 1), wavelengths=NM)
        assert _one(tmp_path / "a.npz", cube_axes="CHW").cube.tolist() == CUBE.tolist()
        np.savez(tmp_path / "b.npz", cube=CUBE.transpose(0, 2, 1)[None], wavelengths=NM)
        assert _one(tmp_path / "b.npz", cube_axes="HCW").cube.tolist() == CUBE.tolist()
        with pytest.raises(DataInvalid, match="cube_axes: expected H, W and C in the order of the file's axes"):
            _one(tmp_path / "a.npz", cube_axes="CHH")

    def test_wavelengths_that_do_not_fit_the_bands_are_refused_unless_they_are_replaced(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "a.npz", cube=CUBE, wavelengths=NM[:3])
        with pytest.raises(
            DataInvalid, match=r"expected one for each of 4 bands, got 3 in the file; give them as \+data"
        ):
            _one(tmp_path / "a.npz")
        wavelengths = _one(tmp_path / "a.npz", wavelengths=NM).wavelengths
        assert wavelengths is not None
        assert wavelengths.tolist() == NM

    def test_wavelengths_may_lie_in_a_column(self, tmp_path: Path) -> None:
        scipy.io.savemat(tmp_path / "a.mat", {"cube": CUBE, "wl": np.array(NM)[:, None]})
        wavelengths = _one(tmp_path / "a.mat").wavelengths
        assert wavelengths is not None
        assert (wavelengths.tolist(), wavelengths.dtype) == (NM, np.float64)

    @pytest.mark.parametrize("name", ["mask", "map", "gt", "GroundTruth", "ground_truth", "labels"])
    def test_a_mask_has_one_of_the_usual_names(self, tmp_path: Path, name: str) -> None:
        np.savez(tmp_path / "a.npz", allow_pickle=False, cube=CUBE, **{name: np.eye(2, 3)})
        mask = _one(tmp_path / "a.npz").mask
        assert mask is not None
        assert mask.tolist() == [[1, 0, 0], [0, 1, 0]]

    def test_a_mask_that_does_not_fit_the_pixels_is_refused_unless_none_is_asked_for(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "a.npz", cube=CUBE, gt=np.zeros((3, 2)))
        with pytest.raises(DataInvalid, match=r"mask: expected the cube's \[2, 3\], got 'gt' of shape \[3, 2\]"):
            _one(tmp_path / "a.npz")
        assert _one(tmp_path / "a.npz", mask_key="").mask is None

    def test_labels_of_something_else_than_pixels_are_no_mask(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "a.npz", cube=CUBE, labels=np.array(["road", "roof"]))
        assert _one(tmp_path / "a.npz").mask is None

    @pytest.mark.parametrize("masks", [1, 2])
    def test_frames_of_a_stack_have_a_mask_each_or_share_one(self, tmp_path: Path, masks: int) -> None:
        mask = np.arange(masks * 6).reshape((2, 2, 3) if masks == 2 else (2, 3))
        np.savez(tmp_path / "a.npz", cube=np.stack([CUBE, CUBE]), gt=mask, wavelengths=NM)
        first, second = read_scenes(tmp_path / "a.npz")
        assert [first.mask.tolist(), second.mask.tolist()] == (mask.tolist() if masks == 2 else [mask.tolist()] * 2)  # type: ignore[union-attr]
        assert second.wavelengths is not None
        assert second.wavelengths.tolist() == NM

    def test_text_and_other_objects_are_no_cube(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "a.npz", cube=np.full((2, 3, 4), "x"))
        with pytest.raises(DataInvalid, match=r"a\.npz: cube: expected real numbers, got <U1"):
            _one(tmp_path / "a.npz")

    def test_a_pickle_within_is_never_opened(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "a.npz", cube=np.array([[[object()]]]))
        with pytest.raises(DataInvalid, match=r"a\.npz: cube: .*pickled objects, which are refused"):
            _one(tmp_path / "a.npz")

    def test_a_pickle_beside_the_cube_is_left_alone(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "a.npz", cube=CUBE, meta=np.array([object()]))
        assert _one(tmp_path / "a.npz").cube.tolist() == CUBE.tolist()

    def test_an_archive_whose_data_are_damaged_is_named(self, tmp_path: Path) -> None:
        np.savez_compressed(tmp_path / "a.npz", cube=CUBE)
        content = bytearray((tmp_path / "a.npz").read_bytes())
        content[60:100] = bytes(40)
        (tmp_path / "a.npz").write_bytes(content)
        with pytest.raises(DataInvalid, match=r"a\.npz: not a readable npz file: \S"):
            _one(tmp_path / "a.npz")

    def test_an_archive_with_nothing_in_it_says_so(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "a.npz")
        with pytest.raises(DataInvalid, match=r"expected a cube \[rows, columns, bands\], got no arrays"):
            _one(tmp_path / "a.npz")


class TestMat:
    @pytest.mark.parametrize("length", [4, 150, 200])
    def test_that_ends_too_early_is_named(self, tmp_path: Path, length: int) -> None:
        scipy.io.savemat(tmp_path / "a.mat", {"cube": CUBE}, do_compression=True)
        (tmp_path / "a.mat").write_bytes((tmp_path / "a.mat").read_bytes()[:length])
        with pytest.raises(DataInvalid, match=r"a\.mat: not a readable MAT file: \S"):
            _one(tmp_path / "a.mat")


class TestTiff:
    def test_with_bands_last_stays_as_it_is(self, tmp_path: Path) -> None:
        picture = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
        tifffile.imwrite(tmp_path / "a.tiff", picture, photometric="rgb")
        assert _one(tmp_path / "a.tiff").cube.tolist() == picture.tolist()

    def test_with_one_band_is_a_cube_of_one(self, tmp_path: Path) -> None:
        tifffile.imwrite(tmp_path / "a.tif", CUBE[..., 0])
        assert _one(tmp_path / "a.tif").cube.tolist() == CUBE[..., :1].tolist()

    def test_that_is_damaged_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "a.tif").write_bytes(b"no picture")
        with pytest.raises(DataInvalid, match=r"a\.tif: not a readable TIFF file"):
            _one(tmp_path / "a.tif")


class TestEnvi:
    def _write(self, folder: Path, **metadata: Any) -> Path:
        envi.save_image(str(folder / "a.hdr"), CUBE, metadata=metadata, interleave="bil")
        return folder / "a.hdr"

    def test_without_wavelengths_has_none(self, tmp_path: Path) -> None:
        assert _one(self._write(tmp_path)).wavelengths is None

    @pytest.mark.parametrize("units", ["µm", "um", "Micrometers"])
    def test_wavelengths_in_micrometres_become_nanometres(self, tmp_path: Path, units: str) -> None:
        header = self._write(tmp_path, wavelength=["0.4", "0.5", "0.6", "0.7"], **{"wavelength units": units})
        np.testing.assert_allclose(_one(header).wavelengths, NM, rtol=1e-6)  # type: ignore[arg-type]

    @pytest.mark.parametrize("units", ["", "Nanometers", "nm"])
    def test_wavelengths_in_nanometres_stay(self, tmp_path: Path, units: str) -> None:
        header = self._write(tmp_path, wavelength=[str(nm) for nm in NM], **{"wavelength units": units})
        np.testing.assert_allclose(_one(header).wavelengths, NM)  # type: ignore[arg-type]

    @pytest.mark.parametrize("suffix", ["", ".dat", ".raw", ".bsq"])
    def test_data_may_have_another_suffix_or_none(self, tmp_path: Path, suffix: str) -> None:
        self._write(tmp_path)
        (tmp_path / "a.img").rename(tmp_path / f"a{suffix}")
        assert _one(tmp_path / "a.hdr").cube.tolist() == CUBE.tolist()
        assert _one(tmp_path / f"a{suffix}").name == "a"

    def test_the_header_may_keep_the_data_s_suffix(self, tmp_path: Path) -> None:
        self._write(tmp_path).rename(tmp_path / "a.img.hdr")
        assert _one(tmp_path / "a.img").cube.tolist() == CUBE.tolist()

    def test_data_in_the_other_byte_order_is_read_in_this_one(self, tmp_path: Path) -> None:
        envi.save_image(str(tmp_path / "a.hdr"), CUBE, byteorder=1)
        scene = _one(tmp_path / "a.hdr")
        assert scene.cube.tolist() == CUBE.tolist()
        assert scene.inputs()["cube"].dtype.isnative

    def test_a_header_alone_says_what_it_wants_beside_it(self, tmp_path: Path) -> None:
        header = self._write(tmp_path)
        (tmp_path / "a.img").unlink()
        with pytest.raises(
            FileMissing, match=r"the image of ENVI header 'a\.hdr' does not exist; tried a alone and with"
        ):
            _one(header)

    def test_wavelengths_that_are_no_numbers_are_named_with_the_header(self, tmp_path: Path) -> None:
        header = self._write(tmp_path, wavelength=["red", "green", "blue", "infrared"])
        with pytest.raises(DataInvalid, match=r"a\.hdr: wavelengths: expected numbers, got \['red'"):
            _one(header)

    def test_a_header_that_is_none_is_named(self, tmp_path: Path) -> None:
        for name in ("a.hdr", "a.img"):
            (tmp_path / name).write_text("nothing")
        with pytest.raises(
            DataInvalid, match=r"a\.hdr: not a readable ENVI header: expected ENVI in its first line, got 'nothing'"
        ):
            _one(tmp_path / "a.hdr")


class TestCu3s:
    """The SDK is Cubert's, and not to be had here: a module of its shape stands for it."""

    @pytest.fixture
    def sdk(self, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
        """Two measurements of one pixel; remembers the processing modes that were asked for."""
        kept = SimpleNamespace(modes=[], measurements=[1.0, 2.0])

        class SessionFile:
            def __init__(self, path: str) -> None:
                self.path = path

            def __len__(self) -> int:
                return len(kept.measurements)

            def get_measurement(self, index: int) -> float:
                return kept.measurements[index]

            def get_reference(self, index: int, kind: str) -> object:
                return object()

        class ProcessingContext:
            processing_mode = ""

            def __init__(self, session: SessionFile) -> None:
                self.session = session

            def apply(self, value: float) -> SimpleNamespace:
                kept.modes.append(self.processing_mode)
                cube = SimpleNamespace(array=np.full((1, 1, 2), value), wavelength=[450, 650])
                return SimpleNamespace(data={"cube": cube})

        module: Any = ModuleType("cuvis")
        module.SessionFile, module.ProcessingContext = SessionFile, ProcessingContext
        module.ReferenceType = SimpleNamespace(White="White", Dark="Dark")
        module.ProcessingMode = SimpleNamespace(Raw="raw", Reflectance="reflectance")
        monkeypatch.setitem(sys.modules, "cuvis", module)
        return kept

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        (tmp_path / "a.cu3s").touch()
        return tmp_path / "a.cu3s"

    def test_measurements_are_frames(self, sdk: SimpleNamespace, file: Path) -> None:
        frames = list(read_scenes(file))
        assert [(frame.name, frame.cube.ravel().tolist()) for frame in frames] == [
            ("a_0000", [1.0, 1.0]),
            ("a_0001", [2.0, 2.0]),
        ]
        assert frames[0].wavelengths is not None
        assert frames[0].wavelengths.tolist() == [450.0, 650.0]

    def test_one_measurement_needs_no_number(self, sdk: SimpleNamespace, file: Path) -> None:
        sdk.measurements = [3.0]
        assert _one(file).name == "a"

    def test_they_are_processed_as_asked(self, sdk: SimpleNamespace, file: Path) -> None:
        list(read_scenes(file, Options(processing_mode="Raw")))
        assert sdk.modes == ["raw", "raw"]

    def test_a_mode_that_is_none_is_refused_with_those_that_are(self, file: Path) -> None:
        with pytest.raises(
            DataInvalid, match=r"processing_mode: expected one of Raw, Reflectance, DarkSubtract, .* got 'raw'"
        ):
            list(read_scenes(file, Options(processing_mode="raw")))


def test_what_a_file_is_follows_from_its_suffix_whatever_its_case(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", cube=CUBE)
    (tmp_path / "a.npz").rename(tmp_path / "A.NPZ")
    assert _one(tmp_path / "A.NPZ").name == "A"


def test_a_folder_is_no_scene(tmp_path: Path) -> None:
    (tmp_path / "a.npz").mkdir()
    with pytest.raises(FileMissing, match=r"a\.npz: expected a file"):
        read_scenes(tmp_path / "a.npz")


def test_a_scene_becomes_a_batch_of_one() -> None:
    inputs = Scene("a", CUBE.astype(np.int16), np.array([400.4, 500.6, 600.0, 700.0])).inputs()
    assert (inputs["cube"].shape, inputs["cube"].dtype) == ((1, 2, 3, 4), np.float32)
    assert inputs["wavelengths"].tolist() == [[400, 501, 600, 700]]
    assert inputs["wavelengths"].dtype == np.int32


def test_a_scene_without_wavelengths_sends_none() -> None:
    assert Scene("a", CUBE).inputs()["wavelengths"] is None


@pytest.mark.parametrize(
    ("dtype", "sent"),
    [("uint8", "uint8"), (">u2", "uint16"), ("int16", "float32"), ("uint32", "float32"), ("int64", "float32")],
)
def test_what_is_sent_has_the_numbers_that_a_training_sees(dtype: str, sent: str) -> None:
    cube = np.array([[[0, 1, 100]]], dtype)
    inputs = Scene("a", cube).inputs()
    assert inputs["cube"].dtype == sent
    assert inputs["cube"].tolist() == [[[[0, 1, 100]]]]


@pytest.mark.parametrize("dtype", ["float64", "longdouble", "int64", "float16"])
def test_wide_numbers_are_rounded_as_a_training_rounds_them(dtype: str) -> None:
    cube = np.linspace(0, 60000, 24).reshape(2, 3, 4).astype(dtype)
    scene = Scene("a", cube)
    np.testing.assert_array_equal(scene.inputs()["cube"][0], cube.astype(np.float32))
