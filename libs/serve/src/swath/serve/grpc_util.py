"""What a handler sees of its gRPC call: the context, and the client's stream."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, Generic, NoReturn, TypeVar

import grpc

from swath.rpc.metadata import sendable
from swath.serve.exchange import Metadata, Outcome, RequestFacts

T = TypeVar("T")

_CODES = {code.value[0]: code for code in grpc.StatusCode}


class gRPCAborted(Exception):  # noqa: N801 - like its neighbours, which have Ray's names
    """Raised by `RayServegRPCContext.abort`: ends the call with what the context holds."""


class RayServegRPCContext:
    """The gRPC context of one call, for a handler that has a parameter named `grpc_context`.

    It holds what came with the request and what the handler says of the answer. What it holds when the call ends
    counts: also what is set after the last `yield`, which Ray drops. It can be pickled; a copy is no longer connected
    with the call. Beyond Ray it has `abort`, `is_active`, `time_remaining` and `session_id`.

    Args:
        facts: What travels with the request.
    """

    def __init__(self, facts: RequestFacts) -> None:
        self._facts = facts
        self._code: grpc.StatusCode | None = None
        self._details = ""
        self._trailing: Metadata = ()
        self._compression: grpc.Compression | None = None
        self._active = True

    def code(self) -> grpc.StatusCode | None:
        """Return the status code that was set; None before."""
        return self._code

    def details(self) -> str:
        """Return the text that was set; empty before."""
        return self._details

    def set_code(self, code: grpc.StatusCode | int) -> None:
        """Set the status code of the answer; the last one counts.

        A handler that raises keeps its code, unless that is OK: then the call ends with INTERNAL.

        Raises:
            ValueError: There is no such code.
        """
        self._code = _known(code)

    def set_details(self, details: str) -> None:
        """Set the text that goes with the status; with OK too, where few clients show it."""
        if not isinstance(details, str):
            raise TypeError(f"details: expected a str, got {type(details).__name__}")
        self._details = details

    def set_trailing_metadata(self, trailing_metadata: Iterable[tuple[str, str | bytes]]) -> None:
        """Set the metadata after the answer, in place of what was set before. The request's id goes before them.

        Args:
            trailing_metadata: Pairs of a key in lower case and a value; bytes where the key ends with `-bin`.

        Raises:
            ValueError: A pair cannot be sent.
        """
        self._trailing = sendable(trailing_metadata)

    def trailing_metadata(self) -> list[tuple[str, str | bytes]]:
        """Return the metadata after the answer: the request's id, then what was set."""
        return [("request_id", self._facts.request_id), *self._trailing]

    def set_compression(self, compression: grpc.Compression) -> None:
        """Set how the answer is compressed; only what is sent afterwards, in a stream."""
        self._compression = grpc.Compression(compression)

    def compression(self) -> int | None:
        """Return the number of the compression that was set; None before."""
        return None if self._compression is None else self._compression.value

    def invocation_metadata(self) -> list[tuple[str, str | bytes]]:
        """Return what the client sent as metadata, order and duplicates kept; bytes of `-bin` keys."""
        return list(self._facts.metadata)

    def peer(self) -> str:
        """Return who calls, such as "ipv4:127.0.0.1:58342"."""
        return self._facts.peer

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        """Return what the transport knows of the caller: with mTLS, properties of the certificate."""
        return dict(self._facts.auth)

    def peer_identity_key(self) -> str | None:
        """Return the property of `auth_context` that names the caller; None where nobody has proved anything."""
        return next((key for key in _IDENTITY_KEYS if self._facts.auth.get(key)), None)

    def peer_identities(self) -> Iterable[bytes] | None:
        """Return the caller's names by its certificate; None where it has shown none."""
        key = self.peer_identity_key()
        return None if key is None else self._facts.auth[key]

    def request_id(self) -> str | None:
        """Return the request's id as the client sent it; None where it sent none and the server made one."""
        return self._facts.sent_request_id

    def application(self) -> str | None:
        """Return the application that the client named; None where it named none."""
        return self._facts.sent_application

    def multiplexed_model_id(self) -> str | None:
        """Return the model that the client asked for; None where it asked for none."""
        return self._sent("multiplexed_model_id")

    def session_id(self) -> str | None:
        """Return the session that the client named; None where it named none."""
        return self._sent("session_id")

    def traceparent(self) -> str | None:
        """Return the W3C trace context that the client sent; None where it sent none."""
        return self._sent("traceparent")

    def tracestate(self) -> str | None:
        """Return what the client sent with its trace context; None where it sent none."""
        return self._sent("tracestate")

    def is_active(self) -> bool:
        """Return whether somebody still waits: not cancelled, not over, and within the deadline.

        For plain `def` handlers with long loops, which nothing else can interrupt.
        """
        remaining = self.time_remaining()
        return self._active and (remaining is None or remaining > 0)

    def time_remaining(self) -> float | None:
        """Return the seconds until the call's deadline, at least 0; None where it has none."""
        deadline = self._facts.deadline
        return None if deadline is None else max(0.0, deadline - time.time())

    def abort(
        self,
        code: grpc.StatusCode | int,
        details: str = "",
        trailing_metadata: Iterable[tuple[str, str | bytes]] | None = None,
    ) -> NoReturn:
        """End the call here, with a status that is not OK. May be awaited, as with `grpc.aio`, or simply called.

        Args:
            code: The status.
            details: Text for the client.
            trailing_metadata: In place of what was set before; that stays if not given.

        Raises:
            gRPCAborted: Always, unless an argument is wrong.
            ValueError: The code is OK or none.
        """
        known = _known(code)
        if known is grpc.StatusCode.OK:
            raise ValueError("abort: expected a code that is not OK; to end a call well, return")
        self.set_details(details)
        if trailing_metadata is not None:
            self.set_trailing_metadata(trailing_metadata)
        self._code = known
        raise gRPCAborted(f"{known.name}: {details}")

    def outcome(self) -> Outcome:
        """Return what the context says of the call's end, for whoever ends it."""
        number = 0 if self._code is None else self._code.value[0]
        return Outcome(number, self._details, self._trailing, self.compression())

    def close(self) -> None:
        """Note that the call is over or cancelled: `is_active` is False from now on."""
        self._active = False

    def _sent(self, key: str) -> str | None:
        found = [value for name, value in self._facts.metadata if name == key]
        return str(found[-1]) if found else None


class gRPCInputStream(AsyncIterator[T], Generic[T]):  # noqa: N801 - Ray's name
    """The messages that a client sends in a stream, for a handler of client or bidirectional streaming.

    Use `async for`. The loop ends when the client has sent its last message. When the client goes away, the loop raises
    `asyncio.CancelledError` and `is_cancelled` says so: with Ray that may look like the last message.

    Args:
        request_iterator: The messages.
        cancel_event: Set when the client has gone.
        stop: Called once when the handler wants no more.
    """

    def __init__(
        self,
        request_iterator: AsyncIterator[T],
        *,
        cancel_event: asyncio.Event | None = None,
        stop: Callable[[], None] | None = None,
    ) -> None:
        self._messages = request_iterator
        self._gone = cancel_event or asyncio.Event()
        self._stop = stop
        self._stopped = False
        self._exhausted = False

    def __aiter__(self) -> gRPCInputStream[T]:
        return self

    async def __anext__(self) -> T:
        if self._stopped or self._exhausted:
            raise StopAsyncIteration
        self._check()
        try:
            message = await anext(self._messages)
        except StopAsyncIteration:
            # A client that has gone ends its stream too.
            self._check()
            self._exhausted = True
            raise
        self._check()
        return message

    def cancel(self) -> None:
        """Take no more messages: the loop ends, and what the client still sends is dropped. The call goes on."""
        if not self._stopped:
            self._stopped = True
            if self._stop is not None and not self._exhausted:
                self._stop()

    def is_cancelled(self) -> bool:
        """Return whether the stream was cut: the client has gone, or `cancel` was called."""
        return self._stopped or self._gone.is_set()

    @property
    def is_exhausted(self) -> bool:
        """Whether the client's last message has been read."""
        return self._exhausted

    def _check(self) -> None:
        if self._gone.is_set():
            raise asyncio.CancelledError("the client has gone")


_IDENTITY_KEYS = ("x509_subject_alternative_name", "x509_common_name")
"""As gRPC chooses them, the first that a certificate has."""


def _known(code: Any) -> grpc.StatusCode:
    if isinstance(code, grpc.StatusCode):
        return code
    if isinstance(code, int) and code in _CODES:
        return _CODES[code]
    raise ValueError(f"expected a grpc.StatusCode, got {code!r}")
