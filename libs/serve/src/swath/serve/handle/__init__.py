"""Calls between deployments, and from a driver: handles, and the answers that they give at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from swath.serve.exceptions import RayServeException
from swath.serve.handle.calls import DeploymentResponse
from swath.serve.handle.generators import DeploymentResponseGenerator
from swath.serve.handle.target import Caller, Target, as_tuple, get_caller, set_caller

__all__ = [
    "Caller",
    "DeploymentHandle",
    "DeploymentResponse",
    "DeploymentResponseGenerator",
    "Target",
    "as_tuple",
    "set_caller",
]


class DeploymentHandle:
    """Calls a deployment: `await handle.remote(...)`, `handle.method.remote(...).result()`.

    It may be pickled, kept and used in any replica and in the driver.

    Args:
        target: What it calls.
    """

    def __init__(self, target: Target) -> None:
        self._target = target

    @property
    def app_name(self) -> str:
        """The application."""
        return self._target.application

    @property
    def deployment_name(self) -> str:
        """The deployment, "" for the one that clients of the application reach."""
        return self._target.deployment or ""

    def options(
        self,
        *,
        method_name: str | None = None,
        stream: bool | None = None,
        multiplexed_model_id: str | None = None,
        session_id: str | None = None,
        **unused: Any,
    ) -> DeploymentHandle:
        """Return a handle that differs in some options; this one stays as it is.

        Args:
            method_name: The method to call.
            stream: Whether it is a generator.
            multiplexed_model_id: The model that calls are for.
            session_id: Calls of one session go to one replica while it lasts.
            unused: Ray's own options that begin with an underscore, which change nothing.

        Raises:
            TypeError: An option is unknown.
        """
        for name in unused:
            if not name.startswith("_") and name != "use_new_handle_api":
                raise TypeError(f"unknown option of a handle: {name!r}")
        given = {
            "method": method_name,
            "stream": stream,
            "multiplexed_model_id": multiplexed_model_id,
            "session_id": session_id,
        }
        changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        return DeploymentHandle(replace(self._target, **changes))

    def __getattr__(self, name: str) -> DeploymentHandle:
        if name.startswith("__"):
            raise AttributeError(name)
        return DeploymentHandle(replace(self._target, method=name))

    def remote(self, *args: Any, **kwargs: Any) -> Any:
        """Call it; returns at once.

        A `DeploymentResponse` among the arguments is replaced by its value before the call starts. Whether the queue is
        full, or the call fails, is said by the answer.

        Returns:
            A `DeploymentResponse`, or a `DeploymentResponseGenerator` with `options(stream=True)`.

        Raises:
            RayServeException: Nothing carries calls in this process: no application was started here.
        """
        caller = get_caller()
        if caller is None:
            raise RayServeException("handles work where applications run: call `serve.run` or `serve.start` first")
        kind = DeploymentResponseGenerator if self._target.stream else DeploymentResponse
        return kind(caller, self._target, args, kwargs)

    def __reduce__(self) -> tuple[type[DeploymentHandle], tuple[Target]]:
        return DeploymentHandle, (self._target,)

    def __repr__(self) -> str:
        return f"DeploymentHandle(app={self.app_name!r}, deployment={self.deployment_name!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DeploymentHandle) and other._target == self._target

    def __hash__(self) -> int:
        return hash(self._target)
