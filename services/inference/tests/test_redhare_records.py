"""Records of redhare.Inference: what their bytes mean, and what is wrong with them."""

import base64
import io
import json
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from swath.errors import InputInvalid, InvalidInput, Precondition, TooLarge
from swath.published.model import TensorSpec
from swath_inference.protocols.redhare.records import Record
from swath_inference.published.model import Published

CUBE = TensorSpec("cube", "float32", (-1, -1, -1, 3))
LEFT, RIGHT = (TensorSpec(name, "float32", (-1, 3)) for name in ("left", "right"))
WAVELENGTHS = TensorSpec("wavelengths", "int32", (-1, 3), optional=True)
PIXELS = np.random.default_rng(5).integers(0, 256, (4, 5, 3), np.uint8)


def _model(*inputs, **labels):
    labels = {f"redhare.{name}": text for name, text in labels.items()}
    return Published("scale", 1, (1,), ("sha256:0", None), "model/scale/1", inputs or (CUBE, WAVELENGTHS), (), labels)


def _text(data):
    return base64.b64encode(data).decode()


def _batch(record, model=None, limit=1 << 20):
    data = record if isinstance(record, bytes) else json.dumps({"key": "a", **record}).encode()
    read = Record(len(data))
    read.parse(data, limit)
    return {name: tensor.numpy() for name, tensor in read.batch(model or _model()).items()}


def _saved(*arrays, **named):
    file = io.BytesIO()
    np.savez(file, *arrays, **named)
    return file.getvalue()


def _picture(pixels, kind, mode=None, **options):
    file = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(file, kind, **options)
    return file.getvalue()


class TestRaw:
    cube = np.random.default_rng(3).random((2, 4, 5, 3), np.float32)

    def test_shape_and_type_of_the_record_count(self):
        found = _batch({"data": _text(self.cube.tobytes()), "shape": [2, 4, 5, 3], "dtype": "float32"})
        np.testing.assert_array_equal(found["cube"], self.cube)

    def test_line_breaks_of_encodestring_are_passed_over(self):
        text = base64.encodebytes(self.cube.tobytes()).decode()
        assert text.count("\n") > 5
        found = _batch({"data": text, "shape": [2, -1, 5, 3]})
        np.testing.assert_array_equal(found["cube"], self.cube)

    def test_base64_is_read_in_pieces_that_fit_together(self):
        cube = np.random.default_rng(1).random((1, 512, 700, 3), np.float32)
        data = json.dumps({"key": 1, "data": _text(cube.tobytes()), "shape": [1, 512, 700, 3]}).encode()
        np.testing.assert_array_equal(_batch(data, limit=1 << 24)["cube"], cube)

    def test_labels_say_what_bytes_without_a_shape_are(self):
        model = _model(dtype="uint8", shape="4,5,3", layout="HWC")
        found = _batch({"data": _text(PIXELS.tobytes())}, model)["cube"]
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, PIXELS[None].astype(np.float32))

    def test_axes_are_put_in_the_order_of_the_model(self):
        model = _model(dtype="uint8", shape="-1,3,4,5", layout="BCHW")
        planes = np.stack([PIXELS, PIXELS[::-1]]).transpose(0, 3, 1, 2)
        found = _batch({"data": _text(planes.tobytes())}, model)["cube"]
        np.testing.assert_array_equal(found, np.stack([PIXELS, PIXELS[::-1]]))

    def test_the_specs_say_it_where_one_size_follows(self):
        found = _batch({"data": _text(self.cube.tobytes())}, _model(TensorSpec("cube", "float32", (-1, 4, 5, 3))))
        np.testing.assert_array_equal(found["cube"], self.cube)

    def test_a_shape_without_a_batch_is_a_batch_of_one(self):
        found = _batch({"data": _text(self.cube[0].tobytes()), "shape": [4, 5, 3]})
        np.testing.assert_array_equal(found["cube"], self.cube[:1])

    def test_a_type_that_the_record_names_is_not_converted(self):
        found = _batch({"data": _text(PIXELS.tobytes()), "shape": [1, 4, 5, 3], "dtype": "uint8"})
        assert found["cube"].dtype == np.uint8

    def test_elements_that_begin_like_a_picture_are_elements(self):
        data = b"\xff\xd8\xff" + bytes(57)
        model = _model(dtype="uint8", shape="4,5,3", layout="HWC")
        assert _batch({"data": _text(data)}, model)["cube"].ravel()[:3].tolist() == [255, 216, 255]

    @pytest.mark.parametrize(
        ("record", "model", "words"),
        [
            ({"data": _text(bytes(12))}, None, "12 bytes of float32 may have many shapes"),
            ({"data": _text(bytes(13)), "shape": [-1]}, None, "13 bytes are no whole number"),
            ({"data": _text(bytes(12)), "shape": [2, 2]}, None, "cannot reshape array of size 3"),
            (
                {"data": _text(bytes(12)), "shape": [1], "dtype": "complex64"},
                None,
                "there is no element type 'complex64'",
            ),
            ({"data": _text(bytes(12)), "shape": [2**40, 2**40, 0]}, None, "too large"),
            ({"data": _text(b""), "shape": [1, 0, 4, 3]}, None, "no elements in a frame"),
            ({"data": "a$bc", "shape": [-1]}, None, "not base64"),
            ({"data": "AA==AAAA", "shape": [-1]}, None, "not base64"),
            ({"data": "AAA", "shape": [-1]}, None, "not base64"),
            ({"data": "ü", "shape": [-1]}, None, "not base64"),
            ({"data": _text(bytes(12)), "input": "mask"}, None, "no input 'mask'; it has cube, wavelengths"),
            ({"data": _text(bytes(12))}, _model(LEFT, RIGHT), "several inputs, left, right"),
            ({"data": _text(bytes(12))}, _model(input="mask"), "label redhare.input: the model has no input 'mask'"),
            ({"data": _text(bytes(60))}, _model(dtype="uint9", shape="4,5,3"), "no element type 'uint9'"),
        ],
    )
    def test_what_does_not_fit_is_said(self, record, model, words):
        with pytest.raises(InputInvalid) as caught:
            _batch(record, model)
        assert words in caught.value.message

    @pytest.mark.parametrize(
        ("labels", "words"),
        [
            ({"shape": "4xof5"}, "label redhare.shape: expected sizes"),
            ({"layout": "HWX"}, "label redhare.layout: expected axes"),
            ({"layout": "HWC", "shape": "1,4,5,3"}, "4 sizes and 3 axes"),
        ],
    )
    def test_labels_that_make_no_sense_are_the_publishers_to_mend(self, labels, words):
        with pytest.raises(Precondition) as caught:
            _batch({"data": _text(bytes(12))}, _model(**labels))
        assert words in caught.value.message


class TestInputs:
    @pytest.mark.parametrize("optional", [False, True])
    def test_data_is_for_the_cube_where_there_are_several(self, optional):
        mask = TensorSpec("mask", "float32", (-1, 3), optional=optional)
        cube = TensorSpec("cube", "float32", (-1, 2, 2, 3), optional=optional)
        assert list(_batch({"data": _text(bytes(48))}, _model(mask, cube))) == ["cube"]

    def test_several_inputs_come_by_their_names(self):
        cube = {"data": _text(PIXELS.tobytes()), "shape": [1, 4, 5, 3], "dtype": "uint8"}
        found = _batch({"inputs": {"cube": cube, "wavelengths": [[500, 600, 700]]}})
        np.testing.assert_array_equal(found["cube"], PIXELS[None])
        assert (found["wavelengths"].dtype, found["wavelengths"].tolist()) == (np.int32, [[500, 600, 700]])

    def test_numbers_may_be_listed(self):
        found = _batch({"data": [[[[1, 2, 3.5]]]]})["cube"]
        assert (found.dtype, found.tolist()) == (np.float32, [[[[1, 2, 3.5]]]])

    @pytest.mark.parametrize(
        ("record", "words"),
        [
            ({"data": [[1, 2], [3]]}, "equal rows"),
            ({"data": [["a"]]}, "not numbers of float32"),
            ({"inputs": {"wavelengths": [2**70]}}, "not numbers of int32"),
            ({"inputs": [1]}, "expected an object"),
            ({"inputs": {"cube": {"bytes": ""}}}, "got 'bytes'"),
            ({"inputs": {"nothing": [1]}}, "no input 'nothing'"),
            ({"data": None}, "expected base64"),
            ({}, "neither 'data' nor 'inputs'"),
            ({"data": "", "shape": [True]}, "expected a list of sizes"),
            ({"data": "", "shape": [2**63]}, "expected a list of sizes"),
            ({"data": "", "dtype": 7}, "expected the name of an element type"),
            ({"data": "", "format": "bmp"}, "expected one of raw, npy, npz, png, jpeg"),
            ({"data": "", "input": 3}, "expected the name of an input"),
        ],
    )
    def test_what_has_another_form_is_said(self, record, words):
        with pytest.raises(InvalidInput) as caught:
            _batch(record)
        assert words in caught.value.message


class TestPictures:
    def test_a_png_is_its_pixels(self):
        found = _batch({"data": _text(_picture(PIXELS, "png"))})["cube"]
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, PIXELS[None])

    def test_a_png_of_16_bits_keeps_them(self):
        gray = np.arange(20, dtype=np.uint16).reshape(4, 5) * 3000
        model = _model(TensorSpec("cube", "float32", (-1, -1, -1, 1)))
        found = _batch({"data": _text(_picture(gray, "png"))}, model)["cube"]
        np.testing.assert_array_equal(found, gray[None, ..., None])

    def test_a_palette_is_looked_up(self):
        flat = np.zeros((4, 5, 3), np.uint8)
        flat[:, :2] = 255, 0, 51
        found = _batch({"data": _text(_picture(flat, "png", "P"))})["cube"]
        assert found.shape == (1, 4, 5, 3)
        np.testing.assert_array_equal(found[0], flat)

    def test_a_jpeg_is_its_pixels(self):
        smooth = np.full((16, 16, 3), (200, 100, 50), np.uint8)
        found = _batch({"data": _text(_picture(smooth, "jpeg", quality=95))})["cube"]
        assert np.abs(found[0] - smooth).max() <= 3

    @pytest.mark.parametrize("kind", ["png", "jpeg"])
    def test_half_a_picture_is_none(self, kind):
        data = _picture(np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8), kind)
        with pytest.raises(InputInvalid, match=f"not a {kind.upper()} that can be read"):
            _batch({"data": _text(data[: len(data) // 2])})

    def test_a_picture_that_would_fill_the_memory_is_refused_before_it_is_read(self):
        data = bytearray(_picture(PIXELS, "png"))
        data[16:24] = struct.pack(">II", 1 << 17, 1 << 17)
        data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
        with pytest.raises(TooLarge):
            _batch({"data": _text(bytes(data))})


class TestArrays:
    def test_an_npy_is_its_array(self):
        file = io.BytesIO()
        np.save(file, np.asfortranarray(PIXELS[None].astype(">f4")))
        np.testing.assert_array_equal(_batch({"data": _text(file.getvalue())})["cube"], PIXELS[None])

    def test_arrays_of_an_npz_go_to_the_inputs_of_their_names(self):
        data = _saved(cube=PIXELS[None], wavelengths=np.array([[5, 6, 7]], np.int32))
        found = _batch({"data": _text(data)})
        np.testing.assert_array_equal(found["cube"], PIXELS[None])
        assert found["wavelengths"].tolist() == [[5, 6, 7]]

    def test_a_single_array_may_have_any_name(self):
        np.testing.assert_array_equal(_batch({"data": _text(_saved(PIXELS[None]))})["cube"], PIXELS[None])

    def test_arrays_with_other_names_are_refused(self):
        with pytest.raises(InputInvalid, match="an npz file with 'b', 'cube'; the model has the inputs cube, wave"):
            _batch({"data": _text(_saved(cube=PIXELS, b=PIXELS))})

    def test_objects_are_refused(self):
        file = io.BytesIO()
        np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
        with pytest.raises(InputInvalid, match="objects are refused"):
            _batch({"data": _text(file.getvalue())})

    def test_a_header_is_believed_as_far_as_there_are_bytes(self):
        file = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f8", "fortran_order": False, "shape": (1 << 40, 1 << 10)}
        )
        with pytest.raises(InputInvalid, match="which is more than its"):
            _batch({"data": _text(file.getvalue())})

    def test_an_archive_that_would_fill_the_memory_is_refused_before_it_is_read(self, monkeypatch):
        from swath_inference.protocols.redhare import payloads

        monkeypatch.setattr(payloads, "LARGEST", 1000)
        with pytest.raises(TooLarge, match="more than 1000"):
            _batch({"data": _text(_saved(np.zeros((1, 100, 100, 3))))})

    @pytest.mark.parametrize("damage", [slice(0, 40), slice(30, 200), slice(-60, None)])
    def test_a_damaged_archive_is_said_to_be_one(self, damage):
        file = io.BytesIO()
        np.savez_compressed(file, cube=np.random.default_rng(1).random((1, 8, 8, 3)))
        data = bytearray(file.getvalue())
        data[damage] = bytes(len(data[damage]))
        with pytest.raises(InputInvalid, match="npz file that can be read"):
            _batch({"data": _text(bytes(data)), "format": "npz"})


class TestKeys:
    @pytest.mark.parametrize("key", ["a", "", "ü", "\ud800", 7, -1.5, 0, None, True])
    def test_a_key_is_known_though_the_rest_is_wrong(self, key):
        data = json.dumps({"key": key, "nonsense": 1}).encode()
        record = Record(len(data))
        with pytest.raises(InvalidInput, match="the record has 'nonsense'"):
            record.parse(data, 1 << 20)
        assert record.key == key

    @pytest.mark.parametrize("key", ["{}", "[1]", "1e999", "NaN", f'"{"x" * 1025}"', "9" * 5000])
    def test_a_key_is_text_or_a_number(self, key):
        record = Record(1)
        with pytest.raises(InvalidInput):
            record.parse(f'{{"key": {key}, "data": ""}}'.encode(), 1 << 20)
        assert record.key is None

    @pytest.mark.parametrize("data", [b"", b"\xff", b"[]", b"7", b"{", b'{"data": "x"}', b"[" * 100_000])
    def test_what_is_no_record_is_said(self, data):
        with pytest.raises(InvalidInput):
            Record(len(data)).parse(data, 1 << 20)

    def test_a_record_has_a_largest_size(self):
        with pytest.raises(TooLarge, match="2000 bytes is more than the 1024 that one may have"):
            Record(2000).parse(b" " * 2000, 1024)
