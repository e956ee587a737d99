"""What a replica is started with, its states, and who is told what becomes of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from swath.serve.config import DeploymentOptions
from swath.serve.exceptions import RayServeException
from swath.serve.launch.port import Environment
from swath.serve.replica.definition import Definition

if TYPE_CHECKING:
    from swath.serve.controller.replica import Replica

SuiteOf = Callable[[], Awaitable[Mapping[str, str]]]
"""Gives what replicas are told of the suite that has published models, in the names of a client's variables."""


async def no_suite() -> Mapping[str, str]:
    """Give nothing: the environment says where it is, if anything does."""
    return {}


class State(StrEnum):
    """State of a replica."""

    SPARE = "SPARE"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    STOPPING = "STOPPING"


class Refused(RayServeException):
    """A replica says that it could not do what it was asked to."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What a replica is started with.

    Attributes:
        definition: Its code.
        environment: Of its process.
        servicer_functions: What declares the users' messages.
        send_tracebacks: Whether clients get whole tracebacks.
    """

    definition: Definition
    environment: Environment
    servicer_functions: tuple[str, ...]
    send_tracebacks: bool = False


class Owner(Protocol):
    """Who has made a replica, and is told what becomes of it."""

    options: DeploymentOptions
    user_config: bytes

    def runs(self, replica: Replica) -> None:
        """It takes calls from now on."""
        ...

    def did_not_start(self, replica: Replica, why: str) -> None:
        """Its constructor has failed, or its process has ended before it ran."""
        ...

    def ill(self, replica: Replica, why: str, replace: bool) -> None:
        """A health check has failed; `replace`: it is to be replaced."""
        ...

    def lost(self, replica: Replica) -> None:
        """Its process has closed the socket: no more calls for it."""
        ...

    def died(self, replica: Replica, how: str) -> None:
        """Its process has ended by itself."""
        ...

    def gone(self, replica: Replica) -> None:
        """Nothing is left of it."""
        ...
