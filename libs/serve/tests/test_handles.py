"""Handles in a driver and between replicas, by real processes."""

from __future__ import annotations

import asyncio
import os
import pickle
import threading
import time
from typing import Any

import numpy as np
import pytest

from swath import serve
from swath.serve.exceptions import BackPressureError, MethodNotFound, RayServeException, RequestCancelledError
from swath.serve.handle import DeploymentHandle


class Peculiar(Exception):
    """An exception of the user's own."""


@serve.deployment(max_ongoing_requests=20)
class Worker:
    def __init__(self, add: int = 0) -> None:
        self.add = add
        self.seen: list[str] = []

    def __call__(self, value: Any = 0) -> Any:
        return value + self.add

    async def doubled(self, value: Any) -> Any:
        return 2 * value

    def thread(self) -> str:
        return threading.current_thread().name

    def fails(self, kind: str) -> None:
        if kind == "own":
            raise Peculiar("peculiar")
        if kind == "exit":
            raise SystemExit(3)
        raise KeyError(kind)

    async def numbers(self, count: int) -> Any:
        for number in range(count):
            yield number

    def plain_numbers(self, count: int) -> Any:
        yield from range(count)

    async def endless(self) -> Any:
        try:
            number = 0
            while True:
                yield number
                number += 1
        finally:
            self.seen.append("endless ended")

    async def waits(self, name: str) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.seen.append(f"{name} cancelled")
            raise

    def plain_ticks(self) -> Any:
        try:
            for number in range(600):
                time.sleep(0.02)
                yield number
        finally:
            self.seen.append("ticks ended")

    def sleeps(self) -> None:
        time.sleep(1.5)

    def what_was_seen(self) -> list[str]:
        return self.seen

    def facts(self) -> tuple[str, str, str]:
        context = serve.get_replica_context()
        return context.app_name, context.deployment, serve.get_multiplexed_model_id()

    def array(self, given: np.ndarray) -> np.ndarray:
        given[0] = 5
        return given


@serve.deployment
class Composer:
    def __init__(self, worker: DeploymentHandle) -> None:
        self.worker = worker

    async def __call__(self, value: int) -> int:
        # A response as an argument.
        return await self.worker.remote(self.worker.doubled.remote(value))

    def from_thread(self, value: int) -> int:
        return self.worker.remote(value).result()

    async def caught(self) -> str:
        try:
            await self.worker.fails.remote("key")
        except KeyError as error:
            return f"KeyError {error.args[0]}"
        return "nothing"

    async def waits(self) -> None:
        await self.worker.waits.remote("child")

    async def streams(self, count: int) -> list[int]:
        return [each async for each in self.worker.options(stream=True).numbers.remote(count)]

    async def request_ids(self) -> list[str]:
        return [self.worker.remote(1).request_id, self.worker.remote(2).request_id]

    async def wrong(self) -> str:
        try:
            self.worker.remote(1).result()
        except RuntimeError as error:
            return str(error)
        return "nothing"

    async def models(self) -> tuple[str, tuple[str, str, str]]:
        return serve.get_multiplexed_model_id(), await self.worker.facts.remote()


@serve.deployment(max_ongoing_requests=1, max_queued_requests=1)
def narrow(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@pytest.fixture(scope="module")
def composer(driver: None) -> DeploymentHandle:
    return serve.run(Composer.bind(Worker.bind(10)), name="handles")


@pytest.fixture(scope="module")
def worker(composer: DeploymentHandle) -> DeploymentHandle:
    return serve.get_deployment_handle("Worker", "handles")


def _until(so: Any) -> None:
    end = time.monotonic() + 10
    while not so():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_calls_give_results_which_may_be_taken_twice(worker: DeploymentHandle) -> None:
    response = worker.remote(5)
    assert (response.result(), response.result()) == (15, 15)
    assert worker.options(method_name="doubled").remote(4).result() == 8


def test_plain_functions_run_in_threads(worker: DeploymentHandle) -> None:
    assert worker.thread.remote().result().startswith("handler")


async def test_responses_are_awaited_in_any_loop(worker: DeploymentHandle) -> None:
    response = worker.remote(1)
    assert (await response, await response) == (11, 11)
    assert await asyncio.gather(*(worker.remote(each) for each in range(3))) == [10, 11, 12]


async def test_result_is_refused_where_a_loop_runs(worker: DeploymentHandle, composer: DeploymentHandle) -> None:
    text = "Sync methods should not be called from within an asyncio event loop"
    with pytest.raises(RuntimeError, match=text):
        worker.remote(1).result()
    assert text in await composer.wrong.remote()


def test_a_late_result_is_a_timeout_and_may_be_waited_for_again(worker: DeploymentHandle) -> None:
    response = worker.sleeps.remote()
    with pytest.raises(TimeoutError):
        response.result(timeout_s=0.05)
    assert response.result() is None


def test_composition_passes_responses_and_runs_in_threads_too(composer: DeploymentHandle) -> None:
    assert composer.remote(3).result() == 16
    assert composer.from_thread.remote(3).result() == 13


def test_responses_are_arguments_of_their_own_only(worker: DeploymentHandle) -> None:
    response = worker.remote(1)
    assert worker.remote(response).result() == 21
    with pytest.raises(RayServeException, match="cannot be sent inside another value"):
        worker.remote([response]).result()
    failed = worker.fails.remote("first")
    with pytest.raises(KeyError, match="first"):
        worker.remote(failed).result()


def test_exceptions_keep_their_type_and_say_where_they_come_from(
    worker: DeploymentHandle, composer: DeploymentHandle
) -> None:
    with pytest.raises(KeyError, match="key") as caught:
        worker.fails.remote("key").result()
    assert "in fails" in str(caught.value.__cause__)
    with pytest.raises(Peculiar, match="peculiar"):
        worker.fails.remote("own").result()
    assert composer.caught.remote().result() == "KeyError key"


def test_exiting_ends_the_call_and_nothing_else(worker: DeploymentHandle) -> None:
    with pytest.raises(RayServeException, match="SystemExit: 3"):
        worker.fails.remote("exit").result()
    assert worker.remote(1).result() == 11


def test_an_unknown_method_is_told_with_the_nearest(worker: DeploymentHandle) -> None:
    with pytest.raises(MethodNotFound, match="has no method 'doubld', did you mean 'doubled'"):
        worker.doubld.remote(1).result()


@pytest.mark.parametrize("method", ["numbers", "plain_numbers"])
def test_generators_stream_in_threads(worker: DeploymentHandle, method: str) -> None:
    responses = worker.options(stream=True, method_name=method).remote(2000)
    assert list(responses) == list(range(2000))


async def test_generators_stream_in_asyncio_and_between_replicas(
    worker: DeploymentHandle, composer: DeploymentHandle
) -> None:
    assert [each async for each in worker.options(stream=True).numbers.remote(5)] == [0, 1, 2, 3, 4]
    assert await composer.streams.remote(300) == list(range(300))


def test_streams_and_values_are_not_taken_for_one_another(worker: DeploymentHandle) -> None:
    with pytest.raises(TypeError, match="returned a generator"):
        worker.numbers.remote(1).result()
    with pytest.raises(TypeError, match="did not return a generator"):
        list(worker.options(stream=True).doubled.remote(1))
    stream = worker.options(stream=True).numbers.remote(1)
    with pytest.raises(TypeError, match=r"no `\.result"):
        stream.result()
    with pytest.raises(TypeError, match="not awaited"):
        stream.__await__()


def test_cancel_reaches_an_async_handler_and_through_it_its_child(
    worker: DeploymentHandle, composer: DeploymentHandle
) -> None:
    response = composer.waits.remote()
    time.sleep(0.2)
    response.cancel()
    assert response.cancelled()
    with pytest.raises(RequestCancelledError, match=rf"Request {response.request_id} was cancelled\."):
        response.result()
    _until(lambda: "child cancelled" in worker.what_was_seen.remote().result())


def test_cancel_ends_generators_of_both_kinds(worker: DeploymentHandle) -> None:
    endless = worker.options(stream=True).endless.remote()
    ticks = worker.options(stream=True).plain_ticks.remote()
    assert (next(endless), next(ticks)) == (0, 0)
    endless.cancel()
    ticks.cancel()
    with pytest.raises(RequestCancelledError):
        next(ticks)
    _until(lambda: {"endless ended", "ticks ended"} <= set(worker.what_was_seen.remote().result()))


def test_a_reader_that_waits_stops_the_generator(worker: DeploymentHandle) -> None:
    endless = worker.options(stream=True).endless.remote()
    assert next(endless) == 0
    time.sleep(0.3)
    # It has stood still: what comes next is what was under way.
    assert [next(endless) for _ in range(3)] == [1, 2, 3]
    endless.cancel()


def test_an_abandoned_plain_call_frees_its_place(driver: None) -> None:
    handle = serve.run(narrow.bind(), name="narrow", route_prefix="/narrow")
    slow = handle.remote(5)
    time.sleep(0.2)
    queued = handle.remote(0)
    with pytest.raises(BackPressureError, match="max_queued_requests=1"):
        _raise_refusal(handle)
    start = time.monotonic()
    slow.cancel()
    assert queued.result() == 0
    assert time.monotonic() - start < 4
    serve.delete("narrow")


def _raise_refusal(handle: DeploymentHandle) -> None:
    responses = [handle.remote(0) for _ in range(2)]
    for response in responses:
        response.result(timeout_s=10)


def test_children_have_the_parents_request_id_and_no_model(composer: DeploymentHandle) -> None:
    response = composer.request_ids.remote()
    assert response.result() == [response.request_id] * 2
    asked = composer.options(multiplexed_model_id="m").models.remote().result()
    assert asked == ("m", ("handles", "Worker", ""))


def test_large_arrays_arrive_and_may_be_written_to(worker: DeploymentHandle) -> None:
    given = np.arange(500_000.0)
    found = worker.array.remote(given).result()
    given[0] = 5
    np.testing.assert_array_equal(found, given)
    found[1] = 7


def test_handles_are_values(worker: DeploymentHandle) -> None:
    again = pickle.loads(pickle.dumps(worker))
    assert again == worker
    assert again.remote(1).result() == 11
    assert worker.options(multiplexed_model_id="m") != worker
    with pytest.raises(TypeError, match="unknown option of a handle: 'strem'"):
        worker.options(strem=True)


def test_what_does_not_exist_is_said(driver: None, worker: DeploymentHandle) -> None:
    with pytest.raises(RayServeException, match="Application 'handels' does not exist, did you mean 'handles'"):
        serve.get_app_handle("handels")
    with pytest.raises(KeyError):
        serve.get_deployment_handle("Wrker", "handles")
    assert serve.get_app_handle("handles").remote(1).result() == 12
    with pytest.raises(RayServeException, match="may only be called in a replica"):
        serve.get_replica_context()


def test_many_threads_call_at_once(worker: DeploymentHandle) -> None:
    results: list[int] = []

    def work() -> None:
        results.extend(worker.remote(each).result() for each in range(50))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == sorted([each + 10 for each in range(50)] * 8)


def test_a_call_that_was_running_when_its_replica_died_fails_and_the_next_is_answered(driver: None) -> None:
    handle = serve.run(Killer.bind(), name="killer", route_prefix="/killer")
    first = handle.pid.remote().result()
    with pytest.raises(RayServeException, match="process of the replica ended"):
        handle.die.remote().result()
    assert handle.pid.remote().result(timeout_s=20) not in (first, os.getpid())
    serve.delete("killer")


@serve.deployment
class Killer:
    def pid(self) -> int:
        return os.getpid()

    def die(self) -> None:
        os._exit(7)


@pytest.mark.usefixtures("driver")
def test_two_applications_of_one_route_prefix_are_refused_by_name() -> None:
    serve.run(Worker.bind(), name="first", route_prefix="/taken")
    with pytest.raises(RayServeException, match=r"Prefix /taken is being used by application 'first'.* 'second'"):
        serve.run(Worker.bind(), name="second", route_prefix="/taken")
    assert "second" not in serve.status().applications
    # The same one may be updated, and those without a prefix are in nobody's way.
    serve.run(Worker.bind(), name="first", route_prefix="/taken")
    serve.run(Worker.bind(), name="second", route_prefix=None)
    serve.delete("first")
    serve.delete("second")
