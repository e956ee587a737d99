"""What code of users can ask about where it runs: which request, which replica."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from typing import Any

from swath.serve.exceptions import RayServeException
from swath.serve.exchange import RequestFacts


@dataclass(eq=False, slots=True)
class RunningRequest:
    """A request while its handler runs, in the process of its replica.

    Attributes:
        facts: What came with it.
        cancelled: Whether it was taken back.
        children: What takes back the calls that it has made of other deployments.
        ended: What is called once, in any thread's order, when the handler has ended.
    """

    facts: RequestFacts
    cancelled: bool = False
    children: set[Callable[[], Any]] = field(default_factory=set)
    ended: list[Callable[[], Any]] = field(default_factory=list)

    def cancel(self) -> None:
        """Take it back, and with it all that it has called."""
        self.cancelled = True
        for child in list(self.children):
            child()

    def end(self) -> None:
        """Say that the handler has ended."""
        told, self.ended = self.ended, []
        for each in told:
            each()


running: ContextVar[RunningRequest | None] = ContextVar("swath_serve_request", default=None)
"""The request that the code at hand is run for."""


def detached() -> Context:
    """Return a context for work that several requests wait for: it knows the request, and goes on when that ends."""
    context = copy_context()
    request = running.get()
    if request is not None:
        context.run(running.set, RunningRequest(request.facts))
    return context


@dataclass(frozen=True, slots=True)
class ReplicaContext:
    """Where a deployment's code runs.

    Attributes:
        app_name: The application.
        deployment: The deployment.
        replica_tag: Name of the replica; unique on its host.
        servable_object: The object that the deployment's class was made into; the function of a function deployment.
        rank: Number of the replica among those of its deployment, from 0.
        world_size: Replicas that the deployment was to have when this one started.
    """

    app_name: str
    deployment: str
    replica_tag: str
    servable_object: Any
    rank: int
    world_size: int

    @property
    def replica_id(self) -> str:
        """The replica's name. Ray has an object here whose text is this."""
        return self.replica_tag


_replica: ReplicaContext | None = None


def set_replica_context(context: ReplicaContext) -> None:
    """Say where this process's code runs; a replica does so before it runs a constructor."""
    global _replica
    _replica = context


def replica_context() -> ReplicaContext | None:
    """Return the context of the replica that this process is, None if it is none."""
    return _replica


def get_replica_context() -> ReplicaContext:
    """Return which replica runs this code.

    Raises:
        RayServeException: No replica does.
    """
    if _replica is None:
        raise RayServeException(
            "`serve.get_replica_context()` may only be called in a replica: from a deployment's code"
        )
    return _replica


def get_multiplexed_model_id() -> str:
    """Return the model that the request is for, "" for none. Calls of other deployments do not inherit it."""
    request = running.get()
    return request.facts.multiplexed_model_id if request else ""
