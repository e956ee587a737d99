"""Errors of calls to other services, as the errors that were raised there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from google.rpc import error_details_pb2, status_pb2

from swath.errors import SwathError, TimedOut, Unavailable, restore
from swath.rpc.server.interceptor import DETAILS_KEY


def error_of(failed: grpc.aio.AioRpcError, service: str) -> SwathError:
    """Return the error that a call to another service failed with.

    What that service said is passed on as it is. What the way there said (nobody listens, the connection broke) becomes
    Unavailable, since nobody outside knows that way.

    Args:
        failed: As gRPC raised it.
        service: Name of the service, for people.
    """
    code = failed.code()
    for key, value in failed.trailing_metadata() or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            return _told(code, failed.details() or "", value)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return TimedOut(f"the {service} service did not answer in time")
    return Unavailable(f"the {service} service cannot be reached: {failed.details()}", retry_after=1.0)


@contextmanager
def calling(service: str) -> Iterator[None]:
    """Raise what a call to a service fails with as an error of the tree.

    Raises:
        SwathError: As that service raised it.
        Unavailable: It could not be reached.
    """
    try:
        yield
    except grpc.aio.AioRpcError as failed:
        raise error_of(failed, service) from failed


def _told(code: grpc.StatusCode, text: str, details: bytes) -> SwathError:
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in status_pb2.Status.FromString(details).details:
        # Unpack leaves alone what is of another type.
        detail.Unpack(info)
        detail.Unpack(retry)
    error = restore(code.name, info.reason, text, info.metadata)
    if retry.HasField("retry_delay"):
        error.retry_after = retry.retry_delay.ToTimedelta().total_seconds()
    return error
