"""What runs need of the artifacts, asked for over gRPC, and how long runs are remembered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import grpc
import pytest
from sqlalchemy import func, select, update

from swath.api import ARTIFACT_REFERENCES
from swath.errors import RunNotFound, RunQuota, Unavailable
from swath.rpc.server.health import HealthBoard
from swath.rpc.server.methods import whole_handler
from swath.runtime.server import Server
from swath.runtime.settings import ServerSettings
from swath.storage.sql.engine import run as in_database
from swath_session.adapters.training_references import TrainingReferences
from swath_training.api.reference_servicer import ArtifactReferencesServicer
from swath_training.api.requests import TrainRequest
from swath_training.runs.database.tables import CHECKPOINTS, EVENTS, RUNS
from swath_training.runs.items import Event
from swath_training.runs.model import Run, RunState, Trainer

from .conftest import STATISTICAL, World, Worlds

Ask = Callable[[Callable[[], Awaitable[set[str]]]], Awaitable[TrainingReferences]]


@pytest.fixture
async def asking() -> AsyncIterator[Ask]:
    """Serves what gives digests, and returns who asks for them."""
    servers: list[Server] = []
    channels: list[grpc.aio.Channel] = []

    async def asking(artifacts: Callable[[], Awaitable[set[str]]]) -> TrainingReferences:
        handler = whole_handler(ARTIFACT_REFERENCES, ArtifactReferencesServicer(artifacts))
        servers.append(Server(ServerSettings(port=0), (handler,), (), HealthBoard(["training"])))
        await servers[-1].start()
        channels.append(grpc.aio.insecure_channel(f"127.0.0.1:{servers[-1].port}"))
        return TrainingReferences(channels[-1])

    yield asking
    for channel in channels:
        await channel.close()
    for server in servers:
        await server.drain()


async def test_all_of_many_come(asking: Ask) -> None:
    digests = {f"sha256:{number:064x}" for number in range(12_345)}

    async def artifacts() -> set[str]:
        return digests

    assert await (await asking(artifacts)).read() == digests


async def test_an_answer_that_breaks_off_is_no_answer(asking: Ask) -> None:
    async def artifacts() -> set[str]:
        raise Unavailable("the database is away")

    with pytest.raises(Unavailable, match="the database is away"):
        await (await asking(artifacts)).read()


async def test_they_are_those_that_a_run_began_with_kept_and_brought(world: World, asking: Ask) -> None:
    session = await world.configured()
    before = await world.sessions.get(session.id)
    await world.train(session, STATISTICAL)
    after = await world.sessions.get(session.id)
    found = await (await asking(world.service.artifacts)).read()
    assert {before.pipeline_digest, after.pipeline_digest, after.weights_digest} <= found
    assert all([await world.artifacts.exists(digest) for digest in found])


async def end_long_ago(world: World, *run_ids: str, days: float) -> None:
    store = world.training._store
    aged = update(RUNS).where(RUNS.c.id.in_(run_ids)).values(finished_at=RUNS.c.finished_at - days * 86_400)
    await in_database(store._engine, lambda connection: connection.execute(aged).rowcount, write=True)


async def rows(world: World, table) -> int:
    query = select(func.count()).select_from(table)
    return await in_database(world.training._store._engine, lambda connection: connection.execute(query).scalar_one())


async def test_a_run_is_forgotten_with_its_events_and_what_the_session_took_over_stays(world: World) -> None:
    session = await world.configured()
    following = await world.service.train(TrainRequest(session.id, STATISTICAL))
    assert [entry async for entry in following.events()]
    store = world.training._store
    assert await store.forget(30 * 86_400) == []
    await end_long_ago(world, following.run_id, days=31)
    assert await store.forget(30 * 86_400) == [following.run_id]
    with pytest.raises(RunNotFound):
        await store.get(following.run_id)
    assert [await rows(world, table) for table in (RUNS, EVENTS, CHECKPOINTS)] == [0, 0, 0]
    weights = (await world.sessions.get(session.id)).weights_digest
    assert weights is not None
    assert await world.artifacts.exists(weights)


def made(number: int, owner: str = "ada") -> Run:
    digest = f"sha256:{number:064x}"
    ids = (f"run-{number}", f"session-{number}", owner)
    return Run(*ids, RunState.QUEUED, Trainer.STATISTICAL, digest, digest, digest, None, "cpu")


async def test_runs_with_many_events_go_a_few_at_a_time(world: World) -> None:
    store = world.training._store
    for number in range(5):
        await store.create(made(number), Event(0, b""))
        await store.end(f"run-{number}", RunState.CANCELLED)
    many = update(RUNS).values(last_seq=15_000, finished_at=RUNS.c.finished_at - 100 + RUNS.c.number)
    await in_database(store._engine, lambda connection: connection.execute(many).rowcount, write=True)
    gone = [await store.forget(10) for _ in range(6)]
    assert gone == [[f"run-{number}"] for number in range(5)] + [[]]


class TestQuota:
    async def test_one_more_is_refused_in_words_until_one_has_ended(self, world: World) -> None:
        store = world.training._store
        await store.create(made(0), Event(0, b""), quota=2)
        await store.create(made(1), Event(0, b""), quota=2)
        with pytest.raises(RunQuota, match="ada has 2 of 2 runs queued or under way: wait") as told:
            await store.create(made(2), Event(0, b""), quota=2)
        assert (told.value.code, told.value.reason) == ("RESOURCE_EXHAUSTED", "RUN_QUOTA")
        await store.create(made(3, "grace"), Event(0, b""), quota=2)
        await store.end("run-0", RunState.CANCELLED)
        await store.create(made(2), Event(0, b""), quota=2)
        for number in (1, 2, 3):
            await store.end(f"run-{number}", RunState.CANCELLED)

    async def test_train_says_so_and_leaves_the_session_as_it_was(self, worlds: Worlds) -> None:
        world = await worlds(quota_runs=1)
        first, second = await world.configured(epochs=500), await world.configured()
        following = await world.service.train(TrainRequest(first.id, STATISTICAL))
        before = await world.sessions.get(second.id)
        with pytest.raises(RunQuota, match="have 1 of 1 runs queued or under way"):
            await world.service.train(TrainRequest(second.id, STATISTICAL))
        assert (await world.sessions.get(second.id)).revision == before.revision
        # Whoever comes back to a run that is under way asks for no other one.
        again = await world.service.train(TrainRequest(first.id, STATISTICAL))
        assert again.run_id == following.run_id
        assert [entry async for entry in following.events()]
        assert await world.train(second, STATISTICAL)
