"""Which models stay loaded, for whom, and what goes when."""

import asyncio

import pytest

from swath.errors import ArtifactMissing
from swath_inference.dataplane.cache import ModelCache
from swath_inference.dataplane.models import OVERHEAD


@pytest.fixture
def dropped():
    return []


@pytest.fixture
def cache(artifacts, dropped):
    """Room for two small models."""
    return ModelCache(artifacts, "cpu", 3 * OVERHEAD, dropped.append)


async def test_a_model_is_loaded_once_and_ready_for_inference(cache, pipeline):
    key = (pipeline(), None)
    model = await cache.get(key, "a")
    assert await cache.get(key, "b") is model
    assert not model.pipeline.nodes["node"].training
    assert {"node.scores", "scores"} <= model.names


async def test_calls_that_want_a_model_which_is_being_loaded_share_the_load(cache, pipeline):
    key = (pipeline(), None)
    first, second = await asyncio.gather(cache.get(key, "a"), cache.get(key, "b"))
    assert first is second


async def test_weights_make_another_model_of_the_same_pipeline(cache, pipeline, artifacts):
    from swath.engine.graph import weights

    digest = pipeline()
    fresh = await cache.get((digest, None), "a")
    state = fresh.pipeline.state()
    state["node"]["mu"] += 1
    loaded = await cache.get((digest, artifacts.put_sync(weights.dump(state))), "b")
    assert loaded.pipeline.state()["node"]["mu"].tolist() == [1.0] * 4


async def test_the_least_recently_used_makes_room(cache, pipeline, dropped):
    keys = [(pipeline(bands), None) for bands in (2, 3, 4)]
    first = await cache.get(keys[0], "a")
    await cache.get(keys[1], "b")
    await cache.get(keys[0], "a")
    await cache.get(keys[2], "c")
    assert cache.keys == (keys[0], keys[2])
    assert len(dropped) == 1
    assert await cache.get(keys[0], "a") is first


async def test_a_model_larger_than_the_limit_is_used_and_stays_alone(artifacts, pipeline):
    cache = ModelCache(artifacts, "cpu", 0)
    await cache.get((pipeline(2), None), "a")
    await cache.get((pipeline(3), None), "b")
    assert cache.keys == ((pipeline(3), None),)


async def test_a_model_goes_with_the_last_session_that_holds_it(cache, pipeline, dropped):
    key = (pipeline(), None)
    model = await cache.get(key, "a")
    await cache.get(key, "b")
    assert not cache.release("a")
    assert cache.release("b")
    assert not cache.release("b")
    assert cache.keys == ()
    assert dropped == [model]


async def test_a_session_that_goes_on_to_another_model_lets_go_of_the_first(cache, pipeline):
    await cache.get((pipeline(2), None), "a")
    await cache.get((pipeline(3), None), "a")
    assert cache.keys == ((pipeline(3), None),)


async def test_a_cancelled_call_takes_the_load_away_from_nobody(cache, pipeline):
    key = (pipeline(), None)
    leaving = asyncio.create_task(cache.get(key, "a"))
    staying = asyncio.create_task(cache.get(key, "b"))
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await staying).pipeline.order == ("node",)
    assert leaving.cancelled()


async def test_a_model_that_nobody_wants_when_it_arrives_is_not_kept(cache, pipeline):
    key = (pipeline(), None)
    wanted = asyncio.create_task(cache.get(key, "a"))
    await asyncio.sleep(0)
    cache.release("a")
    await wanted
    assert cache.keys == ()


async def test_a_load_that_fails_fails_for_all_who_wait_and_is_tried_anew(cache):
    key = ("sha256:" + "0" * 64, None)
    both = await asyncio.gather(cache.get(key, "a"), cache.get(key, "b"), return_exceptions=True)
    assert [type(error) for error in both] == [ArtifactMissing, ArtifactMissing]
    with pytest.raises(ArtifactMissing):
        await cache.get(key, "a")
