"""Errors that crossed a process or a restart, as errors again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from swath.errors import SwathError


def restore(code: str, reason: str, message: str, metadata: Mapping[str, str]) -> SwathError:
    """Return the error of the tree that has this reason, or that has this code where the reason is unknown."""
    tree = list(_below(SwathError))
    found = next((each for each in tree if each.reason == reason and each.code == code), None)
    found = found or next((each for each in tree if each.code == code), SwathError)
    return found(message, metadata=dict(metadata))


def _below(error: type[SwathError]) -> Iterator[type[SwathError]]:
    yield error
    for child in error.__subclasses__():
        yield from _below(child)
