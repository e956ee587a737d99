"""What goes wrong with applications, as a tree.

    RayServeException
    ├── BackPressureError             the queue of a deployment is full                           RESOURCE_EXHAUSTED
    ├── DeploymentUnavailableError    no replica answers, and none will: it failed to deploy      UNAVAILABLE
    ├── ApplicationNotFound           no application has the name                                 NOT_FOUND
    ├── ReplicaDied                   the replica's process ended while the call ran              UNAVAILABLE
    ├── RequestTimedOut               the deadline passed in the queue (a TimeoutError too)       DEADLINE_EXCEEDED
    ├── RequestCancelledError         somebody took the call back                                 CANCELLED
    ├── MethodNotFound                the deployment has no such method (an AttributeError too)   UNIMPLEMENTED
    └── ModelError                    the call of a published model failed                        INTERNAL
        ├── ModelNotFound               there is no such model or version                         FAILED_PRECONDITION
        ├── ModelInputError             it does not take what it was given (a ValueError too)     INVALID_ARGUMENT
        └── ModelUnavailable            nothing computes it at the moment                         UNAVAILABLE

The root has Ray's name, so that code that catches it goes on working.
"""

from __future__ import annotations

from typing import ClassVar


class RayServeException(Exception):
    """Root of what this library raises for a call or a deployment.

    Attributes:
        code: The gRPC status code, as a number, that a client gets for it.
        retry_after_s: Seconds after which another try makes sense, where that is known.
    """

    code: ClassVar[int] = 13  # INTERNAL

    def __init__(self, message: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after_s = retry_after_s

    def __reduce__(self) -> tuple[type[RayServeException], tuple[str, float | None]]:
        return type(self), (self.message, self.retry_after_s)


class BackPressureError(RayServeException):
    """The queue of a deployment is full (max_queued_requests)."""

    code = 8  # RESOURCE_EXHAUSTED


class DeploymentUnavailableError(RayServeException):
    """No replica of a deployment answers, and none is about to."""

    code = 14  # UNAVAILABLE


class ApplicationNotFound(RayServeException):
    """No application has the name, or it was deleted."""

    code = 5  # NOT_FOUND


class ReplicaDied(RayServeException):
    """The process of the replica ended while the call ran."""

    code = 14  # UNAVAILABLE


class RequestTimedOut(RayServeException, TimeoutError):
    """The call's deadline passed."""

    code = 4  # DEADLINE_EXCEEDED


class RequestCancelledError(RayServeException):
    """Somebody took the call back: whoever made it, or the request that it belongs to."""

    code = 1  # CANCELLED


class MethodNotFound(RayServeException, AttributeError):
    """A deployment has no such method, or it is none to be called from outside."""

    code = 12  # UNIMPLEMENTED


class ModelError(RayServeException):
    """A call of a published model failed, for a reason that its text gives."""


class ModelNotFound(ModelError):
    """There is no such published model or version, or not for who calls."""

    code = 9  # FAILED_PRECONDITION: whoever calls the application cannot help it


class ModelInputError(ModelError, ValueError):
    """A published model does not take what it was given."""

    code = 3  # INVALID_ARGUMENT


class ModelUnavailable(ModelError):
    """Nothing computes the model at the moment: no server answers, or it is on its way down."""

    code = 14  # UNAVAILABLE
