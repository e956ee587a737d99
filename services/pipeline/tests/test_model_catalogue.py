"""What is published, as other services follow it: within one process and over gRPC alike, and across replicas."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from sqlalchemy.ext.asyncio import AsyncEngine

from swath.api import MODEL_CATALOGUE, MODELS
from swath.errors import InvalidInput
from swath.models.v1 import models_pb2 as pb
from swath.models.v1.models_pb2_grpc import ModelServiceStub
from swath.published.client import RemoteCatalogue
from swath.published.model import Change, Model, ModelVersion, PublishedCatalogue, ReplicaState, State
from swath.rpc.server.health import HealthBoard
from swath.rpc.server.methods import slice_handler, whole_handler
from swath.runtime.server import Server
from swath.runtime.settings import ServerSettings
from swath.storage import ArtifactStore
from swath.storage.sql.engine import open_engine
from swath.storage.sql.notifications import Notifications
from swath_pipeline import ModelCatalogue, ModelCatalogueServicer, ModelService, ModelServicer, ModelStore
from swath_pipeline.models.changes import Wishes
from swath_pipeline.models.store import Changed, Decision
from swath_pipeline.models.tables import SCHEMA
from swath_session import Collectors, SessionAuthority, SessionSettings, SessionStore
from swath_session.adapters.model_references import ModelReferences

Holding = Callable[..., Awaitable[str]]
SOON_S = 20.0
"""Much longer than it takes: no test asserts a time."""


class Follower:
    """Follows a catalogue, and knows what is published."""

    def __init__(self, catalogue: PublishedCatalogue) -> None:
        self.models: dict[str, Model] = {}
        self.complete = 0
        self.failing = False
        self._changed = asyncio.Event()
        self._task = asyncio.create_task(catalogue.watch(self._told))

    async def until(self, seen: Callable[[Follower], bool]) -> None:
        """Wait until something is seen."""
        async with asyncio.timeout(SOON_S):
            while not seen(self):
                self._changed.clear()
                await self._changed.wait()

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _told(self, change: Change) -> None:
        if self.failing:
            self.failing = False
            raise OSError("no memory")
        if change.complete:
            self.models = {}
            self.complete += 1
        self.models.update((model.name, model) for model in change.models)
        for name in change.removed:
            del self.models[name]
        self._changed.set()


class Replica:
    """A replica of the pipeline service, as far as it is asked what is published; it can be away for a while."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.store = ModelStore(engine)
        self.port = 0

    async def start(self) -> None:
        self._notifications = Notifications(self.store.engine)
        self.catalogue = ModelCatalogue(self.store, self._notifications)
        handler = whole_handler(MODEL_CATALOGUE, ModelCatalogueServicer(self.catalogue))
        self._server = Server(ServerSettings(port=self.port), (handler,), (), HealthBoard(["pipeline"]))
        await self._server.start()
        self.port = self._server.port

    async def stop(self) -> None:
        await self._notifications.close()
        await self._server.drain()

    @asynccontextmanager
    async def followed(self, way: str) -> AsyncIterator[PublishedCatalogue]:
        """Give the catalogue as a service has it: `local` or `remote`."""
        if way == "local":
            yield self.catalogue
            return
        options = [("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 100)]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self.port}", options) as channel:
            yield RemoteCatalogue(channel)


@pytest.fixture
async def replica(models_engine: AsyncEngine) -> AsyncIterator[Replica]:
    replica = Replica(models_engine)
    await replica.start()
    yield replica
    await replica.stop()
    await replica.store.close()


@pytest.fixture(params=["local", "remote"])
async def catalogue(request: pytest.FixtureRequest, replica: Replica) -> AsyncIterator[PublishedCatalogue]:
    """What is published, as another service has it."""
    async with replica.followed(request.param) as catalogue:
        yield catalogue


@pytest.fixture
async def follow() -> AsyncIterator[Callable[[PublishedCatalogue], Follower]]:
    """Has a catalogue followed until the test's end."""
    async with AsyncExitStack() as stack:

        def follow(catalogue: PublishedCatalogue) -> Follower:
            follower = Follower(catalogue)
            stack.push_async_callback(follower.stop)
            return follower

        yield follow


Follow = Callable[[PublishedCatalogue], Follower]


async def write(store: ModelStore, name: str, **fields: object) -> Model:
    """Write a model, made if there is none."""
    made = Model(name, versions=(ModelVersion(1, "sha256:" + "a" * 64),))
    after = (await store.change(name, lambda model, _: dataclasses.replace(model or made, **fields))).after  # type: ignore[arg-type]
    assert after is not None
    return after


async def test_all_come_first_then_each_change(catalogue: PublishedCatalogue, replica: Replica, follow: Follow) -> None:
    there = await write(replica.store, "there")
    follower = follow(catalogue)
    await follower.until(lambda it: it.complete == 1)
    assert follower.models == {"there": there}
    new = await write(replica.store, "new")
    await follower.until(lambda it: "new" in it.models)
    assert follower.models == {"there": there, "new": new}
    pinned = await write(replica.store, "there", pinned=True)
    await follower.until(lambda it: it.models["there"].pinned)
    await replica.store.change("new", lambda *_: None)
    await follower.until(lambda it: "new" not in it.models)
    assert follower.models == {"there": pinned}
    assert follower.complete == 1


async def test_that_there_are_none_is_told_too(catalogue: PublishedCatalogue, follow: Follow) -> None:
    follower = follow(catalogue)
    await follower.until(lambda it: it.complete == 1)
    assert follower.models == {}


async def test_who_fails_on_a_change_is_told_of_everything_again(
    catalogue: PublishedCatalogue, replica: Replica, follow: Follow
) -> None:
    follower = follow(catalogue)
    await follower.until(lambda it: it.complete == 1)
    follower.failing = True
    new = await write(replica.store, "new")
    await follower.until(lambda it: it.complete == 2)
    assert follower.models == {"new": new}


async def test_what_was_missed_is_told_when_the_service_is_back(replica: Replica, follow: Follow) -> None:
    for name in ("goes", "stays"):
        await write(replica.store, name)
    async with replica.followed("remote") as catalogue:
        follower = follow(catalogue)
        await follower.until(lambda it: it.complete == 1)
        await replica.stop()
        await replica.store.change("goes", lambda *_: None)
        pinned = await write(replica.store, "stays", pinned=True)
        await replica.start()
        await follower.until(lambda it: it.complete == 2)
        assert follower.models == {"stays": pinned}
        await follower.stop()


async def test_changes_at_one_replica_are_told_by_the_other(postgres_url: str, follow: Follow) -> None:
    engines = [open_engine(postgres_url, schema=SCHEMA.name) for _ in range(2)]
    await SCHEMA.migrate(engines[0])
    one, other = (Replica(engine) for engine in engines)
    for each in (one, other):
        await each.start()
    async with one.followed("remote") as first, other.followed("remote") as second:
        followers = [follow(first), follow(second)]
        for follower in followers:
            await follower.until(lambda it: it.complete == 1)
        for number, store in enumerate((one.store, other.store)):
            made = await write(store, f"m{number}")
            for follower in followers:
                await follower.until(lambda it, made=made: it.models.get(made.name) == made)
        await first.report("gpu-1", [ReplicaState("gpu-1", "m0", 1, State.READY)], 60)
        assert await other.store.states("m0") == [ReplicaState("gpu-1", "m0", 1, State.READY)]
        for follower in followers:
            await follower.stop()
    for each in (one, other):
        await each.stop()
        await each.store.close()


async def test_reports_take_the_place_of_earlier_ones(catalogue: PublishedCatalogue, replica: Replica) -> None:
    failed = ReplicaState("gpu-1", "rx", 2, State.FAILED, "CUDA out of memory", 12)
    await catalogue.report("gpu-1", [ReplicaState("gpu-1", "rx", 1, State.LOADING)], 60)
    await catalogue.report("gpu-1", [failed], 60)
    await catalogue.report("gpu-2", [ReplicaState("gpu-2", "rx", 1, State.READY)], 60)
    assert await replica.store.states("rx") == [ReplicaState("gpu-2", "rx", 1, State.READY), failed]


async def test_a_report_is_what_its_replica_says_and_fits(catalogue: PublishedCatalogue, replica: Replica) -> None:
    said = [
        ReplicaState("somebody else", "rx", 1, State.LOADING),
        ReplicaState("", "rx", 1, State.FAILED, "a\0b" + "x" * 10_000),
    ]
    await catalogue.report("gpu-1", said, 60)
    (kept,) = await replica.store.states("rx")
    assert (kept.replica, kept.state, kept.reason) == ("gpu-1", State.FAILED, "ab" + "x" * 1998)


@pytest.mark.parametrize(
    ("replica_name", "for_s", "text"),
    [
        ("", 60.0, "replica: expected a name"),
        ("a", 0.0, "for_s: expected more than 0 seconds, got 0"),
        ("a", -1.0, "got -1"),
        ("a", float("nan"), "got nan"),
    ],
)
async def test_reports_that_are_none(catalogue: PublishedCatalogue, replica_name: str, for_s: float, text: str) -> None:
    with pytest.raises(InvalidInput, match=text):
        await catalogue.report(replica_name, [], for_s)


class TestArtifacts:
    async def test_all_of_many_are_told(self, replica: Replica) -> None:
        versions = tuple(ModelVersion(n, f"sha256:{n:064x}", f"sha256:{10**6 + n:064x}") for n in range(1, 900))
        await write(replica.store, "rx", versions=versions)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{replica.port}") as channel:
            found = await ModelReferences(channel).read()
        assert found == {digest for version in versions for digest in version.digests}

    async def test_they_stay_while_published_and_when_their_session_goes_meanwhile(
        self,
        models: ModelService,
        model_store: ModelStore,
        sessions: SessionAuthority,
        store: ArtifactStore,
        holding: Holding,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        # Rounds that remove at once what nothing refers to.
        engine = open_engine(tmp_path / "session.db")
        settings = SessionSettings(artifact_grace_s=0, artifact_collect_s=0.001, checkpoint_grace_s=0)

        async def runs() -> set[str]:
            return set()

        collectors = Collectors(store, runs, SessionStore(engine).digests, model_store.digests, engine, settings)
        collector = collectors._all[0]

        async def collect() -> None:
            before = collector.rounds
            while collector.rounds == before:
                await collector.collect()
                await asyncio.sleep(0.005)

        session = await sessions.get(await holding())
        digests = [session.pipeline_digest, session.weights_digest]
        change = model_store.change

        async def change_late(name: str, decide: Decision, **more: Any) -> Changed:
            # The session goes after it was read for the last time, before there is a version.
            await sessions.close(session.id)
            await collect()
            return await change(name, decide, **more)

        monkeypatch.setattr(model_store, "change", change_late)
        await models.publish("rx", session.id, wishes=Wishes())
        monkeypatch.undo()
        await collect()
        assert [store.exists_sync(str(digest)) for digest in digests] == [True, True]
        await models.unpublish("rx")
        await collect()
        assert [store.exists_sync(str(digest)) for digest in digests] == [False, False]
        await collectors.stop()
        await engine.dispose()


class TestWire:
    @pytest.fixture
    async def stub(self, models: ModelService) -> AsyncIterator[ModelServiceStub]:
        handler = slice_handler(MODELS, "pipeline", ModelServicer(models))
        server = Server(ServerSettings(port=0), (handler,), (MODELS,), HealthBoard(["pipeline"]))
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            yield ModelServiceStub(channel)
        await server.drain()

    async def test_a_models_life(self, stub: ModelServiceStub, holding: Holding) -> None:
        request = pb.PublishRequest(
            name="rx",
            session_id=await holding(),
            aliases=["stable"],
            labels={"site": "x"},
            callers=pb.Identities(names=["bob"]),
            editors=pb.Identities(names=["eve"]),
            pinned=True,
        )
        first = await stub.Publish(request)
        assert (first.version, first.existed, first.model.pinned) == (1, False, True)
        assert (list(first.model.callers), list(first.model.editors)) == (["bob"], ["eve"])
        assert first.model.versions[0].inputs[0].dtype == "float32"
        assert (await stub.Publish(request)).existed
        second = await stub.Publish(pb.PublishRequest(name="rx", session_id=await holding(1)))
        assert (second.version, list(second.model.callers), dict(second.model.labels)) == (2, ["bob"], {"site": "x"})
        canary = [pb.Share(version=1, percent=95), pb.Share(version=2, percent=5)]
        moved = (await stub.SetAlias(pb.SetAliasRequest(name="rx", alias="stable", targets=canary))).model
        assert list(moved.aliases[0].targets) == canary
        back = (await stub.RollBackAlias(pb.RollBackAliasRequest(name="rx", alias="stable"))).model
        assert list(back.aliases[0].targets) == [pb.Share(version=1, percent=100)]
        assert list(back.aliases[0].previous) == canary
        changed = pb.Model(name="rx", labels={"a": "b"}, callers=["left", "alone"])
        mask = FieldMask(paths=["labels", "pinned"])
        model = (await stub.UpdateModel(pb.UpdateModelRequest(model=changed, mask=mask))).model
        assert (dict(model.labels), list(model.callers), model.pinned) == ({"a": "b"}, ["bob"], False)
        assert (await stub.GetModel(pb.GetModelRequest(name="rx"))).model == model
        assert list((await stub.ListModels(pb.ListModelsRequest(labels={"a": "b"}))).models) == [model]
        assert not (await stub.ListModels(pb.ListModelsRequest(labels={"a": "c"}))).models
        assert not (await stub.RemoveAlias(pb.RemoveAliasRequest(name="rx", alias="stable"))).model.aliases
        await stub.Unpublish(pb.UnpublishRequest(name="rx", version=2))
        assert [each.number for each in (await stub.GetModel(pb.GetModelRequest(name="rx"))).model.versions] == [1]
        await stub.Unpublish(pb.UnpublishRequest(name="rx"))
        with pytest.raises(grpc.aio.AioRpcError) as gone:
            await stub.GetModel(pb.GetModelRequest(name="rx"))
        assert gone.value.code() is grpc.StatusCode.NOT_FOUND

    @pytest.mark.parametrize("paths", [[], ["owner"], ["labels", "versions"], ["labels.a"]])
    async def test_a_mask_says_what_it_may(self, stub: ModelServiceStub, paths: list[str]) -> None:
        request = pb.UpdateModelRequest(model=pb.Model(name="rx"), mask=FieldMask(paths=paths))
        with pytest.raises(
            grpc.aio.AioRpcError, match="mask: expected some of labels, callers, editors, pinned"
        ) as bad:
            await stub.UpdateModel(request)
        assert bad.value.code() is grpc.StatusCode.INVALID_ARGUMENT
