"""A worker's end of its link: what must arrive is kept until the service has it on disk, whatever the link does."""

from __future__ import annotations

import asyncio
import math
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

import grpc
import grpc.aio

from swath.training.v1 import worker_pb2 as pb
from swath.training.v1 import worker_pb2_grpc
from swath_training.link.messages import command_of, item_message, lines_message, welcome_of
from swath_training.link.worker_log import WorkerLog
from swath_training.runs.items import Ack, Body, Item, Release, Stop, Welcome
from swath_training.runs.model import StopCause

LOST = 75
"""Exit code of a worker that has lost its server."""
REFUSED = 76
"""Exit code of a worker that the server refused: a newer attempt has begun, or the run is over."""
AWAY = 77
"""Exit code of a worker that could not reach storage for longer than it waits."""
ALONE = 78
"""Exit code of a worker that has lost one of its processes."""

_FINAL_CODES = {
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.UNIMPLEMENTED,
}
_MESSAGE_BYTES = 1 << 20
_RETRY_S = 0.1
_LOST_AFTER_S = 60.0
_LATE_S = 1.0
_LEAVE_S = 2.0
# Between two messages of items, unless there are many or it is the last: each message is a commit at the service, and a
# run with steps of milliseconds would have it write all the time.
_ITEMS_INTERVAL_S = 0.05
# Between two messages of log lines: how many lines there are is to be no burden.
_LOG_LINES_INTERVAL_S = 0.5
_ENDS = ("result", "failure", "stopped")
_CHANNEL_OPTIONS = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.keepalive_time_ms", 15_000),
    ("grpc.max_receive_message_length", -1),
]


Connect = Callable[[], grpc.aio.Channel]


def local(address: str) -> Connect:
    """Return what connects to a service on this machine.

    Args:
        address: Where it listens, as gRPC writes it.
    """
    return lambda: grpc.aio.insecure_channel(address, options=_CHANNEL_OPTIONS)


class WorkerLink:
    """Connects to the service from a thread of its own and stays connected.

    The run's thread puts items in and is held back while too many are unacknowledged. A worker that is refused, or that
    has no link for too long, ends as a process: nothing that it could still compute would count.

    Args:
        connect: Opens a channel to the service; called where an event loop runs.
        run_id: The run.
        attempt: Its attempt.
        token: Proves that this is the worker of that attempt.
        process: Number of this process among the attempt's. Only 0 has more to say than Hello.
        max_items: Unacknowledged items that are kept at most.
        max_bytes: Bytes of them at most.

    Attributes:
        log: Takes log lines along, as a handler of `logging`.
    """

    def __init__(
        self,
        connect: Connect,
        run_id: str,
        attempt: int,
        token: str,
        process: int = 0,
        *,
        max_items: int = 4096,
        max_bytes: int = 32 << 20,
    ) -> None:
        self.log = WorkerLog()
        self._connect = connect
        self._hello = pb.Hello(
            run_id=run_id,
            attempt=attempt,
            token=token,
            pid=os.getpid(),
            host=os.uname().nodename,
            process=process,
        )
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._changed = threading.Condition()
        self._kept: deque[pb.Item] = deque()
        self._kept_bytes = 0
        self._last_seq = 0
        self._welcome: Welcome | None = None
        self._stop: StopCause | None = None
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
        """Dial, and return what the service says."""
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._welcome is not None)
            assert self._welcome is not None
            return self._welcome

    def put(self, body: Body) -> None:
        """Send a body as the next item, as soon as there is room for it."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._kept) < self._max_items and self._kept_bytes < self._max_bytes)
            self._last_seq += 1
            message = item_message(Item(self._last_seq, body))
            self._kept.append(message)
            self._kept_bytes += message.ByteSize()
        self._wake()

    @property
    def stop_cause(self) -> StopCause | None:
        """Why the run shall stop, if it shall."""
        return self._stop

    def finish(self) -> None:
        """Wait until everything is on the service's disk and it has said so."""
        with self._changed:
            self._changed.wait_for(lambda: self._released)
        self._thread.join(_LOST_AFTER_S)

    def leave(self) -> None:
        """Send what is there to be sent, and hang up: the run goes on in another attempt."""
        self._leaving = True
        self._wake()
        self._thread.join(_LEAVE_S)

    # The link's thread

    async def _stay_connected(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with self._connect() as channel:
            stub = worker_pb2_grpc.WorkerLinkStub(channel)
            while not self._done:
                call = stub.Connect()
                try:
                    await self._run_call(call)
                except grpc.aio.AioRpcError as error:
                    if error.code() in _FINAL_CODES:
                        _exit(REFUSED, f"the server refused the worker: {error.code().name}: {error.details()}")
                except (asyncio.InvalidStateError, TimeoutError):
                    pass  # a write on a link that had just ended; or a server that says nothing
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
        self._take_welcome(welcome_of(first.welcome, dict(await call.initial_metadata())), first.welcome.lost_after_s)
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
        with self._changed:
            self._forget(welcome.acked_seq)
            self._stop = welcome.stop or self._stop
            self._welcome = self._welcome or welcome
            self._changed.notify_all()

    async def _send(self, call: grpc.aio.StreamStreamCall, welcome: pb.Welcome, outgoing: asyncio.Event) -> None:
        sent, items_at = welcome.acked_seq, 0.0
        logged, lines_at = welcome.logged, 0.0
        while True:
            outgoing.clear()
            leaving = self._leaving
            batch, more = self._after(sent)
            ends = bool(batch) and batch[-1].WhichOneof("item") in _ENDS
            if self.log.last > logged and (leaving or ends or time.monotonic() >= lines_at):
                lines = self.log.after(logged)
                await call.write(lines_message(lines))
                logged, lines_at = lines[-1].number, time.monotonic() + _LOG_LINES_INTERVAL_S
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

    def _after(self, seq: int) -> tuple[list[pb.Item], bool]:
        """Return the next items to send, as many as make one message, and whether that is as large as it may be."""
        batch: list[pb.Item] = []
        size = 0
        with self._changed:
            skip = seq - self._kept[0].seq + 1 if self._kept else 0
            for index in range(max(skip, 0), len(self._kept)):
                batch.append(self._kept[index])
                size += batch[-1].ByteSize()
                if size >= _MESSAGE_BYTES:
                    return batch, True
        return batch, False

    def _handle(self, message: pb.ConnectResponse) -> None:
        match command_of(message):
            case Ack(seq=seq):
                with self._changed:
                    self._forget(seq)
                    self._changed.notify_all()
            case Stop(cause=cause):
                # A drain must not turn into an end, nor an end into a drain.
                self._stop = self._stop or cause
            case Release():
                with self._changed:
                    self._released = True
                    self._changed.notify_all()
            case None:
                pass

    def _forget(self, acked_seq: int) -> None:
        while self._kept and self._kept[0].seq <= acked_seq:
            self._kept_bytes -= self._kept.popleft().ByteSize()

    def _wake(self) -> None:
        loop, outgoing = self._loop, self._outgoing
        if loop is not None and outgoing is not None:
            with suppress(RuntimeError):  # the loop has ended: everything was released
                loop.call_soon_threadsafe(outgoing.set)


async def _read(call: grpc.aio.StreamStreamCall, timeout_s: float) -> pb.ConnectResponse | None:
    """Return the next message, None at the end.

    Raises:
        TimeoutError: None has come for so many seconds, though a service that lives says something all the time. It is
            frozen, and its run may be another one's by now.
    """
    reading = asyncio.ensure_future(call.read())
    try:
        # Whoever was held up itself has not seen yet what came meanwhile: that is read before it is missed.
        for wait_s in (timeout_s, _LATE_S):
            await asyncio.wait({reading}, timeout=wait_s)
            if reading.done():
                message = reading.result()
                return message if isinstance(message, pb.ConnectResponse) else None
    finally:
        reading.cancel()
    raise TimeoutError


async def _ended(call: grpc.aio.StreamStreamCall) -> grpc.aio.AioRpcError:
    """Return how a call ended as an error; a link that ends well before the release has merely ended."""
    return grpc.aio.AioRpcError(
        await call.code() or grpc.StatusCode.UNKNOWN,
        await call.initial_metadata(),
        await call.trailing_metadata(),
        await call.details(),
    )


def _exit(code: int, text: str) -> NoReturn:
    """End the process from the link's thread."""
    print(text, file=sys.stderr, flush=True)
    os._exit(code)
