"""Items of several callers in one call, in one process."""

from __future__ import annotations

import asyncio

import pytest

from swath import serve
from swath.serve.context import RunningRequest, running
from swath.serve.exchange import RequestFacts


class Doubler:
    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.models: list[str] = []
        self.hold = asyncio.Event()
        self.hold.set()

    @serve.batch(max_batch_size=3, batch_wait_timeout_s=0.05)
    async def double(self, items: list[int]) -> list[int]:
        self.batches.append(items)
        self.models.append(serve.get_multiplexed_model_id())
        await self.hold.wait()
        if -1 in items:
            raise ArithmeticError("no")
        if -2 in items:
            return []
        return [2 * item for item in items]


async def test_callers_get_their_own_items_results() -> None:
    doubler = Doubler()
    assert await asyncio.gather(*(doubler.double(number) for number in range(4))) == [0, 2, 4, 6]
    assert doubler.batches == [[0, 1, 2], [3]]


async def test_what_comes_while_a_batch_runs_goes_together_next() -> None:
    doubler = Doubler()
    doubler.hold.clear()
    tasks = [asyncio.create_task(doubler.double(number)) for number in range(3)]
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(doubler.double(number)) for number in (7, 8)]
    await asyncio.sleep(0.1)
    assert doubler.batches == [[0, 1, 2]]
    doubler.hold.set()
    assert await asyncio.gather(*tasks) == [0, 2, 4, 14, 16]
    assert doubler.batches == [[0, 1, 2], [7, 8]]


async def test_a_failure_and_a_wrong_length_fail_all_callers_of_the_batch() -> None:
    doubler = Doubler()
    results = await asyncio.gather(*(doubler.double(each) for each in (1, -1)), return_exceptions=True)
    assert [type(each) for each in results] == [ArithmeticError, ArithmeticError]
    with pytest.raises(TypeError, match="one result per item: 1, got 0 of them"):
        await doubler.double(-2)


async def test_a_caller_that_has_left_is_left_out() -> None:
    doubler = Doubler()
    gone, stays = asyncio.create_task(doubler.double(1)), asyncio.create_task(doubler.double(2))
    await asyncio.sleep(0)
    gone.cancel()
    assert await stays == 4
    assert doubler.batches == [[2]]


async def test_batches_are_of_one_model() -> None:
    doubler = Doubler()

    async def call(model: str, item: int) -> int:
        running.set(RunningRequest(RequestFacts("id", "app", multiplexed_model_id=model)))
        return await doubler.double(item)

    assert await asyncio.gather(call("a", 1), call("b", 2), call("a", 3)) == [2, 4, 6]
    assert sorted(zip(doubler.models, doubler.batches, strict=True)) == [("a", [1, 3]), ("b", [2])]


async def test_functions_batch_too_and_the_size_may_change() -> None:
    sizes: list[int] = []

    @serve.batch(max_batch_size=2, batch_wait_timeout_s=0.01)
    async def count(items: list[int], more: list[str]) -> list[str]:
        sizes.append(len(items))
        return [f"{item}{text}" for item, text in zip(items, more, strict=True)]

    assert await asyncio.gather(count(1, more="a"), count(2, more="b")) == ["1a", "2b"]
    count.set_max_batch_size(4)  # type: ignore[attr-defined]
    await asyncio.gather(*(count(number, more="") for number in range(4)))
    assert sizes == [2, 4]
