"""How much metadata (tokens, traces, answers' details) a call may carry, either way."""

from __future__ import annotations

import re
from collections.abc import Iterable

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
