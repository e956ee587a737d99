"""Where an Inference call wants its outputs: a place in a region of shared memory, beside the request."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.protobuf.message import DecodeError

from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.errors import InvalidInput

_KEY = "swath-shm-output-bin"


def output_metadata(name: str, offset: int, size: int) -> tuple[tuple[str, bytes], ...]:
    """Return call metadata that has outputs written into a region.

    Args:
        name: The region's.
        offset: Where the place begins, in bytes.
        size: Its bytes.
    """
    return ((_KEY, pb.ShmRef(name=name, byte_offset=offset, byte_size=size).SerializeToString()),)


def output_place(metadata: Iterable[Any]) -> pb.ShmRef | None:
    """Return the place that call metadata names; None if it names none.

    Raises:
        InvalidInput: It is no place.
    """
    for key, value in metadata:
        if key == _KEY:
            try:
                return pb.ShmRef.FromString(value)
            except DecodeError as error:
                raise InvalidInput(f"{_KEY}: expected a ShmRef, got {len(value)} bytes that are none") from error
    return None
