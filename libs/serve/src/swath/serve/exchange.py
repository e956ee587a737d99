"""What the front and the runtime say to one another: a call of a client, and how it ended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

Metadata = tuple[tuple[str, str | bytes], ...]


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What travels with a request.

    Attributes:
        request_id: Always there; the front makes one where the client sent none.
        application: The application that answers.
        sent_request_id: What the client sent itself.
        sent_application: What the client sent itself.
        multiplexed_model_id: The model that the call is for; empty for none.
        session_id: Calls of one session go to one replica while it lasts.
        metadata: Of the invocation as the client sent it, order and duplicates kept.
        peer: Who calls: "ipv4:127.0.0.1:58342".
        auth: What the transport knows of the caller.
        deadline: When the call ends, in seconds of `time.time()`, the time in the queue included.
        traceparent: Of the span that the call is part of.
    """

    request_id: str
    application: str
    sent_request_id: str | None = None
    sent_application: str | None = None
    multiplexed_model_id: str = ""
    session_id: str = ""
    metadata: Metadata = ()
    peer: str = ""
    auth: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict)
    deadline: float | None = None
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Method:
    """A method of a user's protobuf service.

    Attributes:
        name: "Predict".
        path: "/pkg.Service/Predict".
        request_streaming: Whether the client sends a stream.
        response_streaming: Whether the answer is a stream.
        request_type: Full name of the message: "pkg.Request". The replica finds its class by the servicer functions.
        response_type: Full name of the message; an answer of another type ends the call. Empty: not checked.
    """

    name: str
    path: str
    request_streaming: bool
    response_streaming: bool
    request_type: str
    response_type: str = ""


@dataclass(slots=True)
class Outcome:
    """How a call ended: the state of the handler's context at its very end.

    Attributes:
        code: gRPC status code as a number; 0 is OK.
        details: Text for the client, fit to be sent: no paths, no traceback.
        trailing_metadata: The handler's own, without the request id, which the front puts first.
        compression: The handler's wish, a value of `grpc.Compression`.
        retry_after_s: Seconds after which another try makes sense.
    """

    code: int = 0
    details: str = ""
    trailing_metadata: Metadata = ()
    compression: int | None = None
    retry_after_s: float | None = None


class ApplicationStatus(StrEnum):
    """State of an application."""

    NOT_STARTED = "NOT_STARTED"
    DEPLOYING = "DEPLOYING"
    RUNNING = "RUNNING"
    DEPLOY_FAILED = "DEPLOY_FAILED"
    UNHEALTHY = "UNHEALTHY"
    DELETING = "DELETING"


@dataclass(frozen=True, slots=True)
class ApplicationView:
    """What a front sees of an application.

    Attributes:
        status: Its state.
        message: In words, where there is something to say.
        healthy: Whether calls are answered now: also while a new version comes up beside the old one.
    """

    status: ApplicationStatus
    message: str
    healthy: bool


@dataclass(frozen=True, slots=True)
class Load:
    """What a deployment has to do now.

    Attributes:
        application: Its application.
        deployment: Its name.
        queued: Calls that wait for a replica.
        ongoing: Calls that run.
        replicas: Replicas that take calls.
        models: Multiplexed models in these, together.
    """

    application: str
    deployment: str
    queued: int
    ongoing: int
    replicas: int
    models: int


class Exchange(Protocol):
    """One running call of the ingress deployment of an application. Belongs to the event loop that opened it."""

    async def send(self, body: bytes) -> None:
        """Send a message of the client's stream. Waits while the handler is behind; a no-op once the call has ended."""
        ...

    async def finish(self) -> None:
        """Say that the client's stream has ended."""
        ...

    def cancel(self, reason: str = "") -> None:
        """Stop the handler, of whatever kind, and free its place at once. The iteration ends with CANCELLED."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over the serialized answers, in order. The handler waits while the reader is behind."""
        ...

    @property
    def compression(self) -> int | None:
        """How the handler wants its answers compressed, as it was when it gave the first one."""
        ...

    @property
    def outcome(self) -> Outcome:
        """How the call ended. Valid once the iteration has ended, which never raises for a failure of the handler."""
        ...


class Applications(Protocol):
    """What a front needs to know of the applications."""

    def names(self) -> Sequence[str]:
        """Return the names of the applications, in order of deployment."""
        ...

    def state(self, name: str) -> ApplicationView | None:
        """Return the state of an application, or None if there is none of the name."""
        ...

    def populated(self) -> bool:
        """Return whether an application was ever deployed."""
        ...

    def draining(self) -> bool:
        """Return whether the host is about to stop: calls are answered, health says no."""
        ...

    def loads(self) -> Sequence[Load]:
        """Return what each deployment has to do now. Also called in another thread."""
        ...

    async def open(self, application: str, method: Method, facts: RequestFacts, body: bytes | None) -> Exchange:
        """Start a call; waits in the deployment's queue until `facts.deadline`, or until the task is cancelled.

        Args:
            application: Its name.
            method: Which method.
            facts: What travels with the call.
            body: The one request of a call whose request is no stream.

        Raises:
            RayServeException: It cannot start. Each class says its status code.
        """
        ...

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Have a function called when an application comes, goes or changes its state; returns what ends that."""
        ...
