"""Sessions as messages of swath.session.v1, and back."""

from __future__ import annotations

import dataclasses
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from swath.session.v1 import session_pb2 as pb
from swath.sessions.model import Profiling, Session

SERVICE = "session"
"""Name of the service that answers, for people."""


def message_of(session: Session) -> pb.Session:
    """Return a session as a message."""
    return _filled({each.name: getattr(session, each.name) for each in dataclasses.fields(session)})


def session_of(message: pb.Session) -> Session:
    """Return the session in a message."""
    return Session(**{each.name: _value(message, each.name) for each in dataclasses.fields(Session)})


def changes_message(session_id: str, revision: int, changes: dict[str, Any]) -> pb.UpdateSessionRequest:
    """Return the request that writes some fields."""
    return pb.UpdateSessionRequest(
        id=session_id, revision=revision, values=_filled(changes), mask=FieldMask(paths=sorted(changes))
    )


def changes_of(request: pb.UpdateSessionRequest) -> dict[str, Any]:
    """Return the fields that a request writes."""
    return {path: _value(request.values, path) for path in request.mask.paths}


def _filled(values: dict[str, Any]) -> pb.Session:
    plain: dict[str, Any] = {
        name: pb.Profiling(**dataclasses.asdict(value)) if isinstance(value, Profiling) else value
        for name, value in values.items()
    }
    return pb.Session(**plain)


def _value(message: pb.Session, name: str) -> Any:
    field = message.DESCRIPTOR.fields_by_name[name]
    value: Any = getattr(message, name)
    if field.message_type is not None:
        return Profiling(**{each.name: getattr(value, each.name) for each in field.message_type.fields})
    if field.is_repeated:
        return tuple(value)
    return None if field.has_presence and not message.HasField(name) else value
