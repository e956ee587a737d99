"""The user behind the present call, for whatever runs on the call's behalf."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

from swath.errors import Unauthenticated


@dataclass(frozen=True, slots=True)
class Caller:
    """A user who has proved to be one.

    Attributes:
        name: Owner of the sessions and runs that the call creates. The same name is the same user, however it was
            proved.
        way: What proved it.
    """

    name: str
    way: Literal["token", "jwt", "certificate", "password"]


_caller: ContextVar[Caller | None] = ContextVar("caller", default=None)
_unidentified: ContextVar[Unauthenticated | None] = ContextVar("unidentified", default=None)


def caller() -> Caller | None:
    """Return who called; None where callers are not asked who they are, and in work that belongs to no call."""
    return _caller.get()


def set_caller(who: Caller | None) -> None:
    """Set who calls, for the rest of this task."""
    _caller.set(who)


def unidentified() -> Unauthenticated | None:
    """Return why it is not known who called a method that is open to some, although callers are asked; else None."""
    return _unidentified.get()


def set_unidentified(error: Unauthenticated) -> None:
    """Set why it is not known who calls, for the rest of this task."""
    _unidentified.set(error)


@contextmanager
def acting_as(who: Caller | None) -> Iterator[None]:
    """Set who calls, within a block."""
    token = _caller.set(who)
    try:
        yield
    finally:
        _caller.reset(token)
