"""The queue of a deployment, and the choice of a replica."""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

from swath.serve.exceptions import BackPressureError, RayServeException, RequestTimedOut
from swath.serve.exchange import RequestFacts
from swath.serve.transport.channel import Channel

_SESSIONS = 65_536
"""Sessions whose replica is kept in mind, the ones used longest ago forgotten first."""

_MODEL_WAIT_S = 1.0
"""Seconds that a call waits for a replica that holds its model where any other would have to let one go for it."""


class Place:
    """A replica as calls see it.

    Args:
        tag: Its name.
        channel: Its socket.
        model_limit: Models that it may hold; 0 for none, -1 for any number.

    Attributes:
        ongoing: Calls that it runs.
        models: What it holds, or has been sent a call for.
        on_idle: Called when its last call has ended.
    """

    def __init__(self, tag: str, channel: Channel, model_limit: int) -> None:
        self.tag = tag
        self.channel = channel
        self.model_limit = model_limit
        self.ongoing = 0
        self.models: set[str] = set()
        self.on_idle: Callable[[], None] | None = None

    def has_room_for_a_model(self) -> bool:
        """Return whether one more model costs none of those that it holds."""
        return self.model_limit < 0 or len(self.models) < self.model_limit


class Slot:
    """The place of a call in a replica; released once."""

    __slots__ = ("_released", "_router", "place")

    def __init__(self, router: Router, place: Place) -> None:
        self._router = router
        self.place = place
        self._released = False

    def release(self) -> None:
        """Give it back: the next call that waits gets it at once."""
        if not self._released:
            self._released = True
            self._router.released(self.place)


class _Waiter:
    __slots__ = ("facts", "future", "patient_until", "router", "since")

    def __init__(self, router: Router, facts: RequestFacts, future: asyncio.Future[Slot]) -> None:
        self.router = router
        self.facts = facts
        self.future = future
        self.since = time.monotonic()
        self.patient_until = self.since + _MODEL_WAIT_S


class Router:
    """Hands the calls of a deployment to its replicas, in the order in which they came.

    Args:
        max_ongoing: Calls that a replica runs at a time.
        max_queued: Calls that may wait, -1 for any number.
        changed: Called when calls come or go.
    """

    def __init__(self, max_ongoing: int, max_queued: int, changed: Callable[[], None]) -> None:
        self.max_ongoing = max_ongoing
        self.max_queued = max_queued
        self.closed: RayServeException | None = None
        self._changed = changed
        self._places: dict[str, Place] = {}
        self._waiters: deque[_Waiter] = deque()
        self._sessions: OrderedDict[str, str] = OrderedDict()
        self._heir: Router | None = None
        self._leaving = 0

    # What the controller does.

    def add(self, place: Place) -> None:
        """Have a replica take calls."""
        self._places[place.tag] = place
        self.closed = None
        self._hand_over()

    def remove(self, place: Place) -> None:
        """Have a replica take no more calls. Those that it runs go on."""
        if self._places.pop(place.tag, None) is not None:
            self._leaving += place.ongoing

    def close(self, error: RayServeException) -> None:
        """Refuse what waits, and what comes, until there is a replica again."""
        self.closed = error
        for waiter in self._waiters:
            if not waiter.future.done():
                waiter.future.set_exception(type(error)(error.message, error.retry_after_s))
        self._waiters.clear()

    def move_to(self, heir: Router) -> None:
        """Send what waits here, and what comes, to another router: that of the next version."""
        self._heir = heir
        for waiter in self._waiters:
            waiter.router = heir
            heir._waiters.append(waiter)
        self._waiters.clear()
        heir._hand_over()

    def limit(self, max_ongoing: int, max_queued: int) -> None:
        """Change the limits."""
        self.max_ongoing, self.max_queued = max_ongoing, max_queued
        self._hand_over()

    @property
    def waiting(self) -> int:
        """Calls that wait."""
        return len(self._waiters)

    @property
    def places(self) -> list[Place]:
        """Replicas that take calls."""
        return list(self._places.values())

    @property
    def ongoing(self) -> int:
        """Calls that run, in replicas that are about to stop too."""
        return sum(place.ongoing for place in self.places) + self._leaving

    # What calls do.

    async def acquire(self, facts: RequestFacts) -> Slot:
        """Wait for a replica that has room.

        Raises:
            BackPressureError: Too many calls wait already.
            DeploymentUnavailableError: No replica answers, and none will.
            RequestTimedOut: The call's deadline has passed.
        """
        if self._heir is not None:
            return await self._heir.acquire(facts)
        if not self._waiters:
            place = self._choose(facts, patient=True)
            if place is not None:
                return self._take(place, facts)
        if self.closed is not None:
            raise type(self.closed)(self.closed.message, self.closed.retry_after_s)
        if 0 <= self.max_queued <= len(self._waiters):
            raise BackPressureError(
                f"Request dropped due to backpressure (num_queued_requests={len(self._waiters)}, "
                f"max_queued_requests={self.max_queued}).",
                retry_after_s=0.1,
            )
        return await self._wait(facts)

    async def _wait(self, facts: RequestFacts) -> Slot:
        loop = asyncio.get_running_loop()
        waiter = _Waiter(self, facts, loop.create_future())
        self._waiters.append(waiter)
        self._changed()
        timers: list[asyncio.TimerHandle] = []
        if facts.deadline is not None:
            timers.append(loop.call_later(max(0.0, facts.deadline - time.time()), _late, waiter))
        if facts.multiplexed_model_id:
            timers.append(loop.call_later(_MODEL_WAIT_S, lambda: waiter.router._hand_over()))
        # Those before it may wait for replicas of their own, while one has room for this one.
        self._hand_over()
        try:
            return await waiter.future
        except BaseException:
            if waiter.future.done() and not waiter.future.cancelled() and waiter.future.exception() is None:
                waiter.future.result().release()
            raise
        finally:
            for timer in timers:
                timer.cancel()
            if not waiter.future.done() or waiter.future.cancelled() or waiter.future.exception() is not None:
                waiter.router._leave(waiter)

    def _leave(self, waiter: _Waiter) -> None:
        if waiter in self._waiters:
            self._waiters.remove(waiter)
            self._changed()

    def released(self, place: Place) -> None:
        """Take back a call's place."""
        place.ongoing -= 1
        if place.ongoing == 0 and place.on_idle is not None:
            place.on_idle()
        if self._places.get(place.tag) is not place:
            self._leaving -= 1
        elif self._waiters:
            self._hand_over()
        self._changed()

    def _hand_over(self) -> None:
        if not self._waiters or not any(place.ongoing < self.max_ongoing for place in self._places.values()):
            return
        now = time.monotonic()
        left: deque[_Waiter] = deque()
        waiters, self._waiters = self._waiters, left
        while waiters:
            waiter = waiters.popleft()
            if waiter.future.done():
                continue
            place = self._choose(waiter.facts, patient=now < waiter.patient_until)
            if place is not None:
                waiter.future.set_result(self._take(place, waiter.facts))
            else:
                left.append(waiter)
                if not any(each.ongoing < self.max_ongoing for each in self._places.values()):
                    left.extend(waiters)
                    break

    def _take(self, place: Place, facts: RequestFacts) -> Slot:
        place.ongoing += 1
        if facts.multiplexed_model_id:
            place.models.add(facts.multiplexed_model_id)
        if facts.session_id:
            self._sessions[facts.session_id] = place.tag
            self._sessions.move_to_end(facts.session_id)
            if len(self._sessions) > _SESSIONS:
                self._sessions.popitem(last=False)
        self._changed()
        return Slot(self, place)

    def _choose(self, facts: RequestFacts, patient: bool) -> Place | None:
        """Return a replica with room: that of the session, one with the model, or the less busy of two."""
        if facts.session_id:
            own = self._places.get(self._sessions.get(facts.session_id, ""))
            if own is not None:
                return own if own.ongoing < self.max_ongoing else None
        free = [place for place in self._places.values() if place.ongoing < self.max_ongoing]
        if not free:
            return None
        model = facts.multiplexed_model_id
        if model:
            holders = [place for place in self._places.values() if model in place.models]
            ready = [place for place in holders if place.ongoing < self.max_ongoing]
            if ready:
                return min(ready, key=_ongoing)
            roomy = [place for place in free if place.has_room_for_a_model()]
            if holders and not roomy and patient:
                return None
            free = roomy or free
        if len(free) > 2:
            free = random.sample(free, 2)
        return min(free, key=_ongoing)


def _ongoing(place: Place) -> int:
    return place.ongoing


def _late(waiter: Any) -> None:
    if not waiter.future.done():
        waiter.future.set_exception(RequestTimedOut("Deadline Exceeded"))
