"""What handles call, and what carries their calls."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from swath.serve.context import RunningRequest
from swath.serve.exchange import RequestFacts
from swath.serve.transport.call import Call
from swath.serve.transport.frames import Buffer


class Caller(Protocol):
    """What carries calls out of this process: a replica's socket, or the host itself.

    Attributes:
        loop: The event loop that calls belong to.
        by_value: Whether values from here take the classes of the main module along.
    """

    loop: asyncio.AbstractEventLoop
    by_value: bool

    async def open(self, target: Target, about: tuple[Any, ...], payload: Sequence[Buffer]) -> Call:
        """Start a call; waits in the deployment's queue.

        Raises:
            RayServeException: It cannot start.
        """
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """What a handle calls.

    Attributes:
        application: The application.
        deployment: Its deployment; None for the one that clients reach.
        method: The method; "__call__" calls the object itself.
        stream: Whether it is a generator.
        multiplexed_model_id: The model that calls are for.
        session_id: The session that calls belong to.
    """

    application: str
    deployment: str | None
    method: str = "__call__"
    stream: bool = False
    multiplexed_model_id: str = ""
    session_id: str = ""


_caller: Caller | None = None


def set_caller(caller: Caller | None) -> None:
    """Say what carries this process's calls."""
    global _caller
    _caller = caller


def get_caller() -> Caller | None:
    """Return what carries this process's calls, None if nothing does."""
    return _caller


def facts_of(target: Target, parent: RunningRequest | None) -> RequestFacts:
    """Return what travels with a call that is made for a request, if it is made for one."""
    inherited = parent.facts if parent else None
    return RequestFacts(
        request_id=inherited.request_id if inherited else str(uuid.uuid4()),
        application=target.application,
        multiplexed_model_id=target.multiplexed_model_id,
        session_id=target.session_id,
        deadline=inherited.deadline if inherited else None,
        traceparent=inherited.traceparent if inherited else "",
    )


def as_tuple(facts: RequestFacts) -> tuple[Any, ...]:
    """Return the facts as what a frame can say; `RequestFacts(*...)` reads it."""
    return (
        facts.request_id,
        facts.application,
        facts.sent_request_id,
        facts.sent_application,
        facts.multiplexed_model_id,
        facts.session_id,
        facts.metadata,
        facts.peer,
        dict(facts.auth),
        facts.deadline,
        facts.traceparent,
    )
