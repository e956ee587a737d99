"""Python values between replicas: pickle 5, large buffers beside it. Only processes of one application read them."""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from typing import Any

import cloudpickle

from swath.serve.transport.frames import SCRATCH, Buffer


class _ByValue(cloudpickle.Pickler):
    pass


def pack(value: Any, by_value: bool = False) -> tuple[tuple[int, ...], list[Buffer]]:
    """Return the parts of a value and their sizes.

    Args:
        value: Any value that cloudpickle takes.
        by_value: Whether classes of the main module travel with it: in a driver, since replicas do not have
            its main module.

    Raises:
        Exception: It cannot be pickled; whatever its class raises.
    """
    large: list[pickle.PickleBuffer] = []

    def beside(buffer: pickle.PickleBuffer) -> bool:
        if buffer.raw().nbytes < SCRATCH:
            return True
        large.append(buffer)
        return False

    if by_value:
        head = _cloudpickled(value, beside)
    else:
        try:
            head = pickle.dumps(value, 5, buffer_callback=beside)
        except (pickle.PicklingError, AttributeError, TypeError):
            large.clear()
            head = _cloudpickled(value, beside)
    parts: list[Buffer] = [head, *(each.raw() for each in large)]
    return tuple(len(each) for each in parts), parts


def _cloudpickled(value: Any, beside: Any) -> bytes:
    out = io.BytesIO()
    _ByValue(out, 5, buffer_callback=beside).dump(value)
    return out.getvalue()


def unpack(sizes: Sequence[int], payload: Buffer) -> Any:
    """Return the value of parts that lie one after another. Large arrays in it are views of `payload`."""
    if len(sizes) == 1:
        return pickle.loads(payload)
    view = memoryview(payload)
    buffers: list[memoryview] = []
    start = sizes[0]
    for size in sizes[1:]:
        buffers.append(view[start : start + size])
        start += size
    return pickle.loads(view[: sizes[0]], buffers=buffers)
