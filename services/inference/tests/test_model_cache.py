"""How much the cache takes, and which sessions use it."""

import asyncio

import pytest

from swath.documents import canonical, parse
from swath.errors import Exhausted, WeightsInvalid
from swath_inference.dataplane.cache import ModelCache
from swath_inference.dataplane.models import OVERHEAD, Model


@pytest.fixture
def cache(artifacts):
    return ModelCache(artifacts, "cpu", 2**30)


def _state_bytes(bands):
    """Bytes of a detector's state: see the fixture `pipeline`."""
    return 16 + 16 * bands**2


async def test_a_model_counts_with_its_tensors_and_a_little_more(cache, pipeline):
    model = await cache.get((pipeline(4), None), "a")
    state = sum(tensor.nbytes for node in model.pipeline.state().values() for tensor in node.values())
    assert model.size == cache.size == state + OVERHEAD


async def test_the_cache_takes_the_sum_of_its_models(cache, pipeline):
    models = [await cache.get((pipeline(bands), None), str(bands)) for bands in (2, 3)]
    assert cache.size == sum(model.size for model in models)
    assert cache.loads == 2


async def test_outputs_are_known_by_both_of_their_names(cache, artifacts):
    nodes = [
        {"name": name, "class_name": "cuvis_ai.node.normalization.MinMaxNormalizer"} for name in ("first", "second")
    ]
    edges = [{"source": "first.outputs.normalized", "target": "second.inputs.data"}]
    digest = artifacts.put_sync(canonical(parse("pipeline", {"nodes": nodes, "connections": edges})))
    model = await cache.get((digest, None), "a")
    assert model.names == {"normalized", "first.normalized", "second.normalized"}


async def test_sessions_are_known_while_they_use_a_model(cache, pipeline):
    await cache.get((pipeline(), None), "a")
    await cache.get((pipeline(), None), "b")
    assert cache.sessions == {"a", "b"}
    cache.release("a")
    assert cache.sessions == {"b"}


async def test_a_model_that_was_evicted_is_loaded_again_for_its_session(artifacts, pipeline):
    cache = ModelCache(artifacts, "cpu", 0)
    keys = [(pipeline(bands), None) for bands in (2, 3)]
    first = await cache.get(keys[0], "a")
    await cache.get(keys[1], "b")
    assert cache.keys == (keys[1],)
    assert await cache.get(keys[0], "a") is not first
    assert cache.loads == 3


async def test_a_session_that_releases_a_model_evicted_before_frees_nothing(artifacts, pipeline):
    cache = ModelCache(artifacts, "cpu", 0)
    await cache.get((pipeline(2), None), "a")
    await cache.get((pipeline(3), None), "b")
    assert not cache.release("a")
    assert cache.release("b")


async def test_several_models_make_room_for_one(artifacts, pipeline):
    dropped = []
    # Room for two small models; the third, of 100 bands, takes as much as both.
    cache = ModelCache(artifacts, "cpu", 2 * OVERHEAD + 2 * _state_bytes(3), dropped.append)
    keys = [(pipeline(bands), None) for bands in (2, 3, 100)]
    for name, key in zip("abc", keys, strict=True):
        await cache.get(key, name)
    assert cache.keys == (keys[2],)
    assert [model.pipeline.nodes["node"].mu.numel() for model in dropped] == [2, 3]


async def test_an_instance_of_a_stream_counts_and_makes_others_go(artifacts, pipeline):
    dropped = []
    cache = ModelCache(artifacts, "cpu", 3 * OVERHEAD + 1000, dropped.append)
    keys = [(pipeline(bands), None) for bands in (2, 3, 4)]
    for name, key in zip("abc", keys, strict=True):
        await cache.get(key, name)
    own = await cache.own(keys[2])
    # The least recently used one has made room; the one that all share stays beside it.
    assert cache.keys == tuple(keys[1:])
    shared = [await cache.get(key, name) for key, name in zip(keys[1:], "bc", strict=True)]
    assert own not in shared
    assert (len(cache), cache.size) == (3, own.size + sum(model.size for model in shared))
    assert [model.pipeline.nodes["node"].mu.numel() for model in dropped] == [2]
    cache.disown(own)
    assert (len(cache), cache.size) == (2, sum(model.size for model in shared))


async def test_an_instance_without_room_is_refused_and_nothing_goes_for_it(artifacts, pipeline):
    dropped = []
    cache = ModelCache(artifacts, "cpu", 3 * OVERHEAD + 1000, dropped.append)
    keys = [(pipeline(bands), None) for bands in (3, 4)]
    await cache.get(keys[0], "published", session=False, pinned=True)
    await cache.get(keys[1], "a")
    first, second = await asyncio.gather(cache.own(keys[1]), cache.own(keys[1]), return_exceptions=True)
    assert isinstance(first, Model)
    # Counted from when it begins to be loaded.
    assert isinstance(second, Exhausted)
    assert "a stream needs its own instance, 0.1 MiB; models in use hold 0.4 of 0.4 MiB" in str(second)
    assert "SWATH_INFERENCE_CACHE_BYTES" in str(second)
    assert second.retry_after == 1.0
    assert (cache.keys, dropped) == (tuple(keys), [])
    cache.disown(first)
    assert isinstance(await cache.own(keys[1]), Model)


async def test_models_that_are_loaded_leave_room_for_those_of_streams(artifacts, pipeline):
    cache = ModelCache(artifacts, "cpu", 3 * OVERHEAD + 1000)
    keys = [(pipeline(bands), None) for bands in (2, 3, 4)]
    await cache.get(keys[0], "a")
    await cache.own(keys[0])
    await cache.get(keys[1], "b")
    await cache.get(keys[2], "c")
    assert cache.keys == tuple(keys[1:])


async def test_clearing_drops_everything_and_calls_nobody(artifacts, pipeline):
    dropped = []
    cache = ModelCache(artifacts, "cpu", 2**30, dropped.append)
    models = [await cache.get((pipeline(bands), None), "a") for bands in (2, 3)]
    dropped.clear()
    assert cache.clear() == [models[1].pipeline]
    assert (cache.keys, cache.size, cache.sessions, dropped) == ((), 0, set(), [])


async def test_weights_that_do_not_fit_are_refused_and_nothing_is_kept(cache, pipeline, artifacts):
    from swath.engine.graph import weights

    narrow = (await cache.get((pipeline(2), None), "a")).pipeline.state()
    wrong = artifacts.put_sync(weights.dump(narrow))
    with pytest.raises(WeightsInvalid):
        await cache.get((pipeline(3), wrong), "b")
    assert cache.keys == ((pipeline(2), None),)
    assert not cache.release("b")


async def test_a_call_for_another_model_does_not_wait_for_a_load(cache, pipeline, artifacts, monkeypatch):
    release, get = asyncio.Event(), artifacts.get
    slow, quick = pipeline(2), pipeline(3)

    async def hold(digest):
        if digest == slow:
            await release.wait()
        return await get(digest)

    monkeypatch.setattr(artifacts, "get", hold)
    waiting = asyncio.create_task(cache.get((slow, None), "a"))
    await asyncio.sleep(0)
    await cache.get((quick, None), "b")
    assert not waiting.done()
    release.set()
    await waiting
