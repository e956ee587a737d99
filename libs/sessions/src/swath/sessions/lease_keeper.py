"""Leases of sessions: a process that reads a session again and again answers from memory meanwhile.

A lease is a promise of the session service: until it ends, no write of that session is acknowledged. It is counted here
from before it was asked for and there from when it was given, so it is never thought to last longer here. A writer that
is in a hurry recalls leases; whoever does not answer is waited out.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Collection, Coroutine, Iterable
from contextlib import suppress
from contextvars import Context
from typing import Any

import structlog

from swath.rpc.remote_errors import calling
from swath.rpc.watching import watch
from swath.session.v1 import session_pb2 as pb
from swath.sessions.messages import SERVICE, session_of
from swath.sessions.row_memory import RowMemory, clock

_log = structlog.get_logger("swath.sessions")

AT_ONCE = 1000
"""Sessions that are asked for in one message at most."""

_TWICE_WITHIN_S = 1.0
_SHORTEST_S = 0.05
_AGAIN_AFTER_S = 0.1
_MAX_MISSED = 1024
_RETURN_TIMEOUT_S = 1.0


class LeaseKeeper:
    """Gets leases of the sessions that are in use here, renews them while they are, and gives them back when asked.

    A session that is read twice within a second gets a lease, which is renewed in the background while it is read. So
    no call waits for a lease, and a session that is read once makes no work for its writers.

    Args:
        stub: Of the session service.
        clock: As `RowMemory` takes it.

    Attributes:
        memory: What may be answered without asking.
        recalled: Leases that writers have asked back so far.
    """

    def __init__(self, stub: Any, clock: Callable[[], float] = clock) -> None:
        self._stub = stub
        self._clock = clock
        # A new one in each process: leases of an earlier one are not ours.
        self._holder = uuid.uuid4().hex
        self.memory = RowMemory(clock)
        self.recalled = 0
        self._for_s = 1.0
        self._missed: dict[str, float] = {}
        self._prune_at = _MAX_MISSED
        self._wanted: set[str] = set()
        self._kick = asyncio.Event()
        self._told = False
        self._watcher: asyncio.Task[Any] | None = None
        self._renewer: asyncio.Task[None] | None = None
        self._returning: set[asyncio.Task[None]] = set()

    def missed(self, session_id: str) -> None:
        """Take note that a session had to be asked for. Call it where an event loop runs."""
        if self._watcher is None:
            self._watcher = _in_background(self._watch())
        now = self._clock()
        before = self._missed.get(session_id)
        if before is None or now - before >= _TWICE_WITHIN_S:
            if len(self._missed) >= self._prune_at:
                self._missed = {key: at for key, at in self._missed.items() if now - at < _TWICE_WITHIN_S}
                self._prune_at = 2 * len(self._missed) + _MAX_MISSED
            self._missed[session_id] = now
        elif now >= before and self._told:
            # Without being told of writers, a lease would have each of them wait for its end.
            self._missed[session_id] = now + _AGAIN_AFTER_S
            self._wanted.add(session_id)
            self._kick.set()
            if self._renewer is None:
                self._renewer = _in_background(self._renew())

    async def stop(self) -> None:
        """Answer from memory no more, and give everything back."""
        tasks = [task for task in (self._watcher, self._renewer, *self._returning) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self.memory.clear()
        if self._watcher is not None:
            # Also what was on its way here, or back.
            await self._give_back(())

    async def _renew(self) -> None:
        """Ask for leases until no session is in use."""
        try:
            while True:
                self._kick.clear()
                now = self._clock()
                used = self.memory.used_since(now - self._for_s)
                # As in `missed`: nobody renews who is not told of writers.
                ending = {key for key, until in used.items() if until - now <= self._for_s / 2 and self._told}
                due = [*(self._wanted | ending)]
                self._wanted = set()
                if due:
                    try:
                        for start in range(0, len(due), AT_ONCE):
                            await self._ask(due[start : start + AT_ONCE])
                    except Exception as error:
                        _log.info("no leases of sessions for a while", error=str(error))
                elif not used:
                    return
                # Twice before a lease is half over: the renewal is there long before it ends.
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._kick.wait(), self._for_s / 4)
        finally:
            self._renewer = None

    async def _ask(self, session_ids: Collection[str]) -> None:
        with self.memory.reading() as reading:
            request = pb.ReadSessionsRequest(ids=session_ids, use=True, holder=self._holder)
            with calling(SERVICE):
                answer = await self._stub.ReadSessions(request)
            # A session that is about to expire has a short one.
            self._for_s = max(_SHORTEST_S, *answer.leases.values()) if answer.leases else self._for_s
            for message in answer.sessions:
                if message.id in answer.leases:
                    reading.keep(session_of(message), answer.leases[message.id])

    async def _watch(self) -> None:
        async def told(answer: pb.WatchRecallsResponse) -> None:
            # An empty one comes first, and wherever something may have been missed.
            if not answer.recalls:
                self._told = True
                return
            recalls = answer.recalls
            for recall in recalls:
                self.memory.drop(recall.session_id)
                self._missed.pop(recall.session_id, None)
            self.recalled += len(recalls)
            task = _in_background(self._give_back(recalls))
            self._returning.add(task)
            task.add_done_callback(self._returning.discard)

        def lost() -> None:
            self._told = False

        request = pb.WatchRecallsRequest(holder=self._holder)
        await watch(
            SERVICE, "sessions that are about to be written", lambda: self._stub.WatchRecalls(request), told, lost=lost
        )

    async def _give_back(self, recalls: Iterable[pb.Recall]) -> None:
        request = pb.ReturnLeasesRequest(holder=self._holder, recalls=recalls)
        try:
            with calling(SERVICE):
                await self._stub.ReturnLeases(request, timeout=_RETURN_TIMEOUT_S)
        except Exception as error:
            _log.info("leases of sessions were not given back: their writers wait for their end", error=str(error))


def _in_background(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Begin what belongs to no call, nor to the trace of the one that happens to begin it."""
    return asyncio.create_task(work, context=Context())
