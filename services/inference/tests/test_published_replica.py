"""A replica that follows the pipeline service's own catalogue: changes under load, a lost catalogue, starts."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import torch
from grpc_health.v1 import health_pb2
from prometheus_client import CollectorRegistry

from swath.api import INFERENCE, MODEL_CATALOGUE
from swath.documents import canonical, parse
from swath.engine.graph.pipeline import Pipeline
from swath.errors import ModelNotFound, SwathError, Unavailable
from swath.inference.v1 import inference_pb2 as pb
from swath.inference.v1 import inference_pb2_grpc
from swath.published.client import RemoteCatalogue
from swath.published.model import PublishedCatalogue, ReplicaState, Share, State, TensorSpec
from swath.published.names import no_model
from swath.rpc.caller import Caller, acting_as
from swath.rpc.server.health import HealthBoard
from swath.rpc.server.methods import slice_handler
from swath.runtime.auth.tokens import hash_of
from swath.runtime.server import Server
from swath.runtime.settings import ServerSettings
from swath.sessions.model import Session
from swath.storage import ArtifactStore
from swath.storage.sql.engine import open_engine
from swath.storage.sql.notifications import Notifications
from swath_inference import InferenceService
from swath_inference.protocols.oip.repository import Repository
from swath_inference.protocols.stream.servicer import StreamServicer
from swath_inference.published.calls import ModelCalls
from swath_inference.published.exercise import sample
from swath_inference.published.follower import Follower
from swath_inference.published.loading import Loader
from swath_inference.published.metrics import ModelMetrics
from swath_inference.published.models import PublishedModels
from swath_pipeline import (
    ModelCatalogue,
    ModelCatalogueServicer,
    ModelService,
    ModelStore,
    PipelineSettings,
)
from swath_pipeline.artifacts import PipelineArtifacts
from swath_pipeline.models.changes import Wishes
from swath_pipeline.models.tables import SCHEMA
from swath_session import SessionAuthority

pytestmark = pytest.mark.timeout(120)

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
TOKENS = {"olga": "swath_olgas-token", "victor": "swath_victors-token"}

SCORES = np.arange(100, dtype=np.float32).reshape(1, 10, 10, 1)
"""Of these, version N finds 100 - N above its threshold, so that an answer says which version has given it."""


class Pipelines:
    """The pipeline service's part: what is published, and who says what of it."""

    def __init__(self, folder: Path, sessions: SessionAuthority, artifacts: ArtifactStore) -> None:
        engine = open_engine(folder / "pipeline.db", schema=SCHEMA.name)
        self.store = ModelStore(engine)
        self.notifications = Notifications(engine)
        self.catalogue = ModelCatalogue(self.store, self.notifications)
        self.models = ModelService(self.store, sessions, PipelineArtifacts(artifacts), PipelineSettings())
        self._sessions = sessions
        self._artifacts = artifacts

    async def publish(self, number: int, name: str = "scene", *, remembers: bool = False, **wishes: Any) -> int:
        """Publish a pipeline whose threshold is `number`, and return the version."""
        node = {"name": "above", "class_name": "cuvis_ai.node.deciders.ScoreThreshold"}
        nodes = [{**node, "hparams": {"threshold": float(number) - 0.5, "keep": "above"}}]
        if remembers:
            hparams = {"n_channels": 1, "quantile_low": 0.0, "quantile_high": 1.0, "running_warmup_frames": 0}
            nodes.append(
                {
                    "name": "memory",
                    "class_name": "cuvis_ai.node.normalization.PercentileNormalizer",
                    "hparams": hparams,
                }
            )
        digest = await self._artifacts.put(canonical(parse("pipeline", {"nodes": nodes, "connections": []})))
        session: Session = await self._sessions.create()
        await self._sessions.update(session.id, session.revision, pipeline_digest=digest)
        aliases = wishes.pop("aliases", ())
        return (await self.models.publish(name, session.id, aliases=aliases, wishes=Wishes(**wishes))).version

    async def point(self, *shares: tuple[int, float], alias: str = "stable") -> None:
        await self.models.set_alias("scene", alias, [Share(*share) for share in shares])

    async def said(self, states: set[State]) -> list[ReplicaState]:
        """Wait until replicas say these of the model, and return what they say."""
        async with asyncio.timeout(10):
            while True:
                said = (await self.models.get("scene"))[1]
                if {each.state for each in said} == states:
                    return said
                await asyncio.sleep(0.01)

    async def close(self) -> None:
        await self.notifications.close()
        await self.store.close()


class Replica:
    """A replica of the inference service, as its assembly makes it."""

    def __init__(self, service: InferenceService, catalogue: PublishedCatalogue, wait_s: float = 10.0) -> None:
        self.service = service
        self.models = PublishedModels()
        self.loader = Loader(self.models, service.runner, lambda: self.follower.changed())
        self.calls = ModelCalls(self.models, self.loader, service.runner)
        self.follower = Follower(catalogue, self.calls, self.loader, "replica-1", wait_s)
        self.health = HealthBoard(("inference",))
        self.follower.to_health(lambda models: self.health.set_models("inference", models))

    async def start(self) -> None:
        await self.follower.start()
        await self.follower.first()
        await self.health.set_ready("inference")

    async def infer(self, version: str = "", caller: str | None = None) -> int:
        """Return how many scores the version that answers finds, from 100: its own number."""
        found = self.models.find("scene", version, caller)
        batch = {"scores": torch.from_numpy(SCORES)}
        outputs = await self.calls.infer(found, lambda: batch, (), lambda outputs: outputs)
        answer = 100 - int(outputs["above.decisions"].sum())
        assert answer == found.version
        return answer

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until something is true of what is published, which is to take a second at most."""
        async with asyncio.timeout(10):
            while not true():  # noqa: ASYNC110 - no event says so
                await asyncio.sleep(0.005)

    def metric(self, name: str, **labels: str) -> float | None:
        registry = CollectorRegistry()
        registry.register(ModelMetrics(self.models, self.calls.counts))
        return registry.get_sample_value(name, labels)


@pytest.fixture
async def pipelines(tmp_path: Path, sessions: SessionAuthority, artifacts: ArtifactStore) -> AsyncIterator[Pipelines]:
    made = Pipelines(tmp_path, sessions, artifacts)
    await made.store.open()
    yield made
    await made.close()


@pytest.fixture
async def linked() -> AsyncIterator[Callable[[Server], RemoteCatalogue]]:
    """Makes clients of a served catalogue."""
    channels = []

    def link(server: Server) -> RemoteCatalogue:
        channels.append(grpc.aio.insecure_channel(f"127.0.0.1:{server.port}"))
        return RemoteCatalogue(channels[-1])

    yield link
    for channel in channels:
        await channel.close()


@pytest.fixture
async def start(service: InferenceService, linked: Any) -> AsyncIterator[Callable[..., Coroutine[Any, Any, Replica]]]:
    """Starts replicas over one service."""
    replicas = []

    async def go(catalogue: PublishedCatalogue, **how: Any) -> Replica:
        replica = Replica(service, catalogue, **how)
        replicas.append(replica)
        await replica.start()
        return replica

    yield go
    for replica in replicas:
        await replica.follower.stop()


async def test_a_start_loads_what_is_pinned_and_says_so(pipelines: Pipelines, start: Any) -> None:
    await pipelines.publish(1, pinned=True, aliases=["stable"])
    replica = await start(pipelines.catalogue)
    # It was run once, over zeros, and that is no call of a client's.
    assert replica.service.runner.batching().calls == 1
    assert replica.metric("swath_model_requests_total", model="scene", version="1", code="OK") is None
    assert await replica.infer() == 1
    await replica.until(lambda: replica.health.models.get("swath.model/scene") == SERVING)
    said = await pipelines.said({State.READY})
    assert [(each.replica, each.version, each.state) for each in said] == [("replica-1", 1, State.READY)]
    assert said[0].memory_bytes > 0


@pytest.mark.parametrize("pinned", [False, True])
async def test_ten_thousand_calls_see_versions_that_were_live_and_none_fails(
    pipelines: Pipelines, start: Any, pinned: bool
) -> None:
    await pipelines.publish(1, pinned=pinned, aliases=["stable"])
    replica = await start(pipelines.catalogue)
    live = {1}
    answers: Counter[int] = Counter()
    going = True

    async def call() -> None:
        while going or answers.total() < 10_000:
            # What answers was live when the call came, or has become so since.
            before = set(live)
            answer = await replica.infer()
            answers[answer] += 1
            assert answer in before | live
            await asyncio.sleep(0)

    callers = [asyncio.create_task(call()) for _ in range(8)]
    for number in range(2, 8):
        assert await pipelines.publish(number) == number
        live.add(number)
        await pipelines.point((number - 1, 90.0), (number, 10.0))
        await replica.until(lambda number=number: replica.models.routes("scene")["stable"].shares[-1].version == number)
        await pipelines.point((number, 100.0))
        await replica.until(lambda: len(replica.models.routes("scene")["stable"].shares) == 1)
        await pipelines.models.roll_back_alias("scene", "stable")
        await replica.until(lambda: len(replica.models.routes("scene")["stable"].shares) == 2)
        await pipelines.models.roll_back_alias("scene", "stable")
        await replica.until(lambda: len(replica.models.routes("scene")["stable"].shares) == 1)
        if number > 2:
            await pipelines.models.unpublish("scene", number - 2)
            await replica.until(lambda number=number: number - 2 not in replica.models.versions("scene"))
            live.discard(number - 2)
            with pytest.raises(ModelNotFound):
                await replica.infer(str(number - 2))
    going = False
    await asyncio.gather(*callers)
    assert answers.total() >= 10_000
    assert set(answers) <= set(range(1, 8))
    assert answers[7] > 0
    total = sum(counts.ended.get("OK", 0) for counts in replica.calls.counts.read().values())
    assert {version for _, version in replica.calls.counts.read()} == {6, 7}
    assert total == answers[6] + answers[7]


async def test_the_share_of_a_canary_is_what_its_alias_says_and_metrics_say_so(
    pipelines: Pipelines, start: Any
) -> None:
    await pipelines.publish(1, aliases=["stable"])
    await pipelines.publish(2)
    await pipelines.point((1, 95.0), (2, 5.0))
    replica = await start(pipelines.catalogue)
    calls = 4000
    for _ in range(calls):
        await replica.infer()
    told = {
        each: replica.metric("swath_model_requests_total", model="scene", version=str(each), code="OK")
        for each in (1, 2)
    }
    assert sum(value or 0 for value in told.values()) == calls
    assert abs((told[2] or 0) - 0.05 * calls) < 4 * math.sqrt(calls * 0.05 * 0.95)
    assert replica.metric("swath_model_share_ratio", model="scene", alias="", version="2") == 0.05
    for name in ("request_seconds", "queue_seconds", "batch_calls"):
        assert replica.metric(f"swath_model_{name}_count", model="scene", version="1") == told[1]
    with pytest.raises(SwathError):
        await replica.calls.infer(replica.models.find("scene", "1"), dict, (), lambda outputs: outputs)
    failed = {"model": "scene", "version": "1", "code": "InvalidArgument"}
    assert replica.metric("swath_model_requests_total", **failed) == 1
    await pipelines.models.unpublish("scene")
    await replica.until(lambda: not replica.models.versions("scene"))
    assert replica.metric("swath_model_requests_total", **failed) is None


async def test_a_pinned_version_that_cannot_be_loaded_takes_no_calls_and_all_say_why(
    pipelines: Pipelines, start: Any, artifacts: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pipelines.publish(1, pinned=True, aliases=["stable"])
    replica = await start(pipelines.catalogue)
    get = artifacts.get
    kept = replica.models.find("scene").key[0]

    async def lost(digest: str) -> bytes:
        if digest != kept:
            raise Unavailable("the artifact store has lost it")
        return await get(digest)

    monkeypatch.setattr(artifacts, "get", lost)
    await pipelines.publish(2, aliases=["stable"])
    await replica.until(lambda: replica.models.versions("scene").get(2, None) is not None)
    await replica.until(lambda: replica.models.versions("scene")[2].state is State.FAILED)
    assert await replica.infer() == 1
    with pytest.raises(Unavailable, match="version 2 could not be loaded: the artifact store has lost it"):
        await replica.infer("2")
    said = await pipelines.said({State.READY, State.FAILED})
    assert [each.reason for each in said if each.version == 2] == ["the artifact store has lost it"]
    assert replica.health.models["swath.model/scene"] == SERVING


async def test_a_model_of_which_nothing_can_be_loaded_is_not_serving_and_the_rest_is(
    pipelines: Pipelines, start: Any, artifacts: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pipelines.publish(1, pinned=True)
    await pipelines.publish(1, name="other")

    async def lost(digest: str) -> bytes:
        raise Unavailable("the artifact store has lost it")

    monkeypatch.setattr(artifacts, "get", lost)
    replica = await start(pipelines.catalogue)
    await replica.until(lambda: len(replica.health.models) == 2)
    assert replica.health.models == {"swath.model/scene": NOT_SERVING, "swath.model/other": SERVING}
    assert replica.health.statuses["swath.inference"] == SERVING
    assert replica.metric("swath_model_ready", model="scene", version="1") == -1


async def test_a_pinned_model_that_fits_no_more_is_told_of_in_words_by_readiness_and_by_the_catalogue(
    pipelines: Pipelines, start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pipelines.publish(1, pinned=True)

    def full(pipeline: Pipeline, device: Any) -> Pipeline:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    with monkeypatch.context() as patched:
        patched.setattr(Pipeline, "to", full)
        replica = await start(pipelines.catalogue)
        [said] = await pipelines.said({State.FAILED})
        words = "the device has not enough memory for this model: free some, or serve it on a larger device"
        assert (said.version, said.reason) == (1, words)
        await replica.until(lambda: replica.health.models == {"swath.model/scene": NOT_SERVING})
        repository = Repository(replica.calls, lambda _: None)
        assert not repository.is_ready("scene", "", None)
        assert [(each.state, each.reason) for each in repository.index(None)] == [("UNAVAILABLE", words)]
        with pytest.raises(Unavailable, match=f"version 1 could not be loaded: {words}"):
            await replica.infer()
        # Sessions, and other models, are served all the same.
        assert replica.health.statuses["swath.inference"] == SERVING
    # There is room again.
    assert [each.reason for each in await pipelines.said({State.READY})] == [""]
    await replica.until(lambda: replica.health.models == {"swath.model/scene": SERVING})
    assert await replica.infer() == 1


@pytest.fixture
async def served(pipelines: Pipelines) -> AsyncIterator[Callable[..., Coroutine[Any, Any, Server]]]:
    """Serves the catalogue, as a pipeline service in a process of its own does."""
    servers: list[Server] = []

    async def serve(port: int = 0) -> Server:
        handler = slice_handler(MODEL_CATALOGUE, "pipeline", ModelCatalogueServicer(pipelines.catalogue))
        server = Server(
            ServerSettings(port=port, drain_lag_s=0, drain_grace_s=0), (handler,), (), HealthBoard(("pipeline",))
        )
        await server.start()
        servers.append(server)
        return server

    yield serve
    for server in servers:
        with suppress(Exception):
            await server.drain()


async def test_a_replica_without_the_pipeline_service_goes_on_and_hears_all_of_it_again(
    pipelines: Pipelines, served: Any, linked: Any, start: Any
) -> None:
    await pipelines.publish(1, aliases=["stable"])
    await pipelines.publish(9, name="other")
    server = await served()
    replica = await start(linked(server))
    assert await replica.infer() == 1
    await server.drain()
    # Nobody tells it of these.
    await pipelines.publish(2, aliases=["stable"])
    await pipelines.models.unpublish("other")
    for _ in range(100):
        assert await replica.infer() == 1
    await served(server.port)
    await replica.until(lambda: 2 in replica.models.versions("scene"))
    assert await replica.infer() == 2
    assert not replica.models.versions("other")


async def test_a_replica_that_starts_without_the_pipeline_service_serves_sessions_and_learns_later(
    pipelines: Pipelines, served: Any, linked: Any, start: Any, normalizing: Any, service: InferenceService
) -> None:
    await pipelines.publish(1, pinned=True)
    server = await served()
    await server.drain()
    replica = await start(linked(server), wait_s=0.1)
    assert replica.health.statuses["swath.inference"] == SERVING
    batch = {"data": torch.arange(48, dtype=torch.float32).reshape(1, 4, 4, 3)}
    assert await service.infer(await normalizing(), lambda: batch, [], list) == ["node.normalized"]
    with pytest.raises(Unavailable, match="does not know yet what is published"):
        await replica.infer()
    await served(server.port)
    await replica.until(lambda: replica.models.known)
    assert await replica.infer() == 1


@pytest.fixture
async def stub(service: InferenceService, pipelines: Pipelines, start: Any) -> AsyncIterator[Any]:
    """A stub of streams, at a replica that is its attribute."""
    replica = await start(pipelines.catalogue)
    handlers = [slice_handler(INFERENCE, "inference", StreamServicer(service, replica.calls))]
    server = Server(ServerSettings(port=0, drain_grace_s=1), handlers, (INFERENCE,), HealthBoard(("inference",)))
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub: Any = inference_pb2_grpc.InferenceServiceStub(channel)
        stub.replica = replica
        yield stub
    await server.drain()


async def _opened(stub: Any, **names: str) -> tuple[Any, int]:
    call = stub.StreamInfer()
    await call.write(pb.StreamInferRequest(open=pb.Open(**names)))
    return call, (await call.read()).opened.model_version


async def _count(call: Any, number: int = 1, scores: Any = SCORES) -> int:
    tensor = pb.Tensor(shape=scores.shape, dtype=pb.D_TYPE_FLOAT32, data=scores.tobytes())
    await call.write(pb.StreamInferRequest(frame=pb.Frame(id=number, inputs={"scores": tensor})))
    result = (await call.read()).result
    assert not result.HasField("error"), result.error
    return 100 - sum(result.outputs["above.decisions"].data)


async def _ended(call: Any) -> tuple[str, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        while await call.read() is not grpc.aio.EOF:  # type: ignore[attr-defined]
            pass
        await call
    return caught.value.code().name, caught.value.details() or ""


async def test_a_stream_stays_on_its_version_until_that_is_taken_back(pipelines: Pipelines, stub: Any) -> None:
    await pipelines.publish(1, aliases=["stable"])
    await stub.replica.until(lambda: bool(stub.replica.models.versions("scene")))
    call, version = await _opened(stub, model="scene")
    assert (version, await _count(call)) == (1, 1)
    await pipelines.publish(2, aliases=["stable"])
    await stub.replica.until(lambda: stub.replica.models.find("scene").version == 2)
    assert await _count(call, 2) == 1
    later, version = await _opened(stub, model="scene")
    assert (version, await _count(later)) == (2, 2)
    await pipelines.models.unpublish("scene", 1)
    code, text = await _ended(call)
    assert (code, "has no version '1': versions are 2" in text) == ("NOT_FOUND", True)
    assert await _count(later, 2) == 2
    later.cancel()


async def test_a_frame_that_is_computed_when_its_version_is_taken_back_is_answered(
    pipelines: Pipelines, stub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pipelines.publish(1)
    await stub.replica.until(lambda: bool(stub.replica.models.versions("scene")))
    call, _ = await _opened(stub, model="scene", version="1")
    begun, go_on, infer = asyncio.Event(), asyncio.Event(), stub.replica.calls.infer

    async def slow(*given: Any, **how: Any) -> Any:
        begun.set()
        await go_on.wait()
        return await infer(*given, **how)

    monkeypatch.setattr(stub.replica.calls, "infer", slow)
    answer = asyncio.create_task(_count(call))
    await begun.wait()
    await pipelines.models.unpublish("scene")
    await stub.replica.until(lambda: not stub.replica.models.versions("scene"))
    go_on.set()
    assert await answer == 1
    assert (await _ended(call))[0] == "NOT_FOUND"
    assert stub.replica.service.runner.keys == ()


async def test_a_memory_lives_with_the_stream_of_a_model(pipelines: Pipelines, stub: Any) -> None:
    await pipelines.publish(1, remembers=True)
    await stub.replica.until(lambda: bool(stub.replica.models.versions("scene")))
    both = [(await _opened(stub, model="scene"))[0] for _ in range(2)]
    wide, narrow = (np.linspace(0, top, 100, dtype=np.float32).reshape(SCORES.shape) for top in (10, 5))
    largest = []
    for call, frames in zip(both, ((wide, narrow), (narrow,)), strict=True):
        for number, data in enumerate(frames):
            tensor = pb.Tensor(shape=data.shape, dtype=pb.D_TYPE_FLOAT32, data=data.tobytes())
            inputs = {"scores": tensor, "data": tensor}
            await call.write(pb.StreamInferRequest(frame=pb.Frame(id=number, inputs=inputs)))
            result = (await call.read()).result
            assert not result.HasField("error"), result.error
            largest.append(np.frombuffer(result.outputs["memory.normalized"].data, np.float32).max())
        call.cancel()
    # A range of ten is remembered after the first frame of the first stream, and not on the second one.
    assert largest == pytest.approx([1.0, 0.5, 1.0], abs=1e-6)


async def test_a_cube_runs_on_one_version_and_is_one_call(pipelines: Pipelines, stub: Any) -> None:
    await pipelines.publish(1)
    await stub.replica.until(lambda: bool(stub.replica.models.versions("scene")))
    header = pb.CubeHeader(model="scene", input="scores", shape=SCORES.shape, dtype=pb.D_TYPE_FLOAT32)
    call = stub.InferCube()
    await call.write(pb.InferCubeRequest(header=header))
    plan = (await call.read()).plan
    assert plan.model_version == 1
    await call.write(pb.InferCubeRequest(chunk=SCORES.tobytes()))
    await call.done_writing()
    data = b""
    while (answer := await call.read()) is not grpc.aio.EOF:  # type: ignore[attr-defined]
        data += answer.chunk.data
    assert 100 - sum(data) == 1
    assert stub.replica.metric("swath_model_requests_total", model="scene", version="1", code="OK") == 1


@pytest.mark.parametrize(
    ("names", "code", "words"),
    [
        ({"model": "other"}, "NOT_FOUND", "Model 'other' not found"),
        ({"model": "scene", "version": "7"}, "NOT_FOUND", "has no version '7': versions are 1"),
        ({"model": "scene", "version": "-7"}, "INVALID_ARGUMENT", "alias: expected"),
        ({"model": "scene", "session_id": "x"}, "INVALID_ARGUMENT", "are both named"),
        ({"version": "1"}, "INVALID_ARGUMENT", "version '1' is of no model"),
        ({}, "NOT_FOUND", "Session"),
    ],
)
async def test_what_a_first_message_names_wrongly_is_told(
    pipelines: Pipelines, stub: Any, names: dict[str, Any], code: str, words: str
) -> None:
    await pipelines.publish(1)
    await stub.replica.until(lambda: bool(stub.replica.models.versions("scene")))
    for call, first in (
        (stub.StreamInfer(), pb.StreamInferRequest(open=pb.Open(**names))),
        (
            stub.InferCube(),
            pb.InferCubeRequest(header=pb.CubeHeader(shape=[1, 1, 1], dtype=pb.D_TYPE_FLOAT32, **names)),
        ),
    ):
        await call.write(first)
        ended, text = await _ended(call)
        assert (ended, words in text) == (code, True), text


async def test_whoever_may_not_call_a_model_does_not_see_it(pipelines: Pipelines, start: Any) -> None:
    replica = await start(pipelines.catalogue)
    with acting_as(Caller("olga", "token")):
        await pipelines.publish(1, callers=["carla"])
    await replica.until(lambda: bool(replica.models.versions("scene")))
    assert [await replica.infer(caller=who) for who in ("olga", "carla")] == [1, 1]
    with pytest.raises(ModelNotFound):
        await replica.infer(caller="victor")


async def test_the_identity_of_a_call_says_which_models_it_finds(
    pipelines: Pipelines, start: Any, service: InferenceService
) -> None:
    with acting_as(Caller("olga", "token")):
        await pipelines.publish(1, callers=["carla"])
    replica = await start(pipelines.catalogue)
    settings = ServerSettings(
        port=0, auth="required", tokens={name: hash_of(token) for name, token in TOKENS.items()}, drain_lag_s=0
    )
    handlers = [slice_handler(INFERENCE, "inference", StreamServicer(service, replica.calls))]
    server = Server(settings, handlers, (INFERENCE,), HealthBoard(("inference",)))
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub: Any = inference_pb2_grpc.InferenceServiceStub(channel)
        calls = {
            name: stub.StreamInfer(metadata=(("authorization", f"Bearer {token}"),)) for name, token in TOKENS.items()
        }
        for call in calls.values():
            await call.write(pb.StreamInferRequest(open=pb.Open(model="scene")))
        assert (await calls["olga"].read()).opened.model_version == 1
        assert await _count(calls["olga"]) == 1
        code, text = await _ended(calls["victor"])
        assert (code, text) == ("NOT_FOUND", no_model("scene").message)
        calls["olga"].cancel()
    await server.drain()


def test_a_model_is_first_run_over_what_it_needs_at_least() -> None:
    batch = sample(
        [
            TensorSpec("cube", "float32", (-1, -1, -1, 61)),
            TensorSpec("mask", "bool", (-1, -1, -1), optional=True),
            TensorSpec("any", "tensor", (-1, 3)),
            TensorSpec("bands", "int32", (-1, -1)),
        ]
    )
    assert batch is not None
    assert {name: (tuple(zeros.shape), zeros.dtype) for name, zeros in batch.items()} == {
        "cube": ((1, 16, 16, 61), torch.float32),
        "any": ((1, 3), torch.float32),
        "bands": ((1, 16), torch.int32),
    }
    assert sample([TensorSpec("text_prompt", "text", ())]) is None
