"""Versions of published models are loaded, kept, evicted and let go, over a real model cache."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import torch

from swath.engine.graph.pipeline import Pipeline
from swath.errors import ModelNotFound, NotFitted, Precondition, Unavailable
from swath.published.model import Alias, Change, Model, ModelVersion, Share, State
from swath.storage import ArtifactStore, Workspace
from swath_inference import InferenceSettings
from swath_inference.dataplane.cache import ModelCache
from swath_inference.dataplane.runner import Runner
from swath_inference.published.calls import ModelCalls
from swath_inference.published.loading import Loader
from swath_inference.published.model import Published
from swath_inference.published.models import PublishedModels

WEIGHTS = b"these are no weights"


class Replica:
    """A runner, what is published, and who loads it."""

    def __init__(self, artifacts: ArtifactStore, workspace: Workspace, limit: int = 2**30) -> None:
        self.runner = Runner(InferenceSettings(device="cpu", cache_bytes=limit), artifacts, workspace)
        self.models = PublishedModels()
        self.loader = Loader(self.models, self.runner, self._note)
        self.calls = ModelCalls(self.models, self.loader, self.runner)
        self._changed = asyncio.Event()

    @property
    def cache(self) -> ModelCache:
        cache = self.runner._cache
        assert cache is not None
        return cache

    async def tell(self, *models: Model, removed: tuple[str, ...] = ()) -> None:
        for each in self.loader.apply(Change(models, removed)):
            await self.calls.gone(each)
        self.loader.arrange()

    async def until(self, state: State, version: int, name: str = "scene") -> None:
        async with asyncio.timeout(10):
            while self.models.versions(name)[version].state is not state:
                self._changed.clear()
                await self._changed.wait()

    def answers(self) -> int:
        """Return the version of calls that name none."""
        return self.models.find("scene").version

    async def infer(self, published: Published | None = None) -> Any:
        data = torch.arange(32, dtype=torch.float32).reshape(1, 4, 4, 2)
        found = published or self.models.find("scene")
        return await self.calls.infer(found, lambda: {"data": data}, (), lambda outputs: outputs)

    def _note(self) -> None:
        self._changed.set()


@pytest.fixture
async def start(artifacts: ArtifactStore, workspace: Workspace) -> AsyncIterator[Callable[..., Any]]:
    """Starts replicas."""
    replicas = []

    async def go(**limit: int) -> Replica:
        replica = Replica(artifacts, workspace, **limit)
        replicas.append(replica)
        await replica.runner.warm_up()
        return replica

    yield go
    for replica in replicas:
        await replica.loader.stop()
        replica.runner.close()


@pytest.fixture
async def replica(start: Callable[..., Any]) -> Replica:
    return await start()


@pytest.fixture
def scene(artifacts: ArtifactStore, pipeline: Callable[..., str]) -> Callable[..., Model]:
    """Makes a model whose version N is a detector of N + 1 channels; those that are `broken` have no weights."""

    def make(
        *versions: int, stable: int | None = None, previous: int | None = None, pinned: bool = True, broken: int = 0
    ) -> Model:
        shares = tuple((Share(each, 100.0),) if each else () for each in (stable, previous))
        return Model(
            "scene",
            versions=tuple(
                ModelVersion(each, pipeline(each + 1), artifacts.put_sync(WEIGHTS) if each == broken else None)
                for each in versions
            ),
            aliases=(Alias("stable", *shares),) if stable else (),
            pinned=pinned,
        )

    return make


async def test_what_is_pinned_is_loaded_run_once_and_never_evicted(start, pipeline, scene) -> None:
    replica = await start(limit=0)
    await replica.tell(scene(1))
    await replica.loader.pinned_tried()
    published = replica.models.find("scene")
    assert published.state is State.READY
    for bands in (7, 8):
        await replica.cache.get((pipeline(bands), None), "session")
    assert published.key in replica.cache.keys
    kept = replica.cache._models[published.key]
    assert replica.models.status(published).memory == kept.size
    assert replica.cache.sessions == {"session"}


async def test_others_are_loaded_once_by_the_first_calls_and_make_room(start, pipeline, scene) -> None:
    replica = await start(limit=0)
    await replica.tell(scene(1, pinned=False))
    assert replica.models.find("scene").state is State.KNOWN
    assert replica.cache.keys == ()
    await asyncio.gather(*(replica.loader.ready(replica.models.find("scene")) for _ in range(5)))
    assert (replica.models.find("scene").state, replica.cache.loads) == (State.READY, 1)
    await replica.cache.get((pipeline(7), None), "session")
    replica.loader.arrange()
    assert replica.models.find("scene").state is State.KNOWN
    await replica.loader.ready(replica.models.find("scene"))
    assert replica.cache.loads == 3


async def test_an_alias_goes_over_when_its_version_is_loaded_and_back_at_once(replica, scene) -> None:
    await replica.tell(scene(1, stable=1))
    await replica.loader.pinned_tried()
    await replica.tell(scene(1, 2, stable=2, previous=1))
    assert replica.answers() == 1
    await replica.until(State.READY, 2)
    assert replica.answers() == 2
    # The one before stays as long as there is room: a rollback waits for nothing.
    await replica.tell(scene(1, 2, stable=1, previous=2))
    assert replica.answers() == 1
    assert replica.cache.loads == 2


async def test_a_version_that_cannot_be_loaded_leaves_the_alias_where_it_was_and_says_why(replica, scene) -> None:
    await replica.tell(scene(1, stable=1))
    await replica.loader.pinned_tried()
    await replica.tell(scene(1, 2, stable=2, previous=1, broken=2))
    await replica.until(State.FAILED, 2)
    assert replica.answers() == 1
    failed = replica.models.find("scene", "2")
    assert "weights" in failed.reason
    with pytest.raises(Precondition, match=r"model 'scene' version 2 could not be loaded: .*weights"):
        await replica.loader.ready(failed)
    assert replica.cache.keys == (replica.models.find("scene", "1").key,)


async def test_it_is_so_where_nothing_is_pinned_once_a_call_has_found_it_out(replica, scene) -> None:
    await replica.tell(scene(1, stable=1, pinned=False))
    await replica.tell(scene(1, 2, stable=2, previous=1, pinned=False, broken=2))
    assert replica.answers() == 2
    with pytest.raises(Precondition, match=r"model 'scene' version 2 could not be loaded: .*weights"):
        await replica.infer()
    assert replica.answers() == 1
    assert "weights" in replica.models.find("scene", "2").reason
    # Whoever asks for that very version is told why, again and again.
    with pytest.raises(Precondition, match="weights"):
        await replica.infer(replica.models.find("scene", "2"))
    # One that is sent back to its target is still not there; one that is sent elsewhere goes there.
    await replica.tell(scene(1, 2, 3, stable=3, previous=2, pinned=False, broken=2))
    assert replica.answers() == 3


async def test_an_alias_goes_over_by_itself_once_what_failed_for_a_while_can_be_loaded(
    replica, scene, artifacts, monkeypatch
) -> None:
    get, away = artifacts.get, True

    async def sometimes(digest: str) -> bytes:
        if away:
            raise Unavailable("the artifact store cannot be reached")
        return await get(digest)

    await replica.tell(scene(1, stable=1, pinned=False))
    await replica.loader.ready(replica.models.find("scene"))
    monkeypatch.setattr(artifacts, "get", sometimes)
    await replica.tell(scene(1, 2, stable=2, previous=1, pinned=False))
    with pytest.raises(Unavailable, match="the artifact store cannot be reached"):
        await replica.loader.ready(replica.models.find("scene"))
    assert replica.answers() == 1
    away = False
    await replica.until(State.READY, 2)
    assert replica.answers() == 2


async def test_a_start_with_a_version_that_cannot_be_loaded_takes_the_one_before(replica, scene) -> None:
    await replica.tell(scene(1, 2, stable=2, previous=1, broken=2))
    async with asyncio.timeout(10):
        await replica.loader.pinned_tried()
    assert replica.answers() == 1
    assert replica.models.find("scene").state is State.READY


async def test_a_start_ends_although_nothing_that_is_pinned_can_be_loaded(replica, scene) -> None:
    await replica.tell(scene(1, broken=1))
    async with asyncio.timeout(10):
        await replica.loader.pinned_tried()
    assert replica.models.find("scene").state is State.FAILED


async def test_what_failed_for_a_while_is_tried_again_and_calls_are_told_when(replica, scene, artifacts, monkeypatch):
    get, away = artifacts.get, True

    async def sometimes(digest: str) -> bytes:
        if away:
            raise Unavailable("the artifact store cannot be reached")
        return await get(digest)

    monkeypatch.setattr(artifacts, "get", sometimes)
    await replica.tell(scene(1))
    await replica.loader.pinned_tried()
    with pytest.raises(Unavailable, match="version 1 could not be loaded: the artifact store cannot be") as told:
        await replica.loader.ready(replica.models.find("scene"))
    assert 0 < (told.value.retry_after or 0) <= 1.0
    away = False
    await replica.until(State.READY, 1)


async def test_calls_that_run_when_their_version_is_unpublished_are_answered(replica, scene) -> None:
    await replica.tell(scene(1, 2, stable=1))
    await replica.loader.pinned_tried()
    published = replica.models.find("scene", "2")
    begun, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def read() -> Any:
        loop.call_soon_threadsafe(begun.set)
        go_on.wait(10)
        return {"data": torch.ones(1, 4, 4, 3)}

    call = asyncio.create_task(replica.calls.infer(published, read, (), list))
    await begun.wait()
    await replica.tell(scene(1, stable=1))
    with pytest.raises(ModelNotFound, match="has no version '2'"):
        replica.models.find("scene", "2")
    go_on.set()
    with pytest.raises(NotFitted):  # the detector's answer, and not one about the model
        await call
    assert replica.cache.keys == (replica.models.find("scene").key,)
    await replica.tell(removed=("scene",))
    assert replica.cache.keys == ()


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A device that has room for one model at a time beyond those that the list has as a number."""
    room = [0]
    to = Pipeline.to

    def full(pipeline: Pipeline, device: Any) -> Pipeline:
        if not room[0]:
            raise torch.OutOfMemoryError("CUDA out of memory")
        room[0] -= 1
        return to(pipeline, device)

    monkeypatch.setattr(Pipeline, "to", full)
    return room


async def test_a_pinned_version_that_does_not_fit_any_more_is_told_in_words_and_the_one_before_answers(
    replica, scene, device
) -> None:
    device[0] = 1
    await replica.tell(scene(1, stable=1))
    await replica.loader.pinned_tried()
    await replica.tell(scene(1, 2, stable=2, previous=1))
    await replica.until(State.FAILED, 2)
    assert replica.answers() == 1
    assert replica.models.find("scene", "2").reason == (
        "the device has not enough memory for this model: free some, or serve it on a larger device"
    )
    with pytest.raises(Unavailable, match="version 2 could not be loaded: the device has not enough memory") as told:
        await replica.loader.ready(replica.models.find("scene", "2"))
    assert (told.value.retry_after or 0) > 0
    # There is room later: it is tried again.
    device[0] = 1
    await replica.until(State.READY, 2)
    assert replica.answers() == 2


async def test_what_is_pinned_goes_before_what_only_happens_to_be_loaded(
    replica, scene, pipeline, device, monkeypatch
) -> None:
    device[0] = 1
    await replica.cache.get((pipeline(9), None), "session")
    free = replica.runner.free_memory

    async def freed() -> None:
        await free()
        device[0] = 1

    monkeypatch.setattr(replica.runner, "free_memory", freed)
    await replica.tell(scene(1))
    await replica.loader.pinned_tried()
    assert replica.models.find("scene").state is State.READY
    assert replica.cache.keys == (replica.models.find("scene").key,)


@pytest.mark.parametrize("pinned", [True, False])
async def test_a_load_that_outlasts_its_version_leaves_nothing(replica, scene, artifacts, monkeypatch, pinned) -> None:
    begun, go_on, get = asyncio.Event(), asyncio.Event(), artifacts.get

    async def slow(digest: str) -> bytes:
        begun.set()
        await go_on.wait()
        return await get(digest)

    monkeypatch.setattr(artifacts, "get", slow)
    await replica.tell(scene(1, pinned=pinned))
    call = asyncio.create_task(replica.loader.ready(replica.models.find("scene")))
    await begun.wait()
    assert replica.models.find("scene").state is State.LOADING
    await replica.tell(removed=("scene",))
    go_on.set()
    await call
    assert replica.cache.keys == ()


async def test_a_model_is_pinned_while_it_is_loaded_for_a_call_and_unpinned_later(start, pipeline, scene) -> None:
    replica = await start(limit=0)
    await replica.tell(scene(1, pinned=False))
    call = asyncio.create_task(replica.loader.ready(replica.models.find("scene")))
    await asyncio.sleep(0)
    await replica.tell(scene(1, pinned=True))
    await call
    key = replica.models.find("scene").key
    await replica.cache.get((pipeline(7), None), "session")
    assert key in replica.cache.keys
    await replica.tell(scene(1, pinned=False))
    await replica.cache.get((pipeline(8), None), "session")
    assert key not in replica.cache.keys


async def test_both_versions_of_a_canary_are_there_before_it_begins(replica, scene, pipeline) -> None:
    await replica.tell(scene(1, stable=1))
    await replica.loader.pinned_tried()
    model = scene(1, 2)
    canary = Alias("stable", (Share(1, 50.0), Share(2, 50.0)), (Share(1, 100.0),))
    await replica.tell(Model("scene", versions=model.versions, aliases=(canary,), pinned=True))
    assert {replica.answers() for _ in range(50)} == {1}
    await replica.until(State.READY, 2)
    assert {replica.answers() for _ in range(200)} == {1, 2}
