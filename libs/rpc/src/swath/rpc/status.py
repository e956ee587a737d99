"""Errors of Swath as gRPC statuses with google.rpc details."""

from __future__ import annotations

from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode

from swath.errors import SwathError

DOMAIN = "swath"
DETAILS_KEY = "grpc-status-details-bin"
"""Trailer that holds the serialized google.rpc.Status."""

MESSAGE_BYTES = 2048
"""Most bytes of a message, as the wire encodes it. Clients take 8 KiB of trailers by default.

It is sent twice, as grpc-message and in the details: clients refuse details whose message is another.
"""

METADATA_ENTRIES = 8
METADATA_BYTES = 256
"""Most bytes of each value in ErrorInfo's metadata."""


def code_of(error: SwathError) -> StatusCode:
    """Return the status code of an error."""
    return StatusCode[error.code]


def short(message: str, limit: int = MESSAGE_BYTES) -> str:
    """Return a message cut to what trailers carry: one byte for a printable ASCII character, three for other bytes."""
    # Half a surrogate pair, which JSON may spell, has no UTF-8.
    message = message.encode(errors="replace").decode()
    size = 0
    for index, character in enumerate(message):
        size += 1 if " " <= character <= "~" and character != "%" else 3 * len(character.encode())
        if size > limit:
            return f"{message[:index]}... ({len(message)} characters in all)"
    return message


def details_of(error: SwathError) -> bytes:
    """Return the serialized google.rpc.Status of an error: ErrorInfo, and RetryInfo where a retry may help."""
    metadata = {key: short(value, METADATA_BYTES) for key, value in list(error.metadata.items())[:METADATA_ENTRIES]}
    details: list[Message] = [error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata)]
    if error.retry_after is not None:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(int(error.retry_after * 1e9))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    packed = []
    for detail in details:
        box = any_pb2.Any()
        box.Pack(detail)
        packed.append(box)
    status = status_pb2.Status(code=code_of(error).value[0], message=short(error.message), details=packed)
    return status.SerializeToString()


def read_details(serialized: bytes) -> tuple[error_details_pb2.ErrorInfo, float | None]:
    """Return what the value of a `DETAILS_KEY` trailer holds.

    Returns:
        ErrorInfo, empty where there is none; and the seconds of RetryInfo, None where there is none.
    """
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in status_pb2.Status.FromString(serialized).details:
        # Unpack leaves its argument as it is where the detail is of another type.
        detail.Unpack(info)
        detail.Unpack(retry)
    return info, retry.retry_delay.ToTimedelta().total_seconds() if retry.HasField("retry_delay") else None
