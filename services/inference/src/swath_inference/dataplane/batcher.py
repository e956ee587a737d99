"""The queue of a device: which requests are computed next, and which of them together."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from swath.errors import Exhausted, TimedOut
from swath_inference.dataplane.executor import DeviceThread
from swath_inference.dataplane.limits import Counts, Limits
from swath_inference.dataplane.request import InferRequest

if TYPE_CHECKING:
    from swath_inference.dataplane.models import Model

_QUICK_S = 200e-6
"""A forward that takes less is computed on the event loop: a thread would cost as much again."""

_QUICK_BATCH_S = 1e-3
"""Likewise of several calls together, each of which would have waited for the thread."""

_SHARE_OF_FORWARD = 0.25
"""Part of the last forward's time that a batch may wait for more calls."""

_LEAST_RETRY_S = 1.0
_MOST_RETRY_S = 30.0

Forward = Callable[[Sequence[InferRequest]], list[Any]]


@dataclass(order=True, slots=True)
class _Waiting:
    rank: tuple[int, int]
    request: InferRequest | None = field(compare=False)
    answer: asyncio.Future[Any] = field(compare=False)
    size: int = field(compare=False)


_Key = tuple["Model", Hashable | None]
_Heap = list[_Waiting]


class Batcher:
    """Runs the requests of one device, a batch at a time: the highest priority first, then the longest wait.

    A device that is idle takes a request that comes alone at once; where several come, it takes them together as soon
    as a turn of the event loop brings no more. Requests that have come while it worked, and that may be computed
    together, are: up to a number of calls and bytes. After batches of several calls it waits for the next ones, for a
    part of the time that the last forward took, since whoever was answered last calls again soon.

    A request whose caller has left, or whose deadline has passed, is never started. All state belongs to the event
    loop.

    Args:
        thread: Computes what is not quick.
        forward: Computes requests with one key and returns the result, or the exception, of each.
        key: What requests that may be computed together have in common; None for one that is computed alone.
        size: Bytes of a request.
        limits: Bounds.

    Attributes:
        counts: What was done so far.
    """

    def __init__(
        self,
        thread: DeviceThread,
        forward: Forward,
        key: Callable[[InferRequest], Hashable | None],
        size: Callable[[InferRequest], int],
        limits: Limits,
    ) -> None:
        self._thread = thread
        self._forward = forward
        self._key = key
        self._size = size
        self._limits = limits
        self._groups: dict[_Key, _Heap] = {}
        self._order = itertools.count()
        self._count = 0
        self._busy = False
        self._wake: asyncio.Handle | None = None
        self._held = False
        # Whether a request has come since somebody last looked for a batch.
        self._came = False
        # Requests of this turn of the event loop, and of the last one that had some.
        self._turn = 0
        self._company = 0
        self._lasted = 0.0
        self.counts = Counts()

    @property
    def waiting(self) -> int:
        """Calls that wait or run."""
        return self._count

    def enter(self) -> None:
        """Count a call, which then has to `leave`, among those that wait: from before its batch is decoded.

        Raises:
            Exhausted: Too many wait already.
        """
        if self._count >= self._limits.queue:
            wait = min(max(self._lasted * self._count, _LEAST_RETRY_S), _MOST_RETRY_S)
            raise Exhausted(f"{self._count} calls wait for the device already; try again later", retry_after=wait)
        self._count += 1

    def leave(self) -> None:
        """Count a call no longer."""
        self._count -= 1

    async def run(self, request: InferRequest) -> dict[str, Any]:
        """Compute a request of a call that has entered, and return its outputs.

        Raises:
            TimedOut: Its deadline passed before it was started.
            Exception: What the forward raised.
        """
        if not self._turn:
            asyncio.get_running_loop().call_soon(self._end_turn)
        self._turn += 1
        if self._free_for(request):
            return _outcome(self._compute_here((request,))[0])
        waiting = self._enqueue(request)
        try:
            return await waiting.answer
        finally:
            # One that was given up stays in the queue for a while; its tensors must not.
            waiting.request = None

    def _free_for(self, request: InferRequest) -> bool:
        """Whether a request may be computed at once, here: callers that come with one turn of the loop are gathered."""
        lonely = self._turn == 1 and self._company < 2
        idle = lonely and not self._busy and not self._groups
        return idle and self._quick((request,)) and not _late(request)

    def _end_turn(self) -> None:
        self._company, self._turn = self._turn, 0

    def _enqueue(self, request: InferRequest) -> _Waiting:
        loop = asyncio.get_running_loop()
        request.context = copy_context()
        key = (request.model, self._key(request) if self._limits.calls > 1 else None)
        rank = (-request.priority, next(self._order))
        waiting = _Waiting(rank, request, loop.create_future(), self._size(request))
        heap = self._groups.setdefault(key, [])
        heapq.heappush(heap, waiting)
        self._came = True
        if self._held and (len(heap) >= self._wanted(request) or len(self._groups) > 1):
            self._unhold()
        if self._wake is None and not self._busy:
            # Not at once: callers that the loop is about to run come along.
            self._wake = loop.call_soon(self._dispatch)
        return waiting

    def _dispatch(self) -> None:
        """Start the next batch."""
        self._wake, self._held = None, False
        if self._busy or (key := self._next()) is None:
            return
        loop = asyncio.get_running_loop()
        if self._came and self._gathers(key):
            # What came with this turn of the loop may have company with the next.
            self._came = False
            self._wake = loop.call_soon(self._dispatch)
            return
        if (wait := self._patience(key)) > 0:
            self._held = True
            self._wake = loop.call_later(wait, self._dispatch)
            return
        members = self._take(key)
        requests = [waiting.request for waiting in members if waiting.request is not None]
        if requests and not self._quick(requests):
            self._busy = True
            requests[0].model.pace.here = False
            work = self._thread.submit(partial(self._forward, requests))
            work.add_done_callback(partial(_report, loop, partial(self._finished, members, requests, time.monotonic())))
            return
        if requests:
            _settle(members, self._compute_here(requests))
        if self._groups:
            self._wake = loop.call_soon(self._dispatch)

    def _finished(self, members: _Heap, requests: Sequence[InferRequest], started: float, work: Future[Any]) -> None:
        self._busy = False
        if work.cancelled():
            for waiting in members:
                waiting.answer.cancel()
            return
        self._note(requests, started)
        failure = work.exception()
        _settle(members, work.result() if failure is None else [failure] * len(members))
        if self._wake is None:
            self._dispatch()

    def _compute_here(self, requests: Sequence[InferRequest]) -> list[Any]:
        requests[0].model.pace.here = True
        started = time.monotonic()
        results = self._forward(requests)
        self._note(requests, started)
        return results

    def _note(self, requests: Sequence[InferRequest], started: float) -> None:
        self._lasted = time.monotonic() - started
        # Those that were to be computed together may have been computed one by one.
        calls, forwards = (1, len(requests)) if requests[0].parted else (len(requests), 1)
        for _ in range(forwards):
            self.counts.computed(calls)
        for request in requests:
            waited = started - request.arrived
            self.counts.seconds += waited
            if request.started is not None:
                request.started(waited, calls)
        pace = requests[0].model.pace
        pace.together = max(calls, pace.together / 2)

    def _quick(self, requests: Sequence[InferRequest]) -> bool:
        model = requests[0].model
        if not model.inline:
            return False
        if len(requests) == 1:
            return model.pace.expected(1, self._size(requests[0])) < _QUICK_S
        return model.pace.expected(len(requests), sum(map(self._size, requests))) < _QUICK_BATCH_S

    def _next(self) -> _Key | None:
        """Return the group with the request that is next, and drop those that nobody waits for."""
        best: tuple[tuple[int, int], _Key] | None = None
        for key, heap in list(self._groups.items()):
            while heap and heap[0].answer.done():
                heapq.heappop(heap)
                self.counts.dropped += 1
            if not heap:
                del self._groups[key]
            elif best is None or heap[0].rank < best[0]:
                best = heap[0].rank, key
        return best[1] if best else None

    def _wanted(self, request: InferRequest) -> float:
        """Return how many calls a batch is worth waiting for."""
        return min(self._limits.preferred, request.model.pace.together)

    def _gathers(self, key: _Key) -> bool:
        """Whether a batch goes on to gather as long as calls keep coming, for the longest wait at most."""
        heap = self._groups[key]
        first = heap[0].request
        if first is None or key[1] is None or len(self._groups) > 1 or len(heap) >= self._limits.preferred:
            return False
        return first.arrived + self._limits.delay > time.monotonic()

    def _patience(self, key: _Key) -> float:
        """Return the seconds for which a batch may wait for more calls."""
        heap = self._groups[key]
        first = heap[0].request
        if first is None or key[1] is None or len(self._groups) > 1 or len(heap) >= self._wanted(first):
            return 0.0
        delay = min(self._limits.delay, _SHARE_OF_FORWARD * self._lasted)
        return max(first.arrived + delay - time.monotonic(), 0.0)

    def _unhold(self) -> None:
        if self._wake is not None:
            self._wake.cancel()
        self._wake, self._held = None, False

    def _take(self, key: _Key) -> _Heap:
        """Take the members of the next batch from a group."""
        heap = self._groups[key]
        most = 1 if key[1] is None else self._limits.calls
        members: _Heap = []
        size = 0
        while heap and len(members) < most:
            waiting = heap[0]
            if waiting.request is None or waiting.answer.done():
                self.counts.dropped += 1
            elif _late(waiting.request):
                waiting.answer.set_exception(TimedOut("the call's deadline passed while it waited for the device"))
                self.counts.dropped += 1
            elif members and size + waiting.size > self._limits.size:
                break
            else:
                members.append(waiting)
                size += waiting.size
            heapq.heappop(heap)
        if not heap:
            del self._groups[key]
        return members


def _report(loop: asyncio.AbstractEventLoop, finished: Callable[[Future[Any]], None], work: Future[Any]) -> None:
    with suppress(RuntimeError):  # a loop that has ended has nobody who waits
        loop.call_soon_threadsafe(finished, work)


def _late(request: InferRequest) -> bool:
    return request.deadline is not None and time.monotonic() > request.deadline


def _outcome(result: Any) -> dict[str, Any]:
    if isinstance(result, BaseException):
        raise result
    return result


def _settle(members: _Heap, results: Sequence[Any]) -> None:
    for waiting, result in zip(members, results, strict=True):
        if waiting.answer.done():
            continue  # its caller has left
        if isinstance(result, BaseException):
            waiting.answer.set_exception(result)
        else:
            waiting.answer.set_result(result)
