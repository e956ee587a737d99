"""A worker's end of its link: it reconnects, and sends again what the service does not have on disk."""

from __future__ import annotations

import asyncio
import math
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

import grpc
import grpc.aio

from swath.rpc.metadata import by_name
from swath.runtime.logs import flush_logs, tell
from swath.training.v1 import worker_pb2 as pb
from swath.training.v1 import worker_pb2_grpc
from swath_training.link.endpoint import Endpoint
from swath_training.link.exit_codes import LOST, REFUSED
from swath_training.link.messages import command_of, lines_message, welcome_of
from swath_training.link.outbox import Outbox
from swath_training.link.worker_log import WorkerLog
from swath_training.runs.items import Ack, Ask, Body, Release, Stop, Welcome
from swath_training.runs.model import RunCommand, StopCause

_FINAL_CODES = {
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.UNIMPLEMENTED,
}
_RETRY_S = 0.1
_LOST_AFTER_S = 60.0
_LATE_S = 1.0
_LEAVE_S = 2.0
# Between two messages of items, unless there are many or it is the last: each message is a commit at the service, and a
# run with steps of milliseconds would have it write all the time.
_ITEMS_INTERVAL_S = 0.05
# Between two messages of log lines, so that many of them cost little.
_LOG_LINES_INTERVAL_S = 0.5
_ENDS = ("result", "failure", "stopped")


class WorkerLink:
    """Connects to the service from a thread of its own and stays connected.

    The run's thread puts items in and is held back while too many are unacknowledged. A worker that is refused, or that
    has no link for too long, ends as a process: nothing that it could still compute would count.

    Args:
        service: Where the service is.
        run_id: The run.
        attempt: Its attempt.
        token: Proves that this is the worker of that attempt.
        process: Number of this process among the attempt's. Only 0 sends more than a Hello.
        max_items: Unacknowledged items that are kept at most.
        max_bytes: Bytes of them at most.

    Attributes:
        log: Takes log lines along, as a handler of `logging`.
        asked: Called on the link's thread with each command, and again with those of each Welcome.
        stopped: Called likewise when the run is asked to stop.
    """

    def __init__(
        self,
        service: Endpoint,
        run_id: str,
        attempt: int,
        token: str,
        process: int = 0,
        *,
        max_items: int = 4096,
        max_bytes: int = 32 << 20,
    ) -> None:
        self.log = WorkerLog()
        self._service = service
        self._hello = pb.Hello(
            run_id=run_id,
            attempt=attempt,
            token=token,
            pid=os.getpid(),
            host=os.uname().nodename,
            process=process,
            takes_commands=True,
        )
        self._changed = threading.Condition()
        self._outbox = Outbox(
            self._changed, max_items=max_items, max_bytes=max_bytes, max_message_bytes=service.max_message_bytes
        )
        self._welcome: Welcome | None = None
        self._stop: StopCause | None = None
        self.stopped: Callable[[], None] = lambda: None
        # Until the run has begun, its commands are in the Welcome.
        self.asked: Callable[[RunCommand], None] = lambda command: None
        self._released = False
        self._leaving = False
        self._lost_after_s = _LOST_AFTER_S
        self._linked_at = time.monotonic()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._outgoing: asyncio.Event | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._stay_connected()), name="link", daemon=True)
        self.log.arrived = self._wake

    # The run's thread

    def connect(self) -> Welcome:
        """Connect, and return the service's Welcome."""
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._welcome is not None)
            assert self._welcome is not None
            return self._welcome

    def put(self, body: Body) -> None:
        """Send a body as the next item, as soon as there is room for it.

        Raises:
            InvalidInput: It fits into no message.
        """
        self._outbox.put(body)
        self._wake()

    @property
    def stop_cause(self) -> StopCause | None:
        """Why the run shall stop, if it shall."""
        return self._stop

    def finish(self) -> None:
        """Wait until the service has everything on disk and has acknowledged it."""
        with self._changed:
            self._changed.wait_for(lambda: self._released)
        self._thread.join(_LOST_AFTER_S)

    def leave(self) -> None:
        """Send what is left to be sent, and disconnect: the run goes on in another attempt."""
        self._leaving = True
        self._wake()
        self._thread.join(_LEAVE_S)

    # The link's thread

    async def _stay_connected(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with self._service.connect() as channel:
            stub = worker_pb2_grpc.WorkerLinkStub(channel)
            while not self._done:
                call = stub.Connect()
                try:
                    await self._run_call(call)
                except grpc.aio.AioRpcError as error:
                    if error.code() in _FINAL_CODES:
                        _exit(REFUSED, f"the server refused the worker: {error.code().name}: {error.details()}")
                except (asyncio.InvalidStateError, TimeoutError):
                    pass  # a write on a link that had just ended; or a server that is silent
                finally:
                    self._outgoing = None
                    call.cancel()
                if not self._done:
                    if time.monotonic() - self._linked_at >= self._lost_after_s:
                        _exit(LOST, f"the server has been away for {self._lost_after_s:g} s")
                    await asyncio.sleep(_RETRY_S)

    @property
    def _done(self) -> bool:
        return self._released or self._leaving

    async def _run_call(self, call: grpc.aio.StreamStreamCall) -> None:
        await call.write(pb.ConnectRequest(hello=self._hello))
        first = await _read(call, self._lost_after_s)
        if first is None:
            raise await _ended(call)
        metadata = by_name(await call.initial_metadata())
        self._take_welcome(welcome_of(first.welcome, metadata), first.welcome.lost_after_s)
        self._outgoing = asyncio.Event()
        sender = asyncio.create_task(self._send(call, first.welcome, self._outgoing))
        try:
            while (message := await _read(call, self._lost_after_s)) is not None:
                self._linked_at = time.monotonic()
                self._handle(message)
                if self._released:
                    return
            self._linked_at = time.monotonic()
            raise await _ended(call)
        finally:
            sender.cancel()
            with suppress(asyncio.CancelledError, grpc.aio.AioRpcError, asyncio.InvalidStateError):
                await sender

    def _take_welcome(self, welcome: Welcome, lost_after_s: float) -> None:
        self._lost_after_s = lost_after_s
        self._linked_at = time.monotonic()
        self.log.begin(welcome.logged)
        self._outbox.acknowledge(welcome.acked_seq)
        with self._changed:
            self._stop = welcome.stop or self._stop
            self._welcome = self._welcome or welcome
            self._changed.notify_all()
        for command in welcome.commands:
            self.asked(command)
        if self._stop is not None:
            self.stopped()

    async def _send(self, call: grpc.aio.StreamStreamCall, welcome: pb.Welcome, outgoing: asyncio.Event) -> None:
        sent, items_at = welcome.acked_seq, 0.0
        logged, lines_at = welcome.logged, 0.0
        while True:
            outgoing.clear()
            leaving = self._leaving
            batch, more = self._outbox.after(sent)
            ends = bool(batch) and batch[-1].WhichOneof("item") in _ENDS
            if self.log.last > logged and (leaving or ends or time.monotonic() >= lines_at):
                lines = self.log.after(logged, self._service.max_message_bytes)
                await call.write(lines_message(lines))
                logged, lines_at = lines[-1].number, time.monotonic() + _LOG_LINES_INTERVAL_S
                continue
            if batch and (leaving or ends or more or time.monotonic() >= items_at):
                await call.write(pb.ConnectRequest(items=pb.Items(items=batch)))
                sent, items_at = batch[-1].seq, time.monotonic() + _ITEMS_INTERVAL_S
                continue
            if leaving:
                return await call.done_writing()
            due = [at for at, waits in ((items_at, batch), (lines_at, self.log.last > logged)) if waits]
            wait_s = max(min(due, default=math.inf) - time.monotonic(), 0.0)
            try:
                await asyncio.wait_for(outgoing.wait(), min(welcome.heartbeat_s, wait_s))
            except TimeoutError:
                if not due:
                    await call.write(pb.ConnectRequest(heartbeat=pb.Heartbeat()))

    def _handle(self, message: pb.ConnectResponse) -> None:
        match command_of(message):
            case Ack(seq=seq):
                self._outbox.acknowledge(seq)
            case Stop(cause=cause):
                # A drain must not turn into an end, nor an end into a drain.
                self._stop = self._stop or cause
                self.stopped()
            case Ask(command=command):
                self.asked(command)
            case Release():
                with self._changed:
                    self._released = True
                    self._changed.notify_all()
            case None:
                pass

    def _wake(self) -> None:
        loop, outgoing = self._loop, self._outgoing
        if loop is not None and outgoing is not None:
            with suppress(RuntimeError):  # the loop has ended: everything was released
                loop.call_soon_threadsafe(outgoing.set)


async def _read(call: grpc.aio.StreamStreamCall, timeout_s: float) -> pb.ConnectResponse | None:
    """Return the next message, None at the end.

    Raises:
        TimeoutError: None has come for so many seconds, though a service that is alive sends something all the time. It
            is frozen, and another replica may have taken its run over.
    """
    reading = asyncio.ensure_future(call.read())
    try:
        # A process that was itself stopped for a while has not read what came meanwhile: that is read first.
        for wait_s in (timeout_s, _LATE_S):
            await asyncio.wait({reading}, timeout=wait_s)
            if reading.done():
                message = reading.result()
                return message if isinstance(message, pb.ConnectResponse) else None
    finally:
        reading.cancel()
    raise TimeoutError


async def _ended(call: grpc.aio.StreamStreamCall) -> grpc.aio.AioRpcError:
    """Return how a call ended as an error, also where it ended well: the release had not come."""
    return grpc.aio.AioRpcError(
        await call.code() or grpc.StatusCode.UNKNOWN,
        await call.initial_metadata(),
        await call.trailing_metadata(),
        await call.details(),
    )


def _exit(code: int, text: str) -> NoReturn:
    """End the process from the link's thread."""
    tell(text, sys.stderr)
    flush_logs()
    os._exit(code)
