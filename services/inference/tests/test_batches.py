"""What a request holds, as a batch, and what a pipeline gives, as an answer."""

import os
import uuid
from pathlib import Path

import numpy as np
import pytest
import torch

from swath.api.payloads import LARGE
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.errors import FileMissing, InputInvalid
from swath_inference.protocols.cuvis.tensors import read_batch, read_tensor, write_outputs
from swath_inference.shm.segments import read_segment

DTYPES = {
    pb.D_TYPE_FLOAT32: torch.float32,
    pb.D_TYPE_FLOAT64: torch.float64,
    pb.D_TYPE_INT32: torch.int32,
    pb.D_TYPE_INT64: torch.int64,
    pb.D_TYPE_UINT8: torch.uint8,
    pb.D_TYPE_BOOL: torch.bool,
    pb.D_TYPE_FLOAT16: torch.float16,
    pb.D_TYPE_UINT16: torch.uint16,
}


def read_own(reference, name):
    """Read segments whose names begin with swath-."""
    return read_segment(reference.name, reference.byte_offset, reference.byte_size, name=name, prefix="swath-")


def _tensor(array, code):
    return pb.Tensor(shape=array.shape, dtype=code, raw_data=array.tobytes())


def _with(key: str, tensor: pb.Tensor) -> pb.InputBatch:
    """A batch with a tensor in the field of that name."""
    batch = pb.InputBatch()
    getattr(batch, key).CopyFrom(tensor)
    return batch


def _answer(outputs, *wanted):
    return pb.InferenceResponse.FromString(write_outputs(outputs, frozenset(wanted)))


class TestBatch:
    @pytest.mark.parametrize("key", ["cube", "wavelengths", "mask", "rgb_image", "frame_id", "mesu_index"])
    def test_each_field_of_its_own_is_an_input_of_that_name(self, key):
        value = _tensor(np.array([[1, 2]], np.int64), pb.D_TYPE_INT64)
        batch = read_batch(_with(key, value))
        assert list(batch) == [key]
        assert batch[key].tolist() == [[1, 2]]

    def test_what_is_not_sent_is_not_there(self):
        assert read_batch(pb.InputBatch()) == {}

    @pytest.mark.parametrize("key", ["frame_id", "mesu_index"])
    def test_numbers_of_no_frames_are_left_out(self, key):
        empty = pb.Tensor(shape=[0], dtype=pb.D_TYPE_INT64, raw_data=b"")
        assert read_batch(_with(key, empty)) == {}

    def test_inputs_by_name_come_beside_them(self):
        tensors = {"prior": _tensor(np.array([0.5], np.float32), pb.D_TYPE_FLOAT32)}
        assert read_batch(pb.InputBatch(extra_inputs=tensors))["prior"].tolist() == [0.5]

    def test_text_is_text(self):
        assert read_batch(pb.InputBatch(text_prompt="a ship")) == {"text_prompt": "a ship"}

    def test_boxes_are_mappings_and_have_an_object_only_where_one_is_named(self):
        boxes = [
            pb.BoundingBox(element_id=1, x_min=2, y_min=3, x_max=4, y_max=5),
            pb.BoundingBox(element_id=6, object_id=0),
        ]
        batch = read_batch(pb.InputBatch(bboxes=pb.BoundingBoxes(boxes=boxes)))
        assert batch["bboxes"][0] == {"element_id": 1, "x_min": 2, "y_min": 3, "x_max": 4, "y_max": 5}
        assert batch["bboxes"][1]["object_id"] == 0

    @pytest.mark.parametrize(
        ("code", "name"),
        [
            (pb.POINT_TYPE_POSITIVE, "positive"),
            (pb.POINT_TYPE_NEGATIVE, "negative"),
            (pb.POINT_TYPE_NEUTRAL, "neutral"),
            (pb.POINT_TYPE_UNSPECIFIED, "neutral"),
            (99, "neutral"),
        ],
    )
    def test_points_have_a_named_type(self, code, name):
        points = pb.Points(points=[pb.Point(element_id=1, x=0.5, y=1.5, type=code)])
        batch = read_batch(pb.InputBatch(points=points))
        assert batch["points"] == [{"element_id": 1, "x": 0.5, "y": 1.5, "type": name}]


class TestTensors:
    @pytest.mark.parametrize(("code", "dtype"), DTYPES.items())
    def test_each_type_of_the_wire_is_one_of_torch(self, code, dtype):
        values = torch.tensor([[0, 1, 2], [3, 1, 0]]).to(dtype)
        message = pb.Tensor(shape=values.shape, dtype=code, raw_data=values.numpy().tobytes())
        found = read_tensor(message, name="cube")
        assert found.dtype == dtype
        assert torch.equal(found, values)

    @pytest.mark.parametrize(
        ("message", "text"),
        [
            (pb.Tensor(shape=[1], raw_data=b"1234"), "cube: Unsupported dtype: 0"),
            (pb.Tensor(shape=[2], dtype=pb.D_TYPE_INT32, raw_data=b"1234"), "cube: "),
            (pb.Tensor(shape=[1], dtype=pb.D_TYPE_INT32, raw_data=b"12345"), "cube: "),
            (pb.Tensor(shape=[-2], dtype=pb.D_TYPE_UINT8, raw_data=b"12"), "cube: "),
        ],
        ids=["no type", "too short", "too long", "no shape"],
    )
    def test_a_payload_that_does_not_fit_is_refused_by_name(self, message, text):
        with pytest.raises(InputInvalid, match=text):
            read_tensor(message, name="cube")


class TestSharedMemory:
    @pytest.fixture
    def name(self):
        """A name for something in shared memory, which is removed after the test."""
        name = f"swath-{uuid.uuid4()}"
        yield name
        place = Path("/dev/shm", name)
        if place.is_dir() and not place.is_symlink():
            place.rmdir()
        else:
            place.unlink(missing_ok=True)

    def _read(self, name, size=4, code=pb.D_TYPE_UINT8):
        reference = pb.ShmRef(name=name, byte_offset=0, byte_size=size)
        tensor = pb.Tensor(shape=[size], dtype=code, shm_ref=reference)
        return read_tensor(tensor, name="cube", shared=read_own)

    def test_a_link_to_another_file_is_not_followed(self, name, tmp_path):
        (tmp_path / "secret").write_bytes(b"1234")
        os.symlink(tmp_path / "secret", f"/dev/shm/{name}")
        with pytest.raises(FileMissing, match="cube: "):
            self._read(name)

    def test_a_folder_is_no_segment(self, name):
        os.mkdir(f"/dev/shm/{name}")
        with pytest.raises(InputInvalid, match=r"cube: the segment .* expected 4"):
            self._read(name)

    def test_a_segment_that_is_too_small_is_said_to_be(self, name):
        Path("/dev/shm", name).write_bytes(b"123")
        with pytest.raises(InputInvalid, match="has 3 bytes, expected 4"):
            self._read(name)

    def test_a_type_that_the_wire_does_not_know_is_refused_before_it_is_opened(self, name):
        with pytest.raises(InputInvalid, match="cube: Unsupported dtype: 0"):
            self._read(name, code=pb.D_TYPE_UNSPECIFIED)

    def test_nothing_is_kept_open(self, name):
        Path("/dev/shm", name).write_bytes(b"1234")
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            self._read(name)
            with pytest.raises(InputInvalid):
                self._read(name, size=5)
        assert len(os.listdir("/proc/self/fd")) == before


class TestAnswer:
    @pytest.mark.parametrize(("code", "dtype"), DTYPES.items())
    def test_each_type_of_the_wire_goes_out_as_it_came_in(self, code, dtype):
        values = torch.tensor([[0, 1], [1, 0]]).to(dtype)
        message = _answer({"node.port": values}).outputs["node.port"]
        assert (message.dtype, list(message.shape)) == (code, [2, 2])
        assert torch.equal(read_tensor(message, name=""), values)

    @pytest.mark.parametrize("elements", [LARGE - 1, LARGE, LARGE + 1])
    def test_small_and_large_tensors_read_the_same(self, elements):
        values = torch.arange(elements, dtype=torch.int64).to(torch.uint8)
        message = _answer({"node.port": values}).outputs["node.port"]
        assert message.raw_data == values.numpy().tobytes()

    def test_numbers_are_metrics_and_truth_values_are_nothing(self):
        answer = _answer({"m.loss": 0.5, "m.count": 3, "m.done": True})
        assert dict(answer.metrics) == {"m.loss": 0.5, "m.count": 3.0}
        assert not answer.outputs

    @pytest.mark.parametrize(
        ("value", "shape", "code"),
        [
            ([1, 2, 3], [3], pb.D_TYPE_INT64),
            ([[0.5], [1.5]], [2, 1], pb.D_TYPE_FLOAT32),
            ((True, False), [2], pb.D_TYPE_BOOL),
        ],
    )
    def test_lists_of_numbers_are_tensors(self, value, shape, code):
        message = _answer({"node.boxes": value}).outputs["node.boxes"]
        assert (list(message.shape), message.dtype) == (shape, code)

    @pytest.mark.parametrize("value", [[], [[1], [2, 3]], ["a"], [{"x": 1}], {"a": 1}, "text", None])
    def test_what_has_no_form_on_the_wire_is_left_out(self, value):
        answer = _answer({"node.port": value, "node.other": torch.zeros(1)}, "port")
        assert list(answer.outputs) == ["node.other"]

    def test_a_type_that_the_wire_does_not_have_is_left_out(self):
        assert not _answer({"node.port": torch.zeros(2, dtype=torch.bfloat16)}).outputs

    @pytest.mark.parametrize("wanted", ["port", "node.port"])
    def test_unless_it_was_asked_for_by_name(self, wanted):
        with pytest.raises(InputInvalid, match=r"node\.port"):
            _answer({"node.port": torch.zeros(2, dtype=torch.complex64)}, wanted)
