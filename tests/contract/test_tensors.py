"""Tensors and batches on the wire: what a client may send, where it goes, what comes back."""

import json
from typing import Any

import numpy as np
import pytest

from swath.client import numpy_to_proto, proto_to_numpy
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb

DATA = {"name": "data", "class_name": "cuvis_ai.node.data.CU3SDataNode"}
FLOAT = pb.D_TYPE_FLOAT32
WAVELENGTHS = np.array([[400, 500, 600]], dtype=np.int32)
CUBE = np.arange(48, dtype=np.float32).reshape(1, 4, 4, 3)


@pytest.fixture
def infer(stub, session):
    """Runs the session's pipeline on a batch of the given fields."""

    def call(*outputs: str, **fields: Any) -> pb.InferenceResponse:
        sent: dict[str, Any] = {
            key: numpy_to_proto(each) if isinstance(each, np.ndarray) else each for key, each in fields.items()
        }
        batch = pb.InputBatch(**sent)
        return stub.Inference(pb.InferenceRequest(session_id=session, inputs=batch, output_specs=outputs))

    return call


def _array(tensor: pb.Tensor) -> np.ndarray:
    return np.asarray(proto_to_numpy(tensor))


@pytest.mark.parametrize(
    ("code", "dtype"),
    [(1, "<f4"), (2, "<f8"), (3, "<i4"), (4, "<i8"), (5, "<u1"), (6, "?"), (7, "<f2"), (8, "<u2")],
    ids=["float32", "float64", "int32", "int64", "uint8", "bool", "float16", "uint16"],
)
def test_every_element_type_is_its_bytes_in_row_order(load, infer, code, dtype):
    load(DATA)
    values = (np.arange(48).reshape(1, 4, 4, 3) % 5).astype(dtype)
    sent = pb.Tensor(shape=values.shape, dtype=code, raw_data=values.tobytes())
    answer = infer(cube=sent, wavelengths=WAVELENGTHS).outputs["data.cube"]
    assert (answer.dtype, list(answer.shape)) == (pb.D_TYPE_FLOAT32, [1, 4, 4, 3])
    assert answer.raw_data == values.astype("<f4").tobytes()


def test_one_size_may_be_left_to_the_server(load, infer):
    load(DATA)
    sent = pb.Tensor(shape=[1, -1, 4, 3], dtype=pb.D_TYPE_FLOAT32, raw_data=CUBE.tobytes())
    np.testing.assert_array_equal(_array(infer(cube=sent, wavelengths=WAVELENGTHS).outputs["data.cube"]), CUBE)


def test_no_shape_is_a_row_of_numbers(load, infer):
    load({"name": "top", "class_name": "cuvis_ai.node.channel_selector.TopKIndices", "hparams": {"k": 2}})
    weights = pb.Tensor(dtype=pb.D_TYPE_FLOAT32, raw_data=np.array([0.1, 0.7, 0.2], dtype="<f4").tobytes())
    answer = infer(extra_inputs={"weights": weights}).outputs["top.indices"]
    assert (answer.dtype, sorted(_array(answer).tolist())) == (pb.D_TYPE_INT64, [1, 2])


def test_a_batch_of_no_frames_gives_none(load, infer):
    load(DATA)
    empty = infer("data.cube", cube=CUBE[:0], wavelengths=WAVELENGTHS).outputs["data.cube"]
    assert list(empty.shape) == [0, 4, 4, 3]


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (pb.Tensor(shape=[1, 4, 4, 3], dtype=FLOAT, raw_data=bytes(8)), "cannot reshape array of size"),
        (pb.Tensor(shape=[-1, -1, 4, 3], dtype=FLOAT, raw_data=bytes(192)), "-1"),
        (pb.Tensor(shape=[1], raw_data=bytes(4)), "Unsupported dtype: 0"),
        (pb.Tensor(shape=[1, 4, 4, 3], dtype=FLOAT), "cannot reshape array of size 0"),
    ],
    ids=["too short", "two free sizes", "no type", "no payload"],
)
def test_what_is_no_tensor_is_refused(stub, session, load, failure, tensor, words):
    load(DATA)
    batch = pb.InputBatch(cube=tensor, wavelengths=numpy_to_proto(WAVELENGTHS))
    code, text = failure(stub.Inference, pb.InferenceRequest(session_id=session, inputs=batch))
    assert code == "INVALID_ARGUMENT"
    assert text.startswith("cube: ")
    assert words in text


def test_fixed_and_extra_keys_reach_every_free_port_of_their_name(load, infer):
    load(DATA, {**DATA, "name": "other"})
    answer = infer(cube=CUBE, wavelengths=WAVELENGTHS, mask=np.ones((1, 4, 4), dtype=np.int32))
    assert {"data.cube", "other.cube", "data.mask", "other.mask"} <= set(answer.outputs)
    replaced = infer("data.cube", cube=CUBE, wavelengths=WAVELENGTHS, extra_inputs={"cube": numpy_to_proto(CUBE + 1)})
    np.testing.assert_array_equal(_array(replaced.outputs["data.cube"]), CUBE + 1)


def test_pictures_and_numbers_of_frames_and_measurements_have_fields_of_their_own(load, infer):
    load(DATA, {"name": "video", "class_name": "cuvis_ai.node.video.VideoFrameNode"})
    picture = np.random.default_rng(1).random((1, 4, 4, 3), dtype=np.float32)
    answer = infer(
        cube=CUBE,
        wavelengths=WAVELENGTHS,
        rgb_image=picture,
        frame_id=np.array([7]),
        mesu_index=np.array([3]),
    )
    np.testing.assert_array_equal(_array(answer.outputs["video.rgb_image"]), picture)
    assert _array(answer.outputs["video.frame_id"]).tolist() == [7]
    assert _array(answer.outputs["data.mesu_index"]).tolist() == [3]


def test_numbers_of_no_elements_are_as_if_not_sent(load, infer):
    load(DATA)
    answer = infer(cube=CUBE, wavelengths=WAVELENGTHS, mesu_index=np.zeros(0, dtype=np.int64))
    assert "data.mesu_index" not in answer.outputs


def test_what_has_no_form_on_the_wire_is_left_out(load, infer):
    load(DATA, {"name": "ndvi", "class_name": "cuvis_ai.node.channel_selector.NDVISelector"}, edges=INTO_NDVI)
    answer = infer(cube=CUBE, wavelengths=np.array([[560, 668, 827]], dtype=np.int32))
    assert {"ndvi.rgb_image", "ndvi.index_image"} <= set(answer.outputs)
    assert "ndvi.band_info" not in answer.outputs


INTO_NDVI = (("data.cube", "ndvi.cube"), ("data.wavelengths", "ndvi.wavelengths"))


def test_outputs_are_asked_for_in_full_or_by_port(load, infer):
    load(DATA, {**DATA, "name": "other"})
    batch = {"cube": CUBE, "wavelengths": WAVELENGTHS}
    assert set(infer("cube", **batch).outputs) == {"data.cube", "other.cube"}
    assert set(infer("data.cube", **batch).outputs) == {"data.cube"}
    assert set(infer("data.cube", "nothing", **batch).outputs) == {"data.cube"}
    assert not infer("nothing", **batch).outputs


@pytest.mark.parametrize("dtype", [np.int32, np.float32, np.float64])
def test_wavelengths_of_any_type_are_taken(load, infer, dtype):
    load(DATA)
    answer = infer(cube=CUBE, wavelengths=WAVELENGTHS.astype(dtype)).outputs["data.wavelengths"]
    assert _array(answer).tolist() == [400, 500, 600]


def test_missing_inputs_are_named(stub, session, load, failure):
    load(DATA)
    batch = pb.InputBatch(wavelengths=numpy_to_proto(WAVELENGTHS))
    code, text = failure(stub.Inference, pb.InferenceRequest(session_id=session, inputs=batch))
    assert code == "INVALID_ARGUMENT"
    assert "Node 'data' missing required inputs: ['cube']" in text


def test_a_pipeline_without_nodes_gives_nothing(stub, session, infer):
    document = pb.PipelineConfig(config_bytes=json.dumps({"nodes": [], "connections": []}).encode())
    stub.LoadPipeline(pb.LoadPipelineRequest(session_id=session, pipeline=document))
    answer = infer(cube=CUBE)
    assert not answer.outputs
    assert not answer.metrics
