"""Tensors as shape, type code and bytes, as they are sent.

The codes are those of the public API's DType. Bytes are C-contiguous and little-endian. Copies are avoided.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
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

_NUMPY = {code: np.dtype(str(dtype).removeprefix("torch.")).newbyteorder("<") for code, dtype in DTYPES.items()}


class _Writable:
    """An array over read-only memory that claims to be writable.

    torch warns about every tensor over read-only memory. Nobody else uses the payload of a request, so writing to it
    would do no harm. The array keeps the object alive.
    """

    def __init__(self, data: np.ndarray) -> None:
        self._data = data
        interface = dict(data.__array_interface__)
        interface["data"] = (interface["data"][0], False)
        self.__array_interface__ = interface


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
    if code not in DTYPES:
        raise InputInvalid(f"{name}: Unsupported dtype: {code}; expected one of {sorted(DTYPES)}")
    dtype = _NUMPY[code]
    if len(data) % dtype.itemsize:
        raise InputInvalid(
            f"{name}: {len(data)} bytes are no whole number of {dtype.name} elements of {dtype.itemsize} bytes"
        )
    count = len(data) // dtype.itemsize
    sizes = _fill(tuple(shape) or (count,), count, name)
    if count == 0:
        return torch.empty(sizes, dtype=DTYPES[code])
    payload = np.frombuffer(data, dtype=dtype)
    flat = np.asarray(_Writable(payload)) if payload.flags.aligned else payload.copy()
    return torch.from_numpy(flat).view(sizes)


def _fill(shape: tuple[int, ...], count: int, name: str) -> tuple[int, ...]:
    unknown = [index for index, size in enumerate(shape) if size == -1]
    known = math.prod(size for size in shape if size != -1)
    if len(unknown) == 1 and known > 0 and count % known == 0:
        return tuple(count // known if size == -1 else size for size in shape)
    if unknown or any(size < 0 for size in shape) or known != count:
        raise InputInvalid(f"{name}: cannot reshape array of size {count} into shape {list(shape)}")
    return shape


def encode(tensor: torch.Tensor, *, name: str = "tensor") -> tuple[tuple[int, ...], int, memoryview]:
    """Return shape, type code and bytes of a tensor on any device; the bytes are not copied where that is possible.

    Raises:
        InputInvalid: The element type has no code.
    """
    if tensor.dtype not in CODES:
        raise InputInvalid(
            f"{name}: {str(tensor.dtype).removeprefix('torch.')} cannot be sent; "
            f"it can be as one of {[str(dtype).removeprefix('torch.') for dtype in CODES]}"
        )
    host = tensor.detach().cpu().contiguous()
    return tuple(host.shape), CODES[tensor.dtype], host.numpy().reshape(-1).view(np.uint8).data
