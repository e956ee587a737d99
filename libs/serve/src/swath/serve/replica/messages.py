"""The users' protobuf messages, found by the functions that their generated code has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.protobuf.descriptor_pool import Default
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from swath.serve.application import import_attribute
from swath.serve.exchange import Method
from swath.serve.transport.frames import Buffer


class InvalidRequest(Exception):
    """A client's bytes are not the message that the method takes."""


class Messages:
    """Classes of messages by their full names.

    Args:
        servicer_functions: Import paths of generated `add_...Servicer_to_server` functions: importing them declares the
            messages.

    Raises:
        RayServeException: One cannot be imported.
    """

    def __init__(self, servicer_functions: Sequence[str]) -> None:
        for path in servicer_functions:
            import_attribute(path)
        self._classes: dict[str, type[Message]] = {}

    def parse(self, method: Method, body: Buffer) -> Message:
        """Return a request.

        Raises:
            InvalidRequest: The bytes are none.
        """
        try:
            return self._class(method.request_type).FromString(body)  # pyright: ignore[reportArgumentType]  - takes a bytearray too
        except DecodeError:
            raise InvalidRequest(
                f"the request is not the message that this method takes: expected {method.request_type}, got "
                f"{len(body)} bytes that are none"
            ) from None

    def serialize(self, method: Method, answer: Any) -> bytes:
        """Return an answer's bytes.

        Raises:
            TypeError: It is not the message that the method answers with.
        """
        expected = method.response_type
        if not isinstance(answer, Message):
            raise TypeError(f"Method {method.name!r} must give {expected or 'a message'}, got {type(answer).__name__}")
        name = answer.DESCRIPTOR.full_name
        if expected and name != expected:
            raise TypeError(f"Method {method.name!r} must give {expected}, got {name}")
        return answer.SerializeToString()

    def _class(self, name: str) -> type[Message]:
        found = self._classes.get(name)
        if found is None:
            try:
                found = self._classes[name] = GetMessageClass(Default().FindMessageTypeByName(name))
            except KeyError:
                raise TypeError(
                    f"message {name} is not known in the replica: is its servicer function in grpc_servicer_functions?"
                ) from None
        return found
