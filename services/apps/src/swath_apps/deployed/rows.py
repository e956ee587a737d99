"""A deployed application, as a row of its table has it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row


@dataclasses.dataclass(frozen=True, kw_only=True)
class Application:
    """A deployed application.

    Attributes:
        name: Its name.
        owner: Who deployed it first; empty where nobody is asked who calls.
        config: The part of a config file that is about it, as JSON-able data.
        grpc_options: What that file says of the front.
        found: What was found in its code, as `swath.serve.schema.probe` tells it.
        bundle: Digest of its code; None where that is installed.
        deployed_at: When it was last deployed, Unix time in seconds.
        deployed_by: Who did.
        text: A config file that deploys it again.
        token: Secret that the apps service shares with the application's replicas elsewhere.
        revision: Grows with each change.
        position: Grows in order of deployment.
    """

    name: str
    owner: str
    config: Mapping[str, Any]
    grpc_options: Mapping[str, Any]
    found: Mapping[str, Any]
    bundle: str | None
    deployed_at: float
    deployed_by: str
    text: str
    token: str = dataclasses.field(default="", repr=False)
    revision: int = 0
    position: int = 0

    @property
    def access(self) -> str:
        """Who may call it: private, authenticated or public."""
        return str(self.config.get("access", "authenticated"))

    @property
    def route(self) -> str | None:
        """The route that no other application may have; None for none."""
        return self.config.get("route_prefix", "/")

    def owned_by(self, who: str | None) -> bool:
        """Whether somebody may change it; None is everybody, where nobody is asked who calls."""
        return who is None or who == self.owner

    def seen_by(self, who: str | None) -> bool:
        """Whether somebody may call or change it."""
        return self.access != "private" or self.owned_by(who)


def application_of(row: Row[Any]) -> Application:
    """Return the application of a row."""
    return Application(**row._mapping)


def columns(application: Application) -> dict[str, Any]:
    """Return the columns of an application."""
    return dataclasses.asdict(application)
