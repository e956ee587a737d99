"""Log lines of a call: a warning while it is slow, and an audit line where it changes something."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Any, Self

import grpc
import structlog
from opentelemetry import trace

from swath.api import MUTATING
from swath.rpc.caller import caller
from swath.rpc.server.handlers import status_of

_log = structlog.get_logger("swath.calls")
_audit = structlog.get_logger("swath.audit")


class CallLog:
    """One call, from its begin to its end.

    Args:
        method: Full path.
        context: The call's.
        slow_s: Seconds after which it is slow; None for a call whose length its client decides.
    """

    def __init__(self, method: str, context: grpc.aio.ServicerContext, slow_s: float | None) -> None:
        self._method = method
        self._context = context
        self._peer = context.peer()
        self._slow_s = slow_s
        self._session = ""
        self._started = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def about(self, message: Any) -> None:
        """Note the session that a request names or a response has created; log lines carry it from now on."""
        session = getattr(message, "session_id", "")
        if isinstance(session, str) and session:
            self._session = session[:64]
            structlog.contextvars.bind_contextvars(session=self._session)
            trace.get_current_span().set_attribute("session.id", self._session)

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        if self._slow_s is not None:
            # While it goes on: a call that hangs has no end at which to log it.
            self._timer = asyncio.get_running_loop().call_later(self._slow_s, self._is_slow, "call is slow")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
            if self._seconds > (self._slow_s or 0.0):
                self._is_slow("slow call")
        if self._method in MUTATING:
            code = status_of(self._context, error).name
            _audit.info("audit", method=self._method, code=code, seconds=round(self._seconds, 3), **self._facts())

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._started

    def _is_slow(self, event: str) -> None:
        _log.warning(event, method=self._method, seconds=round(self._seconds, 3), **self._facts())

    def _facts(self) -> dict[str, str]:
        who = caller()
        return {
            "session": self._session,
            "caller": who.name if who is not None else "",
            "peer": self._peer,
        }
