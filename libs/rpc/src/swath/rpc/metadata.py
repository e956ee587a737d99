"""How much metadata (tokens, traces, answers' details) a call may carry, either way."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

Metadata = Iterable[tuple[str, str | bytes]]
"""Names and values, as gRPC's contexts give them."""

MAX_METADATA_BYTES = 32 * 1024
"""Unless settings say otherwise."""

ROOM_BYTES = 4 * 1024
"""What gRPC (some 600 bytes) and a gateway (addresses, the client's certificate, trace and request) add to the metadata
of a call. Servers take so much more than the limit, count what is the client's, and say what is wrong with it."""


def metadata_options(limit: int) -> list[tuple[str, int]]:
    """Return the options by which one end of a call takes metadata up to a limit, and none above.

    Between its two limits gRPC refuses at random: here they are one.

    Args:
        limit: In bytes.
    """
    return [("grpc.max_metadata_size", limit), ("grpc.absolute_max_metadata_size", limit)]


MODEL = "swath-model"
"""Says which published model a call is for: gateways, which do not read messages, may go by it."""

_KEY = re.compile(r"[0-9a-z_.-]+")
_OPEN = ("grpc-status-details-bin", "grpc-retry-pushback-ms")
"""Of gRPC's own keys those that a server may set."""
_MODEL_NAME = re.compile(r"[\w.-]{1,128}", re.ASCII)
_ADDED = ("user-agent", "x-envoy-", "x-forwarded-", "x-request-id", "traceparent", "tracestate")


def by_name(metadata: Metadata | None) -> dict[str, str | bytes]:
    """Return the values of metadata by their names; of a name that is there twice, the last one."""
    # Not dict(metadata): what grpc.aio gives has keys, which are pairs in some of its releases.
    return {} if metadata is None else dict(iter(metadata))


def all_bytes(metadata: Metadata) -> int:
    """Return the size of metadata: names, values, and 32 for each entry."""
    size = 0
    for key, value in metadata:
        size += len(key) + len(value) + 32
    return size


def client_bytes(metadata: Metadata) -> int:
    """Return the size of a client's metadata, without what others may add."""
    return all_bytes(each for each in metadata if not each[0].startswith(_ADDED))


def model_metadata(model: str) -> list[tuple[str, str]]:
    """Return the metadata of a call of a published model; none for what is no name of one."""
    return [(MODEL, model)] if _MODEL_NAME.fullmatch(model) else []


def sendable(metadata: Any) -> tuple[tuple[str, str | bytes], ...]:
    """Return metadata as pairs that HTTP/2 can carry: with others gRPC ends a call without a word, or not at all.

    Args:
        metadata: Pairs of a key and a value; None for none.

    Raises:
        ValueError: They are not so. The text names the key.
    """
    return tuple(_sendable(each) for each in metadata or ())


def _sendable(pair: Any) -> tuple[str, str | bytes]:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise ValueError(f"metadata: expected pairs of a key and a value, got {pair!r}")
    key, value = pair
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise ValueError(f"metadata: expected a key of a-z, 0-9, '-', '_' and '.', got {key!r}")
    if key.startswith("grpc-") and key not in _OPEN:
        raise ValueError(f"metadata: keys with 'grpc-' are gRPC's own, got {key!r}")
    if key.endswith("-bin"):
        if not isinstance(value, bytes):
            raise ValueError(f"metadata {key}: expected bytes, got {type(value).__name__}")
        return key, value
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    if not isinstance(value, str):
        raise ValueError(f"metadata {key}: expected a str, got {type(value).__name__}")
    if not (value.isascii() and value.isprintable()):
        raise ValueError(f"metadata {key}: expected printable ASCII, got {value!r}; a key with -bin takes bytes")
    return key, value
