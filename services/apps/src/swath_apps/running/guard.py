"""Applications as their callers see them: whoever may not call one is refused, and users' code learns no secrets."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence

from swath.errors import Unsupported
from swath.rpc.caller import caller, unidentified
from swath.serve.exceptions import ApplicationNotFound
from swath.serve.exchange import Applications, ApplicationView, Exchange, Method, RequestFacts
from swath.serve.schema import Found
from swath_apps.deployed.rows import Application
from swath_apps.running.hosting import Hosting

CALLER = "swath-caller"
"""Metadata that users' code finds: the name of who calls, where callers prove who they are."""

_SECRET = ("authorization", "x-forwarded-client-cert", CALLER)
"""With what callers prove who they are, users' code could say to be them; who calls they cannot say themselves."""


class GuardedApplications(Applications):
    """Applications behind the rules of who may call what.

    Args:
        hosting: What runs.
    """

    def __init__(self, hosting: Hosting) -> None:
        self._hosting = hosting
        self._controller = hosting.controller
        self._methods: dict[str, tuple[int, Mapping[str, Method]]] = {}

    def names(self) -> Sequence[str]:
        """Return the names of the applications, in order of deployment."""
        return [*self._hosting.rows]

    def state(self, name: str) -> ApplicationView | None:
        """Return the state of an application, None if there is none of the name."""
        return self._controller.state(name)

    def populated(self) -> bool:
        """Return whether an application was ever deployed."""
        return self._controller.populated()

    def draining(self) -> bool:
        """Return whether the host is about to stop."""
        return self._controller.draining()

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Have a function called when an application has come, gone or changed; returns what ends that."""
        return self._controller.watch(changed)

    async def open(self, application: str, method: Method, facts: RequestFacts, body: bytes | None) -> Exchange:
        """Start a call.

        Raises:
            ApplicationNotFound: There is none, or it is another's own.
            Unauthenticated: Nothing proves who calls, and that is asked.
            Unsupported: The application has no such service.
        """
        row = self._hosting.rows.get(application)
        if row is None:
            raise ApplicationNotFound(application)
        who = caller()
        if (refused := unidentified()) is not None and row.access != "public":
            raise refused
        if who is not None and not row.seen_by(who.name):
            raise ApplicationNotFound(application)
        # Of services of one name the applications may have different versions.
        own = self._methods_of(row).get(method.path)
        if own is None or (own.request_streaming, own.response_streaming) != (
            method.request_streaming,
            method.response_streaming,
        ):
            raise Unsupported(
                f"application {application!r} has no method {method.path}: its services are "
                f"{', '.join(each['name'] for each in row.found['services']) or 'none'}",
                metadata={"application": application, "method": method.path},
            )
        metadata = tuple((key, value) for key, value in facts.metadata if key not in _SECRET)
        if who is not None:
            metadata = (*metadata, (CALLER, who.name))
        facts = dataclasses.replace(facts, metadata=metadata, deadline=_earlier(facts.deadline, row))
        return await self._controller.open(application, own, facts, body)

    def _methods_of(self, row: Application) -> Mapping[str, Method]:
        known = self._methods.get(row.name)
        if known is None or known[0] != row.revision:
            found = Found.of_json(row.found)
            methods = {method.path: method for service in found.services for method in service.methods}
            self._methods[row.name] = known = (row.revision, methods)
        return known[1]


def _earlier(deadline: float | None, row: Application) -> float | None:
    """Return when a call ends, as its client and the application's config file have it."""
    seconds = row.grpc_options.get("request_timeout_s")
    if seconds is None:
        return deadline
    own = time.time() + float(seconds)
    return own if deadline is None else min(deadline, own)
