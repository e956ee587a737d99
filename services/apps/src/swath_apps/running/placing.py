"""Where replicas run: on this machine, or where a launcher of the service has them run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

from swath.rpc.tls import TlsSettings
from swath_apps.deployed.rows import Application
from swath_apps.launch.settings import LaunchSettings


class Place(Protocol):
    """Replicas elsewhere."""

    def begin(self, token_of: Callable[[str], str]) -> Callable[..., Any]:
        """Begin to look at what there is; return what makes the replicas of a deployment: see `Controller`.

        Args:
            token_of: Gives an application's token.
        """
        ...

    def leave(self) -> None:
        """Take note that this process stops, and that what runs elsewhere goes on."""
        ...

    def made(self) -> Mapping[str, str]:
        """Return the names of what there is, and the application of each. It blocks.

        Raises:
            SwathError: That is not known.
        """
        ...

    def sweep(self, made: Mapping[str, str], applications: Collection[str], settled: Collection[str]) -> None:
        """Remove what was made for applications, or versions of them, that there are no more. It blocks.

        Args:
            made: As `made` has returned it.
            applications: Names of all that are written down, read after that.
            settled: Those of them that run here as they are written down: of these no other version is wanted.
        """
        ...


class Elsewhere(Protocol):
    """Whole applications elsewhere, which are called there."""

    async def apply(self, applications: Mapping[str, Application]) -> None:
        """Have there be these, as they are written down, and no others.

        Raises:
            SwathError: That cannot be.
        """
        ...

    async def states(self) -> Mapping[str, tuple[str, str]]:
        """Return the state of each, and why.

        Raises:
            SwathError: They are not known.
        """
        ...

    def address(self, application: str) -> str:
        """Return where one is called."""
        ...


def elsewhere(settings: LaunchSettings) -> Elsewhere | None:
    """Return where whole applications run; None where the service runs them itself.

    Raises:
        Precondition: No cluster is configured here.
    """
    if settings.launcher != "ray":
        return None
    from swath_apps.launch.ray import RayServices  # imports the Kubernetes client

    return RayServices(settings)


def placed(settings: LaunchSettings, tls: TlsSettings | None) -> Place | None:
    """Return where replicas run; None for this machine.

    Args:
        settings: Say where.
        tls: Files by which this process proves to them who it is.

    Raises:
        Precondition: It cannot be there: no cluster is configured, or its template is none.
    """
    if settings.launcher == "kubernetes":
        # The Kubernetes client takes a second to import.
        from swath_apps.launch.kubernetes.place import Pods

        return Pods(settings, tls)
    return None
