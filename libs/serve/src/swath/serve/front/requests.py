"""What the metadata of a request says: which application it is for, and what its id is."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence

import grpc
import structlog
from opentelemetry import trace

from swath.errors import InvalidInput, NotFound
from swath.rpc.tracing import traceparent
from swath.serve.exchange import RequestFacts

MAX_ID = 4096
"""Most characters of a request's id: it comes back in trailers, of which clients take 8 KiB by default."""

_PING = "Ping /ray.serve.RayServeAPIService/ListApplications for available applications."

REQUEST_ID = "request_id"
Trailers = tuple[tuple[str, str | bytes], ...]


def identify(context: grpc.aio.ServicerContext) -> str:
    """Return the id of a call's request, and have it come first in the call's trailers, however the call ends.

    Asked twice about a call, it says the same.

    Raises:
        InvalidInput: The client's cannot be sent back. The trailers then have a new one.
    """
    if known := id_in_trailers(context):
        return known
    sent = ""
    for key, value in context.invocation_metadata() or ():
        if key == REQUEST_ID:
            sent = value
    usable = isinstance(sent, str) and sent.isascii() and sent.isprintable() and len(sent) <= MAX_ID
    request_id = str(sent) if sent and usable else str(uuid.uuid4())
    context.set_trailing_metadata(((REQUEST_ID, request_id),))
    structlog.contextvars.bind_contextvars(request=request_id)
    if not usable:
        raise InvalidInput(f"metadata request_id: expected at most {MAX_ID} characters of printable ASCII, got others")
    return request_id


def id_in_trailers(context: grpc.aio.ServicerContext) -> str:
    """Return the id that `identify` has put into the trailers; empty before."""
    first = next(iter(context.trailing_metadata() or ()), None)
    return "" if first is None else str(first[1])


def read_request(context: grpc.aio.ServicerContext, names: Sequence[str], timeout_s: float | None) -> RequestFacts:
    """Return what travels with a request.

    Args:
        context: The call's.
        names: Of the applications.
        timeout_s: Seconds that every call has; None for all it wants.

    Raises:
        InvalidInput: The request's id cannot be sent back.
        NotFound: Which application it is for is not said, or there is none of the name.
    """
    request_id = identify(context)
    metadata = tuple((key, value) for key, value in context.invocation_metadata() or ())
    said: dict[str, str] = {}
    for key, value in metadata:
        if key in _KEYS:
            said[key] = str(value)
    application = choose(said.get("application", ""), names)
    structlog.contextvars.bind_contextvars(application=application)
    span = trace.get_current_span()
    if span.is_recording():
        span.set_attributes({"swath.application": application, "swath.request": request_id})
    return RequestFacts(
        request_id=request_id,
        application=application,
        sent_request_id=said.get(REQUEST_ID) or None,
        sent_application=said.get("application"),
        multiplexed_model_id=said.get("multiplexed_model_id", ""),
        session_id=said.get("session_id", ""),
        metadata=metadata,
        peer=context.peer(),
        auth={key: tuple(values) for key, values in context.auth_context().items()},
        deadline=_deadline(context.time_remaining(), timeout_s),
        traceparent=traceparent(),
    )


_KEYS = frozenset(("application", REQUEST_ID, "multiplexed_model_id", "session_id"))


def choose(sent: str, names: Sequence[str]) -> str:
    """Return the application that a request is for.

    Ray gives every request to the only application, whatever name it has; here a wrong name is always refused.

    Args:
        sent: Name in the metadata, empty for none; of several the last one.
        names: Of the applications.

    Raises:
        NotFound: None is named and there is not exactly one, or there is none of the name.
    """
    if not sent:
        if len(names) == 1:
            return names[0]
        raise NotFound(f"Application metadata not set. {_PING}")
    if sent not in names:
        raise no_application(sent)
    return sent


def no_application(name: str) -> NotFound:
    """Return what a client is told of an application that does not exist."""
    return NotFound(f"Application '{name}' not found. {_PING}")


def _deadline(remaining_s: float | None, timeout_s: float | None) -> float | None:
    given = [each for each in (remaining_s, timeout_s) if each is not None]
    return time.time() + min(given) if given else None
