"""Whatever is late, lost, repeated or stopped between readers and writers, no answer is older than a write before it.

The real readers, the real waits and the real tables, in a world where time passes only when nobody has anything to do
and every message takes as long as hypothesis says.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Float, bindparam, create_engine
from sqlalchemy.pool import StaticPool

from swath.errors import Unavailable
from swath.session.v1 import session_pb2 as pb
from swath.sessions.lease_keeper import LeaseKeeper
from swath.sessions.messages import message_of, session_of
from swath.sessions.model import Session
from swath.storage.sql.sqlite import PENDING
from swath_session.sessions.lease_waits import LeaseWaits
from swath_session.sessions.leases import RECALLED, RETURNED, Leases, Recall
from swath_session.tables import METADATA

LEASE_S = 1.0
SESSION = Session("s", "", 1, (), None, None, None, ())


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer when nothing else is to do."""

    now = 0.0

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        if not self._ready:  # type: ignore[attr-defined]
            timers = [each.when() for each in self._scheduled if not each.cancelled()]  # type: ignore[attr-defined]
            self.now = max([self.now, min(timers)]) if timers else self.now
        super()._run_once()  # type: ignore[misc]


def simulated(main: Callable[[VirtualLoop], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(asyncio.wait_for(main(runner.get_loop()), 600.0))  # type: ignore[arg-type]


class World:
    """The session service with one session, and how messages fare on their way to it and back.

    Args:
        loop: Its clock is the true time.
        random: What becomes of messages.
        quiet: Whether each arrives at once.
    """

    def __init__(self, loop: VirtualLoop, random: Random, *, quiet: bool = False) -> None:
        self.loop = loop
        self.random = random
        self.quiet = quiet
        self.revision = 1
        self.acknowledged = 1
        self.asked = 0
        self.set_forward = 0.0
        self._engine = create_engine("sqlite://", poolclass=StaticPool)
        METADATA.create_all(self._engine)
        self._leases = Leases(bindparam("clock", callable_=lambda: 1e9 + loop.now + self.set_forward, type_=Float()))
        self.holders: dict[str, asyncio.Queue[pb.Recall]] = {}
        self._returned: list[asyncio.Queue[str]] = []
        self._later: set[asyncio.Task[None]] = set()

    async def travel(self) -> None:
        """As long as a message takes: mostly hardly any time, sometimes longer than a lease."""
        if not self.quiet:
            most = self.random.choice((0.001, 0.01, 0.2, 0.2, 3.0))
            await asyncio.sleep(self.random.uniform(0.0, most))

    def lost(self) -> bool:
        return not self.quiet and self.random.random() < 0.1

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    def transaction(self, work: Callable[[Any], Any]) -> Any:
        """Commit, and send the notifications off."""
        with self._engine.begin() as connection:
            result = work(connection)
            pending = connection.info.pop(PENDING, [])
        for channel, payload in pending:
            if not self.lost():
                self.later(self._deliver(channel, payload))
        return result

    async def _deliver(self, channel: str, payload: str) -> None:
        await self.travel()
        if channel == RETURNED:
            for queue in self._returned:
                queue.put_nowait(payload)
            return
        assert channel == RECALLED
        session_id, token, holder = payload.split(" ")
        for _ in range(1 if self.quiet else self.random.choice((1, 1, 2))):
            if holder in self.holders:
                self.holders[holder].put_nowait(pb.Recall(session_id=session_id, token=token))
            await self.travel()

    # What a reader sees of it

    async def ReadSessions(self, request: pb.ReadSessionsRequest) -> pb.ReadSessionsResponse:
        await self.travel()

        def work(connection: Any) -> tuple[int, set[str]]:
            given = self._leases.give(connection, request.ids, request.holder, LEASE_S) if request.holder else set()
            return self.revision, given

        self.asked += 1
        revision, given = self.transaction(work)
        await self.travel()
        if self.lost():
            raise Unavailable("the answer was lost")
        row = message_of(replace(SESSION, revision=revision))
        return pb.ReadSessionsResponse(sessions=[row], leases=dict.fromkeys(given, LEASE_S))

    async def WatchRecalls(self, request: pb.WatchRecallsRequest) -> AsyncIterator[pb.WatchRecallsResponse]:
        queue = self.holders[request.holder] = asyncio.Queue()
        yield pb.WatchRecallsResponse()
        while True:
            yield pb.WatchRecallsResponse(recalls=[await queue.get()])

    async def ReturnLeases(self, request: pb.ReturnLeasesRequest, **options: float) -> pb.ReturnLeasesResponse:
        if self.lost():
            raise Unavailable("the question was lost")
        for _ in range(1 if self.quiet else self.random.choice((1, 1, 2))):
            await self.travel()
            for recall in request.recalls:
                self.transaction(
                    lambda connection, recall=recall: self._leases.give_back(
                        connection, request.holder, recall.session_id, recall.token
                    )
                )
        return pb.ReturnLeasesResponse()

    # What a writer does

    def waits(self, rate: float) -> LeaseWaits:
        world = self

        class Notifications:
            async def subscribe(self, channel: str) -> AsyncIterator[str | None]:
                queue: asyncio.Queue[str] = asyncio.Queue()
                world._returned.append(queue)
                yield None
                while True:
                    yield await queue.get()

        return LeaseWaits(Notifications, clock=lambda: self.loop.now * rate)  # type: ignore[arg-type,return-value]

    async def write(self, waits: LeaseWaits) -> None:
        async def attempt(recall: Recall | None, waited: bool) -> int | Recall:
            await self.travel()

            def work(connection: Any) -> int | Recall:
                held = self._leases.take_back(connection, "s", recall, waited)
                if held is not None:
                    return held
                self.revision += 1
                return self.revision

            outcome = self.transaction(work)
            await self.travel()
            return outcome

        written = await waits.write("s", attempt)
        self.acknowledged = max(self.acknowledged, written)


class Reader:
    """A process that answers calls with the session's row.

    Args:
        world: What it asks.
        rate: How fast its clock goes.
    """

    def __init__(self, world: World, rate: float = 1.0) -> None:
        self._world = world
        self.keeper = LeaseKeeper(world, clock=lambda: world.loop.now * rate)

    async def call(self) -> int:
        """Answer one call, and see that the answer has every write that was acknowledged before."""
        before = self._world.acknowledged
        session = self.keeper.memory.find("s")
        if session is None:
            answer = await self._world.ReadSessions(pb.ReadSessionsRequest(ids=["s"]))
            session = session_of(answer.sessions[0])
            self.keeper.missed("s")
        assert session.revision >= before, f"revision {session.revision} after {before} at {self._world.loop.now}"
        return session.revision


async def every(pause: Callable[[], float], until: float, call: Callable[[], Awaitable[Any]]) -> None:
    loop = asyncio.get_running_loop()
    while loop.time() < until:
        with suppress(Unavailable):
            await call()
        await asyncio.sleep(pause())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), rates=st.lists(st.floats(0.98, 1.02), min_size=4, max_size=4))
def test_no_answer_is_older_than_a_write_that_was_acknowledged_before(seed: int, rates: list[float]) -> None:
    random = Random(seed)
    found: list[int] = []

    async def main(loop: VirtualLoop) -> None:
        world = World(loop, random)
        readers = [Reader(world, rate) for rate in rates[:2]]
        writers = [world.waits(rate) for rate in rates[2:]]

        async def call(reader: Reader) -> None:
            found.append(await reader.call())

        async def write(waits: LeaseWaits) -> None:
            # Some writers die on their way.
            with suppress(TimeoutError):
                await asyncio.wait_for(world.write(waits), random.choice((0.05, 30.0, 30.0, 30.0)))

        async def set_clock() -> None:
            world.set_forward += random.uniform(-2.0, 2.0)

        async with asyncio.TaskGroup() as group:
            for reader in readers * 2:
                group.create_task(
                    every(lambda: random.choice((0.0, 0.01, 0.1, 0.1, 1.5)), 20.0, lambda r=reader: call(r))
                )
            for waits in writers:
                group.create_task(every(lambda: random.choice((0.0, 0.5, 2.0)), 20.0, lambda w=waits: write(w)))
            group.create_task(every(lambda: random.uniform(2.0, 6.0), 20.0, set_clock))
        assert world.acknowledged > 1
        assert sum(reader.keeper.memory.found for reader in readers) > 0
        for reader in readers:
            await reader.keeper.stop()

    simulated(main)
    assert found


def in_a_quiet_world(main: Callable[[World], Awaitable[None]]) -> None:
    simulated(lambda loop: main(World(loop, Random(0), quiet=True)))  # type: ignore[arg-type]


async def leased(world: World) -> Reader:
    """Return a reader that has just got a lease."""
    reader = Reader(world)
    for _ in range(3):
        await reader.call()
        await asyncio.sleep(0.01)
    assert reader.keeper.memory.find("s") is not None
    return reader


def test_a_session_that_is_in_use_is_asked_for_in_the_background_only() -> None:
    async def main(world: World) -> None:
        reader = await leased(world)
        missed, asked = reader.keeper.memory.missed, world.asked
        for _ in range(1000):
            await reader.call()
            await asyncio.sleep(0.01)
        assert reader.keeper.memory.missed == missed
        # Ten seconds: a renewal each time that half of a lease of one second is over, or a little earlier.
        assert 10 <= world.asked - asked <= 40

    in_a_quiet_world(main)


def test_a_session_that_is_not_used_is_not_asked_for() -> None:
    async def main(world: World) -> None:
        reader = await leased(world)
        await asyncio.sleep(3.0)
        asked = world.asked
        await asyncio.sleep(60.0)
        assert world.asked == asked
        assert reader.keeper.memory.find("s") is None

    in_a_quiet_world(main)


def test_a_session_that_is_read_now_and_then_gets_no_lease() -> None:
    async def main(world: World) -> None:
        reader = Reader(world)
        for _ in range(10):
            await reader.call()
            await asyncio.sleep(1.5)
        assert (reader.keeper.memory.found, world.asked) == (0, 10)

    in_a_quiet_world(main)


def test_a_write_of_a_session_without_readers_waits_for_nothing() -> None:
    async def main(world: World) -> None:
        waits, began = world.waits(1.0), world.loop.now
        await world.write(waits)
        assert (world.loop.now, waits.waited) == (began, 0)

    in_a_quiet_world(main)


def test_a_write_waits_for_a_readers_word_and_no_longer() -> None:
    async def main(world: World) -> None:
        reader, waits = await leased(world), world.waits(1.0)
        began = world.loop.now
        await world.write(waits)
        assert (world.loop.now, waits.waited) == (began, 1)
        assert reader.keeper.memory.find("s") is None
        assert await reader.call() == world.revision == 2

    in_a_quiet_world(main)


def test_a_reader_that_says_nothing_is_waited_out_once() -> None:
    async def main(world: World) -> None:
        reader, waits = await leased(world), world.waits(1.0)
        world.holders.clear()  # It is told of nothing any more.
        began = world.loop.now
        await world.write(waits)
        assert 1.0 < world.loop.now - began < 1.2
        assert await reader.call() == 2
        began = world.loop.now
        await world.write(waits)
        assert world.loop.now == began

    in_a_quiet_world(main)


def test_no_lease_is_given_while_a_writer_waits() -> None:
    async def main(world: World) -> None:
        reader, waits = await leased(world), world.waits(1.0)
        world.holders.clear()
        writing = asyncio.create_task(world.write(waits))
        await asyncio.sleep(0.1)
        answer = await world.ReadSessions(pb.ReadSessionsRequest(ids=["s"], holder="another"))
        assert (answer.sessions[0].revision, dict(answer.leases)) == (1, {})
        await writing
        answer = await world.ReadSessions(pb.ReadSessionsRequest(ids=["s"], holder="another"))
        assert (answer.sessions[0].revision, dict(answer.leases)) == (2, {"s": LEASE_S})
        await reader.keeper.stop()

    in_a_quiet_world(main)


def test_a_writer_that_dies_keeps_readers_from_leases_for_a_while_only() -> None:
    async def main(world: World) -> None:
        reader = await leased(world)
        world.holders.clear()
        dying = asyncio.create_task(world.write(world.waits(1.0)))
        await asyncio.sleep(0.1)
        dying.cancel()
        answer = await world.ReadSessions(pb.ReadSessionsRequest(ids=["s"], holder="another"))
        assert not answer.leases
        await asyncio.sleep(15.0)
        answer = await world.ReadSessions(pb.ReadSessionsRequest(ids=["s"], holder="another"))
        assert dict(answer.leases) == {"s": LEASE_S}
        await reader.keeper.stop()

    in_a_quiet_world(main)


@pytest.mark.parametrize(
    ("late_s", "after_s", "found"),
    [(0.0, 0.99, True), (0.0, 1.01, False), (0.9, 0.99, True), (0.9, 1.01, False), (1.1, 1.2, False)],
)
def test_a_lease_is_counted_from_before_it_was_asked_for(late_s: float, after_s: float, found: bool) -> None:
    async def main(world: World) -> None:
        reader = Reader(world)
        reader.keeper.missed("s")
        await asyncio.sleep(0.01)
        world.travel = lambda: asyncio.sleep(late_s / 2)  # type: ignore[method-assign]
        reader.keeper.missed("s")
        await asyncio.sleep(late_s + 0.001)
        world.travel = lambda: asyncio.sleep(9.0)  # type: ignore[method-assign]
        await asyncio.sleep(after_s - late_s - 0.001)
        assert (reader.keeper.memory.find("s") is not None) == found

    in_a_quiet_world(main)
