"""Applications as their callers see them: whoever may not call one is refused, and users' code learns no secrets."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

from swath.errors import Precondition, TimedOut, Unsupported
from swath.rpc.caller import caller, unidentified
from swath.serve.exceptions import ApplicationNotFound, RequestTimedOut
from swath.serve.exchange import Applications, ApplicationView, Exchange, Load, Method, Outcome, RequestFacts
from swath.serve.front.refusals import timed_out
from swath.serve.schema import Found
from swath_apps.deployed.rows import Application
from swath_apps.running.hosting import Hosting

CALLER = "swath-caller"
"""Metadata that users' code finds: the name of who calls, where callers prove who they are."""

_DEADLINE_EXCEEDED = 4
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

    def loads(self) -> Sequence[Load]:
        """Return what the deployments of the applications have to do."""
        return self._controller.loads()

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Have a function called when an application has come, gone or changed; returns what ends that."""
        return self._controller.watch(changed)

    async def open(self, application: str, method: Method, facts: RequestFacts, body: bytes | None) -> Exchange:
        """Start a call.

        Raises:
            ApplicationNotFound: There is none, or it is another's own.
            Unauthenticated: Nothing proves who calls, and that is asked.
            Unsupported: The application has no such service.
            Precondition: It runs elsewhere, and is called there.
        """
        row = self._hosting.rows.get(application)
        if row is None:
            raise ApplicationNotFound(application)
        who = caller()
        if (refused := unidentified()) is not None and row.access != "public":
            raise refused
        if who is not None and not row.seen_by(who.name):
            raise ApplicationNotFound(application)
        if where := self._hosting.called_at(application):
            raise Precondition(f"application {application!r} runs on Ray: call it at {where}")
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
        seconds = row.grpc_options.get("request_timeout_s")
        if seconds is None:
            facts = dataclasses.replace(facts, metadata=metadata)
            return await self._controller.open(application, own, facts, body)
        end = time.time() + float(seconds)
        deadline = end if facts.deadline is None else min(facts.deadline, end)
        facts = dataclasses.replace(facts, metadata=metadata, deadline=deadline)
        try:
            exchange = await self._controller.open(application, own, facts, body)
        except RequestTimedOut as error:
            raise TimedOut(timed_out(seconds)) if time.time() >= end else error from error
        return _Limited(exchange, max(0.0, end - time.time()), timed_out(seconds))

    def _methods_of(self, row: Application) -> Mapping[str, Method]:
        known = self._methods.get(row.name)
        if known is None or known[0] != row.revision:
            found = Found.of_json(row.found)
            methods = {method.path: method for service in found.services for method in service.methods}
            self._methods[row.name] = known = (row.revision, methods)
        return known[1]


class _Limited(Exchange):
    """A call that ends after a time, whatever it does: its config file says so.

    Args:
        exchange: The call.
        seconds: From now on.
        text: For the client.
    """

    def __init__(self, exchange: Exchange, seconds: float, text: str) -> None:
        self._exchange = exchange
        self._text = text
        self._late = False
        self._timer = asyncio.get_running_loop().call_later(seconds, self._end)

    async def send(self, body: bytes) -> None:
        await self._exchange.send(body)

    async def finish(self) -> None:
        await self._exchange.finish()

    def cancel(self, reason: str = "") -> None:
        self._timer.cancel()
        self._exchange.cancel(reason)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for each in self._exchange:
                yield each
        finally:
            self._timer.cancel()

    @property
    def compression(self) -> int | None:
        return self._exchange.compression

    @property
    def outcome(self) -> Outcome:
        if self._late:
            return Outcome(code=_DEADLINE_EXCEEDED, details=self._text)
        return self._exchange.outcome

    def _end(self) -> None:
        self._late = True
        self._exchange.cancel(self._text)
