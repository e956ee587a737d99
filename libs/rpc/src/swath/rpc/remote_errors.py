"""Errors of calls to other services, as the errors that were raised there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from swath.errors import SwathError, TimedOut, Unavailable, restore
from swath.rpc.status import DETAILS_KEY, read_details


def error_of(failed: grpc.aio.AioRpcError, service: str) -> SwathError:
    """Return the error that a call to another service failed with.

    An error of that service is passed on as it is. One of the connection (nobody listens, it broke) is Unavailable:
    callers outside know nothing of connections within the suite.

    Args:
        failed: As gRPC raised it.
        service: Name of the service, for people.
    """
    code = failed.code()
    for key, value in failed.trailing_metadata() or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            return _restored(code, failed.details() or "", value)
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


def _restored(code: grpc.StatusCode, text: str, details: bytes) -> SwathError:
    info, retry_after = read_details(details)
    error = restore(code.name, info.reason, text, info.metadata)
    if retry_after is not None:
        error.retry_after = retry_after
    return error
