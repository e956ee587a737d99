"""Artifacts that nothing refers to go after a while; what a session or a run needs stays."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import Float, bindparam, text
from sqlalchemy.ext.asyncio import AsyncEngine

from swath.errors import Unavailable
from swath.storage import ArtifactStore, FolderObjects
from swath.storage.artifacts.store import CHECKPOINTS
from swath.storage.sql.engine import open_engine, reading
from swath_session import Collector, Collectors, SessionSettings, UnreferencedArtifacts
from swath_session.tables import SCHEMA
from swath_suite.testing.small_disk import SmallDisk

GRACE_S = 100.0
INTERVAL_S = 10.0


class World:
    """Artifacts of any age, the digests that are referred to, and replicas that collect."""

    def __init__(self, folder: Path, engine: AsyncEngine, clock: SimpleNamespace) -> None:
        self.referred: set[str] = set()
        self.artifacts = ArtifactStore(FolderObjects(folder))
        self.clock = clock
        self._folder = folder
        self._engine = engine

    def collector(self, *, grace_s: float = GRACE_S, interval_s: float = INTERVAL_S) -> Collector:
        at = bindparam("clock", callable_=lambda: self.clock.now, type_=Float())
        unreferenced = UnreferencedArtifacts(self._engine, clock=at)
        return Collector(
            self.artifacts, [lambda: self.referrer()], unreferenced, grace_s=grace_s, interval_s=interval_s
        )

    async def referrer(self) -> set[str]:
        return set(self.referred)

    def put(self, data: bytes, *, age_s: float = 10 * GRACE_S) -> str:
        digest = self.artifacts.put_sync(data)
        [file] = self._folder.rglob(f"*{digest[9:]}")
        os.utime(file, (time.time() - age_s, time.time() - age_s))
        return digest

    def there(self, *digests: str) -> list[bool]:
        return [self.artifacts.exists_sync(digest) for digest in digests]


@pytest.fixture
async def world(tmp_path: Path, engine: AsyncEngine, clock: SimpleNamespace) -> AsyncIterator[World]:
    yield World(tmp_path / "artifacts", engine, clock)
    await engine.dispose()


async def rounds(world: World, collector: Collector, seconds: float) -> int:
    """Do rounds for some time by the test's clock, and return how many artifacts went."""
    removed = await collector.collect()
    for _ in range(int(seconds / INTERVAL_S)):
        world.clock.now += INTERVAL_S
        removed += await collector.collect()
    return removed


async def test_only_what_nothing_refers_to_goes_and_only_after_the_grace(world: World) -> None:
    needed, nobodys = world.put(b"needed"), world.put(b"nobody's")
    world.referred = {needed}
    collector = world.collector()
    assert await rounds(world, collector, GRACE_S - INTERVAL_S) == 0
    assert await rounds(world, collector, 2 * INTERVAL_S) == 1
    assert world.there(needed, nobodys) == [True, False]


async def test_what_was_put_lately_stays(world: World) -> None:
    digest = world.put(b"on its way to a session", age_s=0)
    assert await rounds(world, world.collector(), 3 * GRACE_S) == 0
    assert world.there(digest) == [True]


async def test_the_grace_begins_when_the_last_reference_goes_however_old_the_artifact_is(world: World) -> None:
    # So a backup of the rows may be as much older than one of the artifacts.
    digest = world.put(b"of a session that is closed")
    world.referred = {digest}
    collector = world.collector()
    await rounds(world, collector, GRACE_S)
    world.referred = set()
    assert await rounds(world, collector, GRACE_S - INTERVAL_S) == 0
    assert world.there(digest) == [True]


async def test_one_that_a_round_has_missed_on_its_way_from_row_to_row_begins_anew(world: World) -> None:
    digest = world.put(b"handed on")
    collector = world.collector()
    for _ in range(3):
        await rounds(world, collector, GRACE_S - INTERVAL_S)
        world.referred = {digest}
        await rounds(world, collector, INTERVAL_S)
        world.referred = set()
        world.clock.now += INTERVAL_S
    assert world.there(digest) == [True]


async def test_one_that_is_put_again_in_the_last_moment_stays(world: World) -> None:
    digest = world.put(b"again")
    collector = world.collector()
    await rounds(world, collector, GRACE_S - INTERVAL_S)
    world.artifacts.put_sync(b"again")
    assert await rounds(world, collector, 5 * INTERVAL_S) == 0
    assert world.there(digest) == [True]


async def test_without_all_answers_nothing_goes(world: World) -> None:
    digest = world.put(b"perhaps a run's")
    collector = world.collector(grace_s=0)

    async def away() -> set[str]:
        raise Unavailable("the training service cannot be reached")

    world.referrer = away
    with pytest.raises(Unavailable):
        await collector.collect()
    assert world.there(digest) == [True]


async def test_replicas_take_turns(world: World) -> None:
    one, other = world.collector(), world.collector()
    asked: list[str] = []

    async def referrer() -> set[str]:
        asked.append("")
        await asyncio.sleep(0.05)
        return set()

    world.referrer = referrer
    await asyncio.gather(one.collect(), other.collect())
    await one.collect()
    await other.collect()
    assert len(asked) == 1
    world.clock.now += INTERVAL_S
    await other.collect()
    assert (len(asked), one.rounds + other.rounds) == (2, 2)


async def test_the_turn_of_a_replica_that_died_in_it_passes_on(world: World) -> None:
    dead, other = world.collector(grace_s=0), world.collector(grace_s=0)
    world.put(b"nobody's")
    assert await dead._unreferenced.acquire_lease(120)
    assert await other.collect() == 0
    world.clock.now += 121
    assert await other.collect() == 1


async def test_checkpoints_are_collected_apart_and_sooner(world: World, engine: AsyncEngine) -> None:
    settings = SessionSettings(checkpoint_grace_s=0, artifact_grace_s=3600)
    checkpoints = world.artifacts.part(CHECKPOINTS)
    dead, live = checkpoints.put_sync(b"the last but one"), checkpoints.put_sync(b"the last")
    both = world.artifacts.put_sync(b"the last but one")

    async def runs() -> set[str]:
        return {live}

    collectors = Collectors(world.artifacts, runs, world.referrer, world.referrer, engine, settings)
    for each in collectors._all:
        await each.collect()
    assert (collectors.removed, collectors.rounds) == (1, 2)
    assert [checkpoints.exists_sync(each) for each in (dead, live)] == [False, True]
    assert world.there(both) == [True]


async def test_a_full_disk_does_not_keep_its_garbage(small_disk: SmallDisk, clock: SimpleNamespace) -> None:
    engine = open_engine(small_disk.folder / "session.db")
    await SCHEMA.prepare(engine)
    world = World(small_disk.folder / "artifacts", engine, clock)
    world.put(os.urandom(1_000_000))
    collector = world.collector(interval_s=1)
    await collector.collect()
    clock.now += GRACE_S + 1
    small_disk.fill()
    async with reading(engine) as connection:
        # While somebody reads, the write-ahead log grows, and there is no room for it.
        await connection.execute(text("SELECT 1 FROM turns"))
        assert await collector.collect() == 1
    await engine.dispose()


async def test_many_go_in_parts(world: World) -> None:
    for number in range(450):
        world.put(str(number).encode())
    assert await world.collector(grace_s=0).collect() == 450


async def test_a_round_that_fails_is_tried_again(world: World) -> None:
    digest = world.put(b"nobody's")
    tries, third = [], asyncio.Event()

    async def referrer() -> set[str]:
        tries.append(len(tries))
        if len(tries) == 1:
            raise OSError("the database is away")
        if len(tries) == 3:
            third.set()
        return set()

    world.referrer = referrer
    collector = world.collector(grace_s=0, interval_s=0.01)
    collector.start()
    try:
        while not third.is_set():
            await asyncio.sleep(0.01)
            world.clock.now += 1
        assert world.there(digest) == [False]
    finally:
        await collector.stop()
