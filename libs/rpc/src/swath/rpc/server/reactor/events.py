"""The events of gRPC, and the one thread of a loop that waits for them and deals with them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import grpc
import structlog

from swath.rpc.server.reactor.core import cygrpc
from swath.rpc.server.reactor.turns import TurnLoop

_log = structlog.get_logger("swath.calls")

_EVENTS_IN_A_TURN = 256
"""Events after which the loop's own thread gets its turn, however many there are."""

_NOTHING_YET = 0.0
"""A deadline that has passed: what is there, and no waiting."""

Deal = Callable[[Any], None]


class Events:
    """Events of all servers of a loop.

    One thread waits for them, whatever the number of servers: of two that wait, gRPC has one read the sockets of both,
    which then wakes the other.

    Belongs to the loop, as what it calls does.

    Args:
        loop: Deals with them.

    Attributes:
        queue: Where gRPC puts them.
    """

    def __init__(self, loop: TurnLoop) -> None:
        self.queue = cygrpc.CompletionQueue()
        self._loop = loop
        # What gRPC has been asked for and has not answered yet.
        self._due = 0
        self._servers = 0
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="grpc", daemon=True)

    @classmethod
    def enter(cls, loop: TurnLoop) -> Events:
        """Return the events of a loop for a server, which has to `leave` them."""
        events = _OF_LOOPS.get(loop)
        if events is None:
            events = _OF_LOOPS[loop] = cls(loop)
            events._thread.start()
        events._servers += 1
        return events

    async def leave(self) -> None:
        """Wait for no events of a server any more. The last one ends the thread."""
        self._servers -= 1
        if self._servers:
            return
        _OF_LOOPS.pop(self._loop, None)
        self._closing = True
        self._end_if_quiet()
        await asyncio.to_thread(self._thread.join)

    def ask(self, ask: Callable[[Deal], Any], deal: Deal) -> None:
        """Ask gRPC for something.

        Args:
            ask: Asks for it. Is given the tag of the event that answers.
            deal: Called with that event.

        Raises:
            InternalError: The servers of the loop have been stopped.
        """
        if self._closing:
            raise grpc.aio.InternalError("the server has been stopped")
        ask(deal)
        self._due += 1

    def _work(self) -> None:
        # What is run here belongs to the loop, as it does in the loop's own thread.
        asyncio._set_running_loop(self._loop)
        while True:
            event = self.queue.poll(None)
            if event.completion_type == cygrpc.CompletionType.queue_shutdown or not self._loop.take_turn():
                return
            try:
                self._take(event)
            except BaseException as error:  # SystemExit and the like, of a callback: the loop's own thread raises it
                self._loop.fail(error)
            finally:
                self._loop.give_turn()
            # An event holds what came with it.
            del event

    def _take(self, event: Any) -> None:
        """Deal with an event, with what has come meanwhile, and with what that has made ready."""
        complete = cygrpc.CompletionType.operation_complete
        count = 0
        while True:
            if event.completion_type == complete:
                self._deal(event)
            elif not self._loop.run_guests():
                return
            count += 1
            if count % _EVENTS_IN_A_TURN == 0:
                self._loop.give_turn()
                if not self._loop.take_turn():
                    return
            event = self.queue.poll(_NOTHING_YET)

    def _deal(self, event: Any) -> None:
        self._due -= 1
        try:
            event.tag(event)
        except Exception:
            _log.exception("an event of gRPC could not be dealt with")
        self._end_if_quiet()

    def _end_if_quiet(self) -> None:
        if self._closing and not self._due:
            self.queue.shutdown()


_OF_LOOPS: dict[TurnLoop, Events] = {}
