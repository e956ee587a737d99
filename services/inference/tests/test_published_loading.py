"""Versions of published models are loaded, kept, evicted and let go, over a real model cache."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from swath.errors import Precondition, Unavailable
from swath.published.model import Alias, Change, Model, ModelVersion, Share, State
from swath.storage import ArtifactStore
from swath_inference.dataplane.models import ModelCache
from swath_inference.published.loading import Loader
from swath_inference.published.models import PublishedModels
from swath_inference.published.shelf import Shelf

WEIGHTS = b"these are no weights"


class Replica:
    """The cache, what is published, and who loads it."""

    def __init__(self, artifacts: ArtifactStore, limit: int = 2**30) -> None:
        self.cache = ModelCache(artifacts, "cpu", limit)
        self.exercised: list[str] = []
        self.models = PublishedModels()
        shelf = Shelf(self._open, self._exercise, self._tidy)
        self.loader = Loader(self.models, shelf, self._note)
        self._changed = asyncio.Event()

    async def tell(self, *models: Model, removed: tuple[str, ...] = ()) -> None:
        await self.loader.apply(Change(models, removed))

    async def until(self, state: State, version: int, name: str = "scene") -> None:
        async with asyncio.timeout(10):
            while self.models.versions(name)[version].state is not state:
                self._changed.clear()
                await self._changed.wait()

    def answers(self) -> int:
        """Return the version of calls that name none."""
        return self.models.find("scene").version

    async def _open(self) -> ModelCache:
        return self.cache

    async def _exercise(self, published: Any, _: Any) -> None:
        self.exercised.append(published.holder)

    async def _tidy(self) -> None: ...

    def _note(self) -> None:
        self._changed.set()


@pytest.fixture
def replica(artifacts: ArtifactStore) -> Replica:
    return Replica(artifacts)


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


async def test_what_is_pinned_is_loaded_run_once_and_never_evicted(artifacts, pipeline, scene) -> None:
    replica = Replica(artifacts, limit=0)
    await replica.tell(scene(1))
    await replica.loader.pinned_tried()
    published = replica.models.find("scene")
    assert (published.state, replica.exercised) == (State.READY, ["model/scene/1"])
    for bands in (7, 8):
        await replica.cache.get((pipeline(bands), None), "session")
    assert published.key in replica.cache.keys
    kept = replica.cache.find(published.key)
    assert kept is not None
    assert replica.models.status(published).memory == kept.size
    assert replica.cache.sessions == {"session"}


async def test_others_are_loaded_once_by_the_first_calls_and_make_room(artifacts, pipeline, scene) -> None:
    replica = Replica(artifacts, limit=0)
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


async def test_what_is_unpublished_is_let_go_and_running_calls_keep_it(replica, scene) -> None:
    await replica.tell(scene(1, 2, stable=1))
    await replica.loader.pinned_tried()
    model = replica.cache.find(replica.models.find("scene", "1").key)
    dropped = []
    replica.cache._dropped = dropped.append
    with model.used():
        await replica.tell(scene(2))
        assert replica.cache.find(("gone", None)) is None
        assert dropped == []
    assert dropped == [model]
    await replica.until(State.READY, 2)
    await replica.tell(removed=("scene",))
    assert replica.cache.keys == ()


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


async def test_a_model_is_pinned_while_it_is_loaded_for_a_call_and_unpinned_later(artifacts, pipeline, scene) -> None:
    replica = Replica(artifacts, limit=0)
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
