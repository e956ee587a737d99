"""Log lines of a call: a warning while it is slow, an audit line where it changes something, or one for each."""

from __future__ import annotations

import asyncio
import time
from contextvars import Context, copy_context
from functools import cache
from typing import Any

import grpc
import structlog

from swath.api import MUTATING
from swath.rpc.caller import caller
from swath.rpc.tracing import CallSpan, about_session

_log = structlog.get_logger("swath.calls")
_access = structlog.get_logger("swath.access")
_audit = structlog.get_logger("swath.audit")


class CallLog:
    """The calls of a server that are to be logged if they take long.

    Args:
        slow_s: Seconds after which a call is slow.
    """

    def __init__(self, slow_s: float) -> None:
        self._slow_s = slow_s
        # In the order in which they began, which is that in which they become slow.
        self._under_way: dict[CallRecord, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def of(self, method: str, *, slow: bool, all_calls: bool = False) -> MethodLog:
        """Return what logs the calls of a method.

        Args:
            method: Full path.
            slow: Whether one may be slow; not where its client decides how long it takes.
            all_calls: Whether each call leaves a line when it ends.
        """
        return MethodLog(self if slow else None, method, all_calls=all_calls)

    def add(self, record: CallRecord) -> None:
        """Begin to watch a call."""
        self._under_way[record] = None
        if self._timer is None:
            self._look_in(self._slow_s)

    def remove(self, record: CallRecord, seconds: float) -> None:
        """Watch a call no longer: it has ended, after some seconds."""
        self._under_way.pop(record, None)
        if seconds > self._slow_s:
            record.warn("slow call", seconds)

    def _look_in(self, seconds: float) -> None:
        # One timer for all calls, and of none of them: a timer per call costs more than most calls.
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(seconds, self._look, context=Context())

    def _look(self) -> None:
        """Log the calls that have become slow: one that hangs has no end at which to log it."""
        self._timer = None
        now = time.monotonic()
        for record in list(self._under_way):
            seconds = now - record.started
            if seconds < self._slow_s:
                self._look_in(self._slow_s - seconds)
                return
            del self._under_way[record]
            record.warn_from_outside(seconds)


class MethodLog:
    """What logs the calls of one method."""

    def __init__(self, slow: CallLog | None, method: str, *, all_calls: bool = False) -> None:
        self.slow = slow
        self.method = method
        self.all_calls = all_calls
        self.audited = method in MUTATING

    def begin(self, context: grpc.aio.ServicerContext, span: CallSpan | None) -> CallRecord:
        """Return the record of a call that begins.

        Args:
            context: The call's.
            span: What tells its trace of its session.
        """
        record = CallRecord(self, context, span)
        if self.slow is not None:
            self.slow.add(record)
        return record


class CallRecord:
    """One call, from its begin to its end."""

    __slots__ = ("_context", "_log", "_peer", "_session", "_span", "_variables", "started")

    def __init__(self, log: MethodLog, context: grpc.aio.ServicerContext, span: CallSpan | None) -> None:
        self._log = log
        self._context = context
        self._span = span
        self._session = ""
        # gRPC knows it no more once the client has left.
        self._peer = context.peer() if log.audited or log.all_calls else ""
        self._variables = copy_context()
        self.started = time.monotonic()

    def about(self, message: Any) -> None:
        """Note the session that a request names or a response has created; log lines carry it from now on."""
        if _names_session(type(message)) and isinstance(session := message.session_id, str) and session:
            self._session = session[:64]
            about_session(self._session)
            if self._span is not None:
                self._span.note("session.id", self._session)

    def end(self, code: grpc.StatusCode) -> None:
        """Log what is to be logged of a call that has ended."""
        seconds = time.monotonic() - self.started
        if self._log.slow is not None:
            self._log.slow.remove(self, seconds)
        if self._log.all_calls:
            _access.info("call", method=self._log.method, code=code.name, seconds=round(seconds, 4), **self._facts())
        if self._log.audited:
            _audit.info("audit", method=self._log.method, code=code.name, seconds=round(seconds, 3), **self._facts())

    def warn(self, event: str, seconds: float) -> None:
        """Log that it is slow."""
        _log.warning(event, method=self._log.method, seconds=round(seconds, 3), **self._facts())

    def warn_from_outside(self, seconds: float) -> None:
        """Log that it is slow while it is under way, with its own trace and caller."""
        self._variables.run(self.warn, "call is slow", seconds)

    def _facts(self) -> dict[str, str]:
        who = caller()
        return {
            "session": self._session,
            "caller": who.name if who is not None else "",
            "peer": self._peer or self._context.peer(),
        }


@cache
def _names_session(kind: type) -> bool:
    """Return whether messages of a type have a session's id: they would tell, but slowly."""
    descriptor = getattr(kind, "DESCRIPTOR", None)
    return hasattr(kind, "session_id") if descriptor is None else "session_id" in descriptor.fields_by_name
