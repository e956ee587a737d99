"""Arrays to messages and back."""

import numpy as np
import pytest

from swath.client import CodecError, numpy_to_proto, proto_to_numpy, tensor_to_proto
from swath.client.tensors import DTYPES
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
def test_round_trip_keeps_every_dtype(dtype: np.dtype) -> None:
    array = np.array([[0, 1, 2], [3, 1, 0]]).astype(dtype)
    back = proto_to_numpy(numpy_to_proto(array))
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize("shape", [(1,), (0,), (2, 0, 3), (2, 3, 4, 5)])
def test_round_trip_keeps_shapes_also_without_elements(shape: tuple[int, ...]) -> None:
    assert proto_to_numpy(numpy_to_proto(np.zeros(shape, np.float32))).shape == shape


def test_zero_dimensional_array_comes_back_as_one_element() -> None:
    assert proto_to_numpy(numpy_to_proto(np.array(3.5))).tolist() == [3.5]


def test_empty_shape_means_flat_and_minus_one_is_worked_out() -> None:
    raw = np.arange(6, dtype="<i4").tobytes()
    flat = pb.Tensor(dtype=pb.D_TYPE_INT32, raw_data=raw)
    open_dim = pb.Tensor(dtype=pb.D_TYPE_INT32, shape=[2, -1], raw_data=raw)
    assert proto_to_numpy(flat).shape == (6,)
    assert proto_to_numpy(open_dim).shape == (2, 3)


def test_strides_and_byte_order_of_the_source_do_not_matter() -> None:
    array = np.arange(12, dtype=">f4").reshape(3, 4).T[::2]
    np.testing.assert_array_equal(proto_to_numpy(numpy_to_proto(array)), array)


def test_copy_may_be_written_to_and_view_may_not() -> None:
    message = numpy_to_proto(np.arange(3))
    proto_to_numpy(message)[0] = 7
    assert proto_to_numpy(message)[0] == 0
    assert not proto_to_numpy(message, copy=False).flags.writeable


def test_result_also_stands_in_a_with_statement() -> None:
    with proto_to_numpy(numpy_to_proto(np.arange(3))) as array:
        assert type(array) is np.ndarray
    assert array.tolist() == [0, 1, 2]


def test_torch_tensors_are_known_by_their_look() -> None:
    class Lookalike:
        def detach(self) -> "Lookalike":
            return self

        def cpu(self) -> "Lookalike":
            return self

        def numpy(self) -> np.ndarray:
            return np.ones((2, 2), np.float16)

    assert tensor_to_proto(Lookalike()).dtype == pb.D_TYPE_FLOAT16


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (pb.Tensor(raw_data=b"1234"), "Unsupported dtype: 0"),
        (pb.Tensor(dtype=pb.D_TYPE_INT32, raw_data=b"12345"), "no whole number"),
        (pb.Tensor(dtype=pb.D_TYPE_UINT8, shape=[2, 2], raw_data=b"123"), "cannot reshape array of size 3"),
        (pb.Tensor(dtype=pb.D_TYPE_UINT8, shape=[-1, -1], raw_data=b"1234"), "not a shape"),
        (pb.Tensor(dtype=pb.D_TYPE_UINT8, shape=[0, -1], raw_data=b""), "cannot reshape"),
        (pb.Tensor(dtype=pb.D_TYPE_UINT8, shm_ref=pb.ShmRef(name="x")), "shared memory"),
    ],
)
def test_messages_that_do_not_fit_are_refused(message: pb.Tensor, said: str) -> None:
    with pytest.raises(CodecError, match=said):
        proto_to_numpy(message)


def test_dtype_without_a_code_is_refused_and_named() -> None:
    with pytest.raises(CodecError, match="complex64"):
        numpy_to_proto(np.zeros(2, np.complex64))
