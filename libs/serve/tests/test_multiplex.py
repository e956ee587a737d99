"""Models of one replica, in one process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from swath import serve
from swath.serve.context import RunningRequest, running
from swath.serve.exchange import RequestFacts


@contextmanager
def _request(model: str = "") -> Iterator[RunningRequest]:
    request = RunningRequest(RequestFacts("id", "app", multiplexed_model_id=model))
    token = running.set(request)
    try:
        yield request
    finally:
        running.reset(token)
        request.end()


class Models:
    def __init__(self) -> None:
        self.loads: list[str] = []
        self.gone: list[str] = []
        self.hold: dict[str, asyncio.Event] = {}

    def _make(self, model_id: str) -> object:
        gone = self.gone

        class Model:
            name = model_id

            def __del__(self) -> None:
                gone.append(self.name)

        return Model()

    @serve.multiplexed(max_num_models_per_replica=2)
    async def get(self, model_id: str) -> object:
        self.loads.append(model_id)
        if model_id in self.hold:
            await self.hold[model_id].wait()
        if model_id.startswith("bad"):
            raise OSError(model_id)
        return self._make(model_id)

    @serve.multiplexed(max_num_models_per_replica=1)
    async def other(self, model_id: str) -> str:
        return f"other {model_id}"


async def test_the_model_used_longest_ago_goes_and_is_unloaded_once() -> None:
    models = Models()
    for name in ("a", "b", "a", "c"):
        await models.get(name)
    assert models.loads == ["a", "b", "c"]
    assert models.gone == ["b"]
    await models.get("a")
    assert models.loads == ["a", "b", "c"]


async def test_one_id_is_loaded_once_and_others_beside_it() -> None:
    models = Models()
    models.hold["slow"] = asyncio.Event()
    slow = [asyncio.create_task(models.get("slow")) for _ in range(3)]
    await asyncio.sleep(0)
    # Ray has one load at a time.
    await asyncio.wait_for(models.get("quick"), 5)
    models.hold["slow"].set()
    found = await asyncio.gather(*slow)
    assert found[0] is found[1] is found[2]
    assert models.loads == ["slow", "quick"]


async def test_nothing_goes_for_a_load_that_fails_and_the_next_one_tries_again() -> None:
    models = Models()
    await models.get("a")
    await models.get("b")
    for _ in range(2):
        with pytest.raises(OSError, match="bad"):
            await models.get("bad")
    assert models.loads == ["a", "b", "bad", "bad"]
    assert models.gone == []


async def test_no_model_goes_while_a_request_uses_it() -> None:
    models = Models()
    with _request():
        await models.get("a")
        await models.get("b")
        await models.get("c")
        assert models.gone == []
    # Two are left: the request has ended.
    assert models.gone == ["a"]


async def test_who_asked_first_may_leave() -> None:
    models = Models()
    models.hold["m"] = asyncio.Event()
    first, second = (asyncio.create_task(models.get("m")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    models.hold["m"].set()
    assert (await second).name == "m"  # type: ignore[attr-defined]
    assert models.loads == ["m"]


async def test_each_method_has_models_of_its_own() -> None:
    models = Models()
    assert (await models.get("a")).name == "a"  # type: ignore[attr-defined]
    assert await models.other("a") == "other a"


async def test_the_requests_model_is_taken_where_none_is_named() -> None:
    models = Models()
    with _request("from-request"):
        assert serve.get_multiplexed_model_id() == "from-request"
        assert (await models.get()).name == "from-request"  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"The model ID cannot be empty\."):
        await models.get()
    with pytest.raises(TypeError, match="must be a str, got int"):
        await models.get(3)
