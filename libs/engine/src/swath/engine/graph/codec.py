"""Tensors as shape, type and bytes, as they are sent.

Bytes are C-contiguous and little-endian. `view_bytes` and `bytes_of` know torch's types; each protocol has its own
names for them: `decode` and `encode` take the codes of the public API's DType, `OIP_DTYPES` has the names of the Open
Inference Protocol. Copies are avoided.
"""

from __future__ import annotations

import math
import struct
import warnings
from collections.abc import Iterable, Sequence
from types import MappingProxyType

import numpy as np
import torch

from swath.errors import InputInvalid

DTYPES = MappingProxyType(
    {
        1: torch.float32,
        2: torch.float64,
        3: torch.int32,
        4: torch.int64,
        5: torch.uint8,
        6: torch.bool,
        7: torch.float16,
        8: torch.uint16,
    }
)
"""torch dtypes by their code."""

CODES = MappingProxyType({dtype: code for code, dtype in DTYPES.items()})
"""Codes by torch dtype."""

OIP_DTYPES = MappingProxyType(
    {
        "BOOL": torch.bool,
        "UINT8": torch.uint8,
        "UINT16": torch.uint16,
        "UINT32": torch.uint32,
        "UINT64": torch.uint64,
        "INT8": torch.int8,
        "INT16": torch.int16,
        "INT32": torch.int32,
        "INT64": torch.int64,
        "FP16": torch.float16,
        "BF16": torch.bfloat16,
        "FP32": torch.float32,
        "FP64": torch.float64,
    }
)
"""torch dtypes by their name in the Open Inference Protocol; BYTES is none, see `split_strings`."""

_BFLOAT16 = torch.bfloat16
# numpy has no bfloat16: its bits are read as integers.
_NUMPY = {
    dtype: np.dtype("<i2" if dtype is _BFLOAT16 else str(dtype).removeprefix("torch.")).newbyteorder("<")
    for dtype in {*DTYPES.values(), *OIP_DTYPES.values()}
}
_BY_CODE = {code: (dtype, _NUMPY[dtype]) for code, dtype in DTYPES.items()}
_LENGTH = struct.Struct("<I")

# torch warns, once in a process, that a tensor over read-only memory may be written to. Nobody else uses the payload of
# a request, so that does no harm.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    torch.from_numpy(np.frombuffer(b"\0", np.uint8))

_MAX_ELEMENTS = 2**60


def decode(shape: Sequence[int], code: int, data: bytes | memoryview, *, name: str = "tensor") -> torch.Tensor:
    """Return a tensor over the given bytes, without a copy unless they are misaligned for that type.

    Args:
        shape: Sizes; empty means one flat dimension (not a scalar); one -1 is inferred.
        code: Type code, see `DTYPES`.
        data: C-contiguous little-endian bytes.
        name: Its name in error messages.

    Raises:
        InputInvalid: Unknown code, or bytes that do not fill the shape.
    """
    known = _BY_CODE.get(code)
    if known is None:
        raise InputInvalid(f"{name}: Unsupported dtype: {code}; expected one of {sorted(DTYPES)}")
    return _over(tuple(shape), known[0], known[1], data, name)


def view_bytes(
    shape: Sequence[int], dtype: torch.dtype, data: bytes | memoryview, *, name: str = "tensor"
) -> torch.Tensor:
    """As `decode`, for a torch dtype out of `DTYPES` or `OIP_DTYPES`."""
    return _over(tuple(shape), dtype, _NUMPY[dtype], data, name)


def _over(
    shape: tuple[int, ...], dtype: torch.dtype, kind: np.dtype, data: bytes | memoryview, name: str
) -> torch.Tensor:
    size = len(data)
    if size % kind.itemsize:
        raise InputInvalid(
            f"{name}: {size} bytes are no whole number of {str(dtype).removeprefix('torch.')} elements of "
            f"{kind.itemsize} bytes"
        )
    count = size // kind.itemsize
    if not shape:
        shape = (count,)
    elif not count or min(shape) < 0 or math.prod(shape) != count:
        shape = _fill(shape, count, name)
    if not count:
        return torch.empty(shape, dtype=dtype)
    flat = np.frombuffer(data, kind)
    if dtype is torch.bool and flat.view(np.uint8).max() > 1:
        # Any byte but 0 is true; what comes back is 1.
        flat = flat.view(np.uint8) != 0
    elif not flat.flags.aligned:
        flat = flat.copy()
    tensor = torch.from_numpy(flat.reshape(shape) if len(shape) <= 32 else flat)
    if len(shape) > 32:
        # More dimensions than numpy may have.
        tensor = tensor.view(shape)
    return tensor.view(_BFLOAT16) if dtype is _BFLOAT16 else tensor


def _fill(shape: tuple[int, ...], count: int, name: str) -> tuple[int, ...]:
    # Torch multiplies the sizes into 64 bits, those of an empty tensor too.
    if math.prod(size for size in shape if size > 0) >= _MAX_ELEMENTS:
        raise InputInvalid(f"{name}: cannot reshape array into shape {list(shape)}: it is too large")
    if min(shape) >= 0 and math.prod(shape) == count:
        return shape
    unknown = [index for index, size in enumerate(shape) if size == -1]
    known = math.prod(size for size in shape if size != -1)
    if len(unknown) == 1 and known > 0 and count % known == 0:
        return tuple(count // known if size == -1 else size for size in shape)
    raise InputInvalid(f"{name}: cannot reshape array of size {count} into shape {list(shape)}")


def encode(tensor: torch.Tensor, *, name: str = "tensor") -> tuple[tuple[int, ...], int, memoryview]:
    """Return shape, type code and bytes of a tensor on any device; the bytes are not copied where that is possible.

    Raises:
        InputInvalid: The element type has no code.
    """
    code = CODES.get(tensor.dtype)
    if code is None:
        raise InputInvalid(
            f"{name}: {str(tensor.dtype).removeprefix('torch.')} cannot be sent; "
            f"it can be as one of {[str(dtype).removeprefix('torch.') for dtype in CODES]}"
        )
    return tuple(tensor.shape), code, bytes_of(tensor)


def bytes_of(tensor: torch.Tensor) -> memoryview:
    """Return the bytes of a tensor on any device, a copy only if need be; of a dtype of `DTYPES` or `OIP_DTYPES`."""
    if tensor.dtype is _BFLOAT16:
        tensor = tensor.contiguous().view(torch.int16)
    host = tensor.numpy(force=True)
    if not host.flags.c_contiguous:
        host = np.ascontiguousarray(host)
    # A view of no elements has no bytes to cast.
    return host.data.cast("B") if host.size else memoryview(b"")


def split_strings(data: bytes | memoryview, count: int, *, name: str = "tensor") -> list[bytes]:
    """Return the elements of a BYTES tensor of the Open Inference Protocol: each is its length, uint32, and its bytes.

    Args:
        data: All of them, one after another.
        count: How many there are to be.
        name: Its name in error messages.

    Raises:
        InputInvalid: There are more or fewer, or one ends early.
    """
    found: list[bytes] = []
    position, end = 0, len(data)
    while position < end:
        if end - position < _LENGTH.size:
            raise InputInvalid(f"{name}: incomplete length of element {len(found)}: {end - position} bytes of 4")
        (length,) = _LENGTH.unpack_from(data, position)
        position += _LENGTH.size
        if length > end - position:
            raise InputInvalid(f"{name}: element {len(found)} has {end - position} bytes, expected {length}")
        found.append(bytes(data[position : position + length]))
        position += length
    if len(found) != count:
        raise InputInvalid(f"{name}: expected {count} elements, got {len(found)}")
    return found


def join_strings(values: Iterable[bytes]) -> bytes:
    """Return the elements of a BYTES tensor as they are sent: the other way of `split_strings`."""
    return b"".join([part for value in values for part in (_LENGTH.pack(len(value)), value)])
