"""The base class of all errors, and how errors cross processes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar


class SwathError(Exception):
    """An error with a status code, a machine-readable reason and a message. The class itself: a fault of the server.

    Args:
        message: What is wrong, where, what was expected and what was found.
        metadata: Small facts for machines (ErrorInfo.metadata), such as node and port.
        retry_after: Seconds after which the same call may succeed (google.rpc.RetryInfo).
    """

    code: ClassVar[str] = "INTERNAL"
    reason: ClassVar[str] = "INTERNAL"

    def __init__(
        self, message: str, *, metadata: dict[str, str] | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = metadata or {}
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[object, ...]:
        # Pickling of exceptions drops keyword-only arguments, and errors are sent between processes.
        return _rebuild, (type(self), self.message, self.metadata, self.retry_after)


def _rebuild(cls: type[SwathError], message: str, metadata: dict[str, str], retry_after: float | None) -> SwathError:
    return cls(message, metadata=metadata, retry_after=retry_after)


def restore(code: str, reason: str, message: str, metadata: Mapping[str, str]) -> SwathError:
    """Return an error that was sent or stored: of the class with this reason, otherwise of the one with this code."""
    tree = list(_below(SwathError))
    found = next((each for each in tree if each.reason == reason and each.code == code), None)
    found = found or next((each for each in tree if each.code == code), SwathError)
    return found(message, metadata=dict(metadata))


def _below(error: type[SwathError]) -> Iterator[type[SwathError]]:
    yield error
    for child in error.__subclasses__():
        yield from _below(child)
