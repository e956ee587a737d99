"""Parts of a suite die, freeze and restart under load: nothing that was acknowledged is lost, and clients finish."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest

from swath.api import SERVICE_NAMES
from swath.runtime.guard import Mark
from swath_suite.suite import Suite
from swath_suite.testing.workload import Workload

ONCE_ONLY = ("open", "put")
"""What clients may not simply send again: it may fail, in words, while its replica dies."""


def _back(suite: Suite, *names: str) -> None:
    for name in names or suite.processes:
        suite.processes[name].wait_until(lambda name=name: suite.ready(name))
    suite.wait()


def _wait_until(seen: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _assert_only_refused(workload: Workload, *kinds: str) -> None:
    """See that nothing failed but calls of these kinds, and those as UNAVAILABLE."""
    others = [(kind, error) for kind, error in workload.failures if kind not in kinds or error.code != "UNAVAILABLE"]
    assert others == []


@pytest.mark.parametrize("part", SERVICE_NAMES)
def test_a_replica_is_killed(suite: Suite, workload: Workload, part: str) -> None:
    replica = suite.replicas(part)[0]
    replica.kill()
    workload.goes_on()
    replica.start()
    _back(suite, replica.name)
    workload.goes_on()
    _assert_only_refused(workload, *ONCE_ONLY)


@pytest.mark.parametrize("part", SERVICE_NAMES)
def test_a_replica_is_sent_away(suite: Suite, workload: Workload, part: str) -> None:
    replica = suite.replicas(part)[1]
    assert replica.stop() == 0
    workload.goes_on()
    replica.start()
    _back(suite, replica.name)
    workload.goes_on()
    assert workload.failures == []


def test_an_inference_replica_freezes(suite: Suite, workload: Workload) -> None:
    frozen = suite.replicas("inference")[0]
    frozen.signal(signal.SIGSTOP)
    try:
        workload.goes_on(calls=20)
    finally:
        frozen.signal(signal.SIGCONT)
    _back(suite, frozen.name)
    workload.goes_on()
    assert workload.failures == []


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_postgres_restarts(suite: Suite, workload: Workload, end: str) -> None:
    getattr(suite.postgres, end)()
    suite.postgres.start()
    workload.goes_on()
    _assert_only_refused(workload, *ONCE_ONLY)


def test_the_object_store_is_away(suite: Suite, workload: Workload) -> None:
    suite.s3.stop()
    time.sleep(10.0)
    suite.s3.start()
    workload.goes_on()
    # What could not be stored meanwhile was refused, and so never acknowledged.
    _assert_only_refused(workload, *ONCE_ONLY, "save")


def test_the_gateway_is_killed(suite: Suite, workload: Workload) -> None:
    gateway = suite.processes["gateway"]
    [envoy] = gateway.descendants()
    gateway.kill()
    _wait_until(lambda: Mark.of(envoy) is None)
    gateway.start()
    _back(suite, "gateway")
    workload.goes_on()
    _assert_only_refused(workload, *ONCE_ONLY)


def test_everything_is_replaced_one_by_one(suite: Suite, workload: Workload) -> None:
    for name, process in suite.processes.items():
        if name != "gateway":
            assert process.stop() == 0
            process.start()
            _back(suite, name)
    workload.goes_on()
    assert workload.failures == []
