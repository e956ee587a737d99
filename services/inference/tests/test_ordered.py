"""Results in the order of what they are of, and ends that are not lost."""

import asyncio

import pytest

from swath.errors import Unavailable
from swath_inference.dataplane.streaming.ordered import Ordered

GOES = Unavailable("this replica goes away")


async def _forever():
    yield 1
    await asyncio.Event().wait()


async def _itself(item):
    return item


async def _until_the_end(results):
    found = []
    with pytest.raises(Unavailable):
        async with asyncio.timeout(20):
            async for each in results:
                found.append(each)
    return found


async def test_what_is_stopped_before_it_begins_ends():
    ordered = Ordered(_forever(), _itself, 2)
    ordered.stop(GOES)
    assert await _until_the_end(ordered.results()) == []


async def test_what_is_stopped_before_its_reader_runs_ends():
    ordered = Ordered(_forever(), _itself, 2)
    results = ordered.results()
    first = asyncio.ensure_future(anext(results))
    await asyncio.sleep(0)
    ordered.stop(GOES)
    with pytest.raises(Unavailable):
        async with asyncio.timeout(20):
            await first


async def test_what_is_due_comes_before_the_end():
    go_on = asyncio.Event()

    async def slowly(item):
        await go_on.wait()
        return item

    ordered = Ordered(_forever(), slowly, 2)
    found = asyncio.ensure_future(_until_the_end(ordered.results()))
    await asyncio.sleep(0.01)
    ordered.stop(GOES)
    go_on.set()
    assert await found == [1]
