"""How long the next replica waits after others have failed."""

from __future__ import annotations

import pytest

from swath.serve.config import DeploymentOptions
from swath.serve.controller.restarts import Restarts


def test_the_first_death_costs_no_wait_and_those_after_it_more_and_more() -> None:
    restarts = Restarts()
    waits = []
    for _ in range(10):
        # A constructor that returns does not make a replica that dies at once a good one.
        restarts.succeeded()
        restarts.died(ran_s=0.5)
        waits.append(restarts.wait_s)
    assert waits[0] <= 0
    assert waits[1:4] == pytest.approx([0.1, 0.2, 0.4], abs=0.05)
    assert waits[-1] == pytest.approx(10, abs=0.05)


def test_one_that_has_run_for_long_is_replaced_at_once() -> None:
    restarts = Restarts()
    restarts.died(ran_s=3600)
    assert restarts.wait_s <= 0


@pytest.mark.parametrize(("count", "replicas", "tries"), [(20, 1, 3), (2, 1, 2), (20, 4, 12), (20, 0, 3)])
def test_constructors_are_given_up_after_three_tries_per_replica(count: int, replicas: int, tries: int) -> None:
    restarts = Restarts()
    options = DeploymentOptions(max_constructor_retry_count=count)
    again = [restarts.failed_to_start(options, replicas) for _ in range(tries)]
    assert again == [True] * (tries - 1) + [False]
    assert restarts.failures == tries
