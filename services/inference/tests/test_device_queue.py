"""Work that waits for the device: how it is counted, called off and dropped."""

import asyncio
import gc
import threading
import weakref

import pytest
import torch
from structlog.testing import capture_logs

from swath.errors import OutOfMemory
from swath_inference.dataplane.executor import DeviceThread, memory_errors, pick_device


@pytest.fixture
def thread():
    device = DeviceThread(limit=3)
    yield device
    device.close()


@pytest.fixture
def busy(thread):
    """Keeps the device busy until the event is set."""
    go_on = threading.Event()
    thread.later(go_on.wait)
    yield go_on
    go_on.set()


async def test_what_waits_and_what_runs_is_counted(thread, busy):
    assert thread.waiting == 0
    waiting = [asyncio.create_task(thread.run(lambda: None)) for _ in range(2)]
    await asyncio.sleep(0)
    assert thread.waiting == 2
    busy.set()
    await asyncio.gather(*waiting)
    assert thread.waiting == 0


async def test_a_call_that_leaves_makes_room_at_once(thread, busy):
    leaving = asyncio.create_task(thread.run(lambda: None))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert thread.waiting == 0


async def test_a_call_out_of_time_is_never_started(thread, busy):
    started = []
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await thread.run(lambda: started.append(True))
    busy.set()
    await thread.run(lambda: None)
    assert started == []


async def test_what_a_call_that_left_would_have_worked_on_is_let_go_of(thread, busy):
    class Batch:
        pass

    batch = Batch()
    gone = weakref.ref(batch)
    leaving = asyncio.create_task(thread.run(lambda batch=batch: batch))
    del batch
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    del leaving
    await asyncio.sleep(0)
    gc.collect()
    assert gone() is None


async def test_work_that_fails_fails_for_its_caller_alone(thread):
    with pytest.raises(ZeroDivisionError):
        await thread.run(lambda: 1 // 0)
    assert await thread.run(lambda: "next") == "next"
    assert thread.waiting == 0


async def test_tidying_up_comes_after_all_that_waits(thread, busy):
    order = []
    call = asyncio.create_task(thread.run(lambda: order.append("call")))
    await asyncio.sleep(0)
    tidied = asyncio.create_task(thread.surely(lambda: order.append("tidied")))
    await asyncio.sleep(0)
    busy.set()
    await asyncio.gather(call, tidied)
    assert order == ["call", "tidied"]


async def test_tidying_up_does_not_count_and_cannot_be_refused(thread, busy):
    waiting = [asyncio.create_task(thread.run(lambda: None)) for _ in range(3)]
    await asyncio.sleep(0)
    done = thread.later(lambda: None)
    assert thread.waiting == 3
    busy.set()
    await asyncio.gather(*waiting, asyncio.wrap_future(done))


async def test_tidying_up_happens_even_if_whoever_asked_leaves(thread, busy):
    done = threading.Event()
    leaving = asyncio.create_task(thread.surely(done.set))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    busy.set()
    assert await asyncio.to_thread(done.wait, 10)


async def test_tidying_up_that_fails_is_logged_and_holds_nobody_up(thread):
    with capture_logs() as logs:
        await thread.surely(lambda: 1 // 0)
    assert [entry["log_level"] for entry in logs] == ["error"]
    assert await thread.run(lambda: "next") == "next"


async def test_what_waits_is_dropped_when_the_thread_ends():
    thread, started = DeviceThread(limit=3), []
    go_on, running = threading.Event(), threading.Event()
    thread.later(lambda: (running.set(), go_on.wait(), started.append("first"))[0])
    dropped = thread.later(lambda: started.append("second"))
    await asyncio.to_thread(running.wait, 10)
    closing = asyncio.create_task(asyncio.to_thread(thread.close))
    await asyncio.wait([asyncio.wrap_future(dropped)])
    go_on.set()
    await closing
    assert started == ["first"]
    assert dropped.cancelled()


def test_out_of_memory_is_the_only_error_that_is_translated():
    with pytest.raises(OutOfMemory, match="ask for fewer outputs"), memory_errors():
        raise torch.OutOfMemoryError("CUDA out of memory")
    with pytest.raises(RuntimeError, match="something else"), memory_errors():
        raise RuntimeError("something else")


@pytest.mark.parametrize(("wanted", "device"), [("cpu", "cpu"), ("cuda:1", "cuda:1"), ("meta", "meta")])
def test_a_device_that_is_named_is_taken(wanted, device):
    assert pick_device(wanted) == device


def test_a_device_that_there_is_not_is_refused():
    with pytest.raises(RuntimeError, match="nonsense"):
        pick_device("nonsense")


def test_auto_is_the_first_gpu_or_else_the_cpu():
    assert pick_device("auto") == ("cuda:0" if torch.cuda.is_available() else "cpu")
