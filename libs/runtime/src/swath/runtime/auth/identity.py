"""Who calls: the user behind a call, and the process at the other end of a connection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

from swath.api import REGISTRY, TRUST, USER, Registry
from swath.runtime.settings import NAME


@dataclass(frozen=True, slots=True)
class Caller:
    """A user who has proved to be one.

    Attributes:
        name: Whom sessions and runs belong to. The same name is the same user, however it was proved.
        way: What proved it.
    """

    name: str
    way: Literal["token", "jwt", "certificate"]


_caller: ContextVar[Caller | None] = ContextVar("caller", default=None)


def caller() -> Caller | None:
    """Return who called; None where nobody is asked, and in work that belongs to no call."""
    return _caller.get()


def set_caller(who: Caller | None) -> None:
    """Set who calls, for the rest of this task."""
    _caller.set(who)


@contextmanager
def acting_as(who: Caller | None) -> Iterator[None]:
    """Set who calls, within a block."""
    token = _caller.set(who)
    try:
        yield
    finally:
        _caller.reset(token)


def peer_uri(auth_context: Mapping[str, Iterable[bytes]]) -> str | None:
    """Return the URI name in the certificate of the other end, None unless it has exactly one.

    Args:
        auth_context: As gRPC's servicer context gives it.
    """
    names = list(auth_context.get("peer_uri", ()))
    return names[0].decode(errors="replace") if len(names) == 1 else None


def service_of(uri: str | None, registry: Registry = REGISTRY) -> str | None:
    """Return the service, or other process, that a URI name stands for, None if for none."""
    name = (uri or "").removeprefix(TRUST)
    return name if f"{TRUST}{name}" == uri and name in registry.identities else None


def user_of(uri: str | None) -> str | None:
    """Return the user that a URI name stands for, None if for none."""
    name = (uri or "").removeprefix(USER)
    return name if f"{USER}{name}" == uri and NAME.fullmatch(name) else None
