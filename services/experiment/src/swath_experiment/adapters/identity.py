"""What a call says of who makes it, kept for the calls that this service makes for it."""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar

_FORWARDED = ("authorization", "x-forwarded-client-cert")

_given: ContextVar[tuple[tuple[str, str], ...]] = ContextVar("given", default=())


def keep(metadata: Iterable[tuple[str, str | bytes]]) -> None:
    """Keep what says who calls, for the rest of this task."""
    _given.set(tuple((key, str(value)) for key, value in metadata if key in _FORWARDED))


def forwarded() -> tuple[tuple[str, str], ...]:
    """Return what was kept, as metadata of a call to another service."""
    return _given.get()
