"""The queue of a device: what is computed next, together with what, where, and what is never computed."""

import asyncio
import threading
import time
from typing import Any, cast

import pytest

from swath.errors import Exhausted, TimedOut
from swath_inference.dataplane.batcher import Batcher
from swath_inference.dataplane.executor import DeviceThread
from swath_inference.dataplane.limits import Limits
from swath_inference.dataplane.request import InferRequest, Pace


class Model:
    """What a queue wants to know of a model."""

    def __init__(self):
        self.inline = False
        self.pace = Pace()
        self.seconds = 1.0


class Device:
    """A batcher over a device that writes down what it computes, and waits where it is told to."""

    def __init__(self, **limits):
        self.batches = []
        self.threads = []
        self.go_on = threading.Event()
        self.go_on.set()
        self.thread = DeviceThread(100)
        self.queue = Batcher(
            self.thread,
            self._forward,
            lambda each: each.batch["key"],
            lambda each: each.batch["bytes"],
            Limits(**limits),
        )

    def _forward(self, requests):
        self.batches.append([request.batch["id"] for request in requests])
        self.threads.append(threading.get_ident())
        assert self.go_on.wait(10)
        results = [request.batch["answer"] for request in requests]
        size = sum(request.batch["bytes"] for request in requests)
        requests[0].model.pace.add(len(requests), size, requests[0].model.seconds)
        return results

    async def busy(self, model):
        """Start something that lasts until the task is awaited."""
        self.go_on.clear()
        task = self.ask(model, "busy", key=None)
        await self.begun(1)

        async def finish():
            self.go_on.set()
            return await task

        return finish

    async def begun(self, batches):
        """Wait until so many batches were started."""
        async with asyncio.timeout(10):
            while len(self.batches) < batches:  # noqa: ASYNC110  the thread says so in no other way
                await asyncio.sleep(0.001)

    def ask(self, model, name, *, key: str | None = "k", size=1, answer=None, **fields):
        batch = {"id": name, "key": key, "bytes": size, "answer": name if answer is None else answer}
        return asyncio.ensure_future(self.queue.run(InferRequest(model, batch, cast(Any, None), **fields)))


@pytest.fixture
def model():
    return Model()


@pytest.fixture
def device():
    made = []

    def make(**limits):
        made.append(Device(**limits))
        return made[-1]

    yield make
    for each in made:
        each.go_on.set()
        each.thread.close()


async def test_a_device_that_is_idle_takes_what_is_there_at_once(device, model):
    idle = device()
    assert await asyncio.gather(*(idle.ask(model, name) for name in "abc")) == ["a", "b", "c"]
    assert idle.batches == [["a", "b", "c"]]


async def test_what_came_while_the_device_worked_is_computed_together(device, model):
    made = device()
    finish = await made.busy(model)
    asked = []
    for name in "abc":
        asked.append(made.ask(model, name))
        await asyncio.sleep(0)
    await finish()
    assert await asyncio.gather(*asked) == ["a", "b", "c"]
    assert made.batches == [["busy"], ["a", "b", "c"]]
    assert (made.queue.counts.forwards, made.queue.counts.calls, made.queue.counts.merged) == (2, 4, 3)
    # One forward of one call, one of three or four.
    assert made.queue.counts.by_size == [1, 0, 1, 0, 0, 0, 0, 0, 0, 0]


async def test_a_batch_has_a_largest_number_of_calls(device, model):
    made = device(calls=2)
    finish = await made.busy(model)
    asked = [made.ask(model, name) for name in "abcde"]
    await finish()
    await asyncio.gather(*asked)
    assert made.batches[1:] == [["a", "b"], ["c", "d"], ["e"]]


async def test_a_batch_has_a_largest_size_and_one_call_may_be_larger(device, model):
    made = device(size=10)
    finish = await made.busy(model)
    asked = [made.ask(model, name, size=size) for name, size in [("a", 6), ("b", 4), ("c", 99), ("d", 1)]]
    await finish()
    await asyncio.gather(*asked)
    assert made.batches[1:] == [["a", "b"], ["c"], ["d"]]


async def test_what_may_not_be_computed_together_is_not(device, model):
    made = device()
    other = Model()
    finish = await made.busy(model)
    asked = [
        made.ask(model, "a", key="one"),
        made.ask(model, "b", key="two"),
        made.ask(model, "c", key=None),
        made.ask(model, "d", key=None),
        made.ask(other, "e", key="one"),
        made.ask(model, "f", key="one"),
    ]
    await finish()
    await asyncio.gather(*asked)
    assert made.batches[1:] == [["a", "f"], ["b"], ["c"], ["d"], ["e"]]


async def test_without_batches_each_call_is_computed_alone(device, model):
    made = device(calls=1)
    await asyncio.gather(*(made.ask(model, name) for name in "abc"))
    assert made.batches == [["a"], ["b"], ["c"]]


async def test_the_highest_priority_goes_first(device, model):
    made = device(calls=1)
    finish = await made.busy(model)
    asked = [made.ask(model, name, priority=priority) for name, priority in [("a", 0), ("b", 5), ("c", 5), ("d", -1)]]
    await finish()
    await asyncio.gather(*asked)
    assert made.batches[1:] == [["b"], ["c"], ["a"], ["d"]]


async def test_a_call_that_leaves_is_never_started_and_harms_no_other(device, model):
    made = device()
    finish = await made.busy(model)
    staying, leaving = made.ask(model, "stays"), made.ask(model, "leaves")
    await asyncio.sleep(0)
    leaving.cancel()
    await finish()
    assert await staying == "stays"
    assert leaving.cancelled()
    assert made.batches[1:] == [["stays"]]
    assert made.queue.counts.dropped == 1


async def test_a_call_that_leaves_in_the_middle_of_its_batch_harms_no_other(device, model):
    made = device()
    made.go_on.clear()
    staying, leaving = made.ask(model, "stays"), made.ask(model, "leaves")
    await made.begun(1)
    leaving.cancel()
    await asyncio.sleep(0)
    made.go_on.set()
    assert await staying == "stays"
    assert leaving.cancelled()
    assert made.batches == [["stays", "leaves"]]


async def test_a_call_whose_deadline_passed_is_never_started(device, model):
    made = device()
    finish = await made.busy(model)
    late, timely = made.ask(model, "late", deadline=time.monotonic()), made.ask(model, "timely")
    await asyncio.sleep(0.001)
    await finish()
    with pytest.raises(TimedOut, match="deadline"):
        await late
    assert await timely == "timely"
    assert made.batches[1:] == [["timely"]]


async def test_each_member_of_a_batch_has_an_error_of_its_own(device, model):
    made = device()
    bad, good = made.ask(model, "bad", answer=ZeroDivisionError()), made.ask(model, "good")
    with pytest.raises(ZeroDivisionError):
        await bad
    assert await good == "good"
    assert made.batches == [["bad", "good"]]


async def test_more_than_may_wait_are_refused_with_a_time_to_come_back(device):
    made = device(queue=1)
    made.queue.enter()
    assert made.queue.waiting == 1
    with pytest.raises(Exhausted, match="1 calls wait") as caught:
        made.queue.enter()
    made.queue.leave()
    assert caught.value.retry_after is not None
    assert caught.value.retry_after >= 1.0
    assert made.queue.waiting == 0


async def test_quick_forwards_run_where_they_are_asked_for_and_others_never(device, model):
    made = device()
    model.inline, model.seconds = True, 20e-6
    for number in range(5):
        await made.ask(model, number)
    here = threading.get_ident()
    # Nobody knows how quick a model is before its third forward.
    assert [thread == here for thread in made.threads] == [False, False, False, True, True]
    model.seconds = 1.0
    await made.ask(model, "slow")
    await made.ask(model, "after")
    assert [thread == here for thread in made.threads[5:]] == [True, False]


async def test_a_batch_of_quick_calls_that_is_not_quick_itself_goes_to_the_thread(device, model):
    made = device()
    model.inline, model.seconds = True, 190e-6
    for number in range(4):
        await made.ask(model, number)
    await asyncio.gather(*(made.ask(model, name) for name in "abcde"))
    assert made.batches[4:] == [["a"], list("bcde")]
    assert made.threads[-1] == threading.get_ident()
    model.seconds = 190e-6
    await asyncio.gather(*(made.ask(model, name) for name in range(60)))
    assert made.batches[-1:] == [list(range(60))]
    assert made.threads[-1] != threading.get_ident()


async def test_a_quick_model_is_not_taken_to_be_quick_with_a_larger_input(device, model):
    made = device()
    model.inline, model.seconds = True, 20e-6
    for number in range(4):
        await made.ask(model, number, size=1000)
    await made.ask(model, "large", size=20_000)
    here = threading.get_ident()
    assert [thread == here for thread in made.threads[3:]] == [True, False]


async def test_after_a_batch_of_several_calls_the_next_waits_for_as_many(device, model):
    made = device(delay=60.0)
    await asyncio.gather(*(made.ask(model, name) for name in "abc"))
    made.queue._lasted = 1000.0
    asked = []
    async with asyncio.timeout(10):
        for name in "def":
            asked.append(made.ask(model, name))
            await asyncio.sleep(0.01)
            assert len(made.batches) == (2 if name == "f" else 1)
        await asyncio.gather(*asked)
    assert made.batches == [["a", "b", "c"], ["d", "e", "f"]]


async def test_a_batch_does_not_wait_where_calls_come_one_by_one(device, model):
    made = device(delay=60.0)
    async with asyncio.timeout(10):
        for name in "abc":
            await made.ask(model, name)
            made.queue._lasted = 1000.0
    assert made.batches == [["a"], ["b"], ["c"]]


async def test_what_waits_when_the_thread_ends_is_called_off(device, model):
    made = device()
    made.go_on.clear()
    made.thread.later(lambda: made.go_on.wait(10))
    waiting = made.ask(model, "a")
    await asyncio.sleep(0.01)
    closing = asyncio.create_task(asyncio.to_thread(made.thread.close))
    await asyncio.sleep(0.01)
    made.go_on.set()
    await closing
    with pytest.raises(asyncio.CancelledError):
        await waiting
