"""Arrays on the wire.

A `Tensor` message holds a shape, a dtype code and C-contiguous little-endian bytes. Two things differ from numpy: an
empty shape means a flat array, so a 0-d array comes back as one element; and one ``-1`` in a shape is worked out from
the length.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swath.client.errors import CodecError
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb

DTYPES: dict[int, np.dtype[Any]] = {
    pb.D_TYPE_FLOAT32: np.dtype("<f4"),
    pb.D_TYPE_FLOAT64: np.dtype("<f8"),
    pb.D_TYPE_INT32: np.dtype("<i4"),
    pb.D_TYPE_INT64: np.dtype("<i8"),
    pb.D_TYPE_UINT8: np.dtype("u1"),
    pb.D_TYPE_BOOL: np.dtype("?"),
    pb.D_TYPE_FLOAT16: np.dtype("<f2"),
    pb.D_TYPE_UINT16: np.dtype("<u2"),
}
"""Wire code -> numpy dtype; all that the wire has a code for."""

_CODES = {dtype.newbyteorder("="): code for code, dtype in DTYPES.items()}


class TensorArray(np.ndarray):
    """A numpy array that may also stand in a ``with`` statement.

    Clients of either generation can use what `proto_to_numpy` returns: older ones as an array, newer ones as
    ``with proto_to_numpy(t) as array:``. Leaving the block does nothing: the array stays usable.
    """

    def __enter__(self) -> NDArray[Any]:
        return self.view(np.ndarray)

    def __exit__(self, *exc: object) -> None:
        return None


def numpy_to_proto(arr: np.ndarray) -> pb.Tensor:
    """Put an array into a Tensor message.

    Args:
        arr: Any shape; float16, float32, float64, int32, int64, uint8, uint16 or bool; any byte order and strides.

    Raises:
        CodecError: A dtype that the wire has no code for.
    """
    code, arr = wire_array(arr)
    return pb.Tensor(shape=arr.shape, dtype=code, raw_data=arr.tobytes())  # pyright: ignore[reportArgumentType]


def wire_array(arr: np.ndarray) -> tuple[int, np.ndarray]:
    """The wire code of an array's dtype, and the array in the byte order of the wire.

    Raises:
        CodecError: A dtype that the wire has no code for.
    """
    arr = np.asarray(arr)
    native = arr.dtype.newbyteorder("=")
    code = _CODES.get(native)
    if code is None:
        known = ", ".join(str(dtype) for dtype in _CODES)
        raise CodecError(f"no wire code for dtype {arr.dtype}; convert the array to one of {known}")
    if arr.dtype.byteorder == ">" or (sys.byteorder == "big" and arr.dtype.byteorder == "="):
        arr = arr.astype(DTYPES[code])
    return code, arr


def tensor_to_proto(tensor: Any) -> pb.Tensor:
    """Put a torch tensor (or anything that numpy can read) into a Tensor message.

    Torch itself is not imported: a tensor is known by its ``detach``, and is copied to the host if it must be.

    Raises:
        CodecError: A dtype that the wire has no code for, such as bfloat16.
    """
    return numpy_to_proto(host_array(tensor))


def host_array(tensor: Any) -> np.ndarray:
    """A torch tensor, or anything that numpy can read, as an array.

    Raises:
        CodecError: A dtype that numpy has none for, such as bfloat16.
    """
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu()
        try:
            tensor = tensor.numpy()
        except TypeError as error:
            raise CodecError(f"no wire code for dtype {tensor.dtype}: {error}") from None
    return np.asarray(tensor)


def proto_to_numpy(tensor_proto: pb.Tensor, copy: bool = True) -> TensorArray:
    """Take the array out of a Tensor message.

    Args:
        tensor_proto: With bytes inside; references to shared memory are for servers and refused here.
        copy: True gives an array of its own that may be written to; False a read-only view of the message's bytes.

    Returns:
        The array; it can also stand in a ``with`` statement (see `TensorArray`).

    Raises:
        CodecError: Unknown dtype, or bytes that do not fit the shape.
    """
    dtype = DTYPES.get(tensor_proto.dtype)
    if dtype is None:
        raise CodecError(f"Unsupported dtype: {tensor_proto.dtype}")
    if tensor_proto.WhichOneof("payload") == "shm_ref":
        raise CodecError("the tensor refers to shared memory, which only a server may open")
    raw = tensor_proto.raw_data
    if len(raw) % dtype.itemsize:
        raise CodecError(f"{len(raw)} bytes are no whole number of {dtype} elements")
    flat = np.frombuffer(raw, dtype=dtype)
    array = flat.reshape(_shape(tuple(tensor_proto.shape), flat.size))
    return (array.copy() if copy else array).view(TensorArray)


def _shape(shape: tuple[int, ...], size: int) -> tuple[int, ...]:
    if not shape:
        return (size,)
    known = math.prod(dim for dim in shape if dim != -1)
    open_dims = shape.count(-1)
    if min(shape) < -1 or open_dims > 1:
        raise CodecError(f"shape {list(shape)} is not a shape")
    fits = size == known if open_dims == 0 else known > 0 and size % known == 0
    if not fits:
        raise CodecError(f"cannot reshape array of size {size} into shape {list(shape)}")
    return shape
