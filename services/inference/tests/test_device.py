"""The device's thread and its queue."""

import asyncio
import threading
from contextvars import ContextVar

import pytest
import torch

from swath.errors import Exhausted, OutOfMemory
from swath_inference.dataplane.executor import DeviceThread


@pytest.fixture
def thread():
    device = DeviceThread(limit=2)
    yield device
    device.close()


async def test_work_runs_one_at_a_time_in_order(thread):
    order = []
    await asyncio.gather(*(thread.run(lambda number=number: order.append(number)) for number in range(2)))
    assert order == [0, 1]


async def test_more_than_the_limit_is_refused_with_a_time_to_come_back(thread):
    release = threading.Event()
    waiting = [asyncio.ensure_future(thread.run(release.wait)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Exhausted) as caught:
        await thread.run(lambda: None)
    release.set()
    await asyncio.gather(*waiting)
    assert caught.value.retry_after == 1.0


async def test_work_that_nobody_waits_for_is_never_started(thread):
    release, started = threading.Event(), []
    first = asyncio.ensure_future(thread.run(release.wait))
    second = asyncio.ensure_future(thread.run(lambda: started.append(True)))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.sleep(0)
    release.set()
    await first
    await thread.run(lambda: None)
    assert started == []


async def test_out_of_memory_says_what_to_do(thread):
    def full():
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(OutOfMemory, match="smaller batch or tiles"):
        await thread.run(full)


async def test_work_is_done_in_the_context_of_the_call_that_it_is_for(thread):
    call = ContextVar("call", default="none")

    async def ask(name):
        call.set(name)
        return await thread.run(call.get)

    assert await asyncio.gather(ask("first"), ask("second")) == ["first", "second"]
