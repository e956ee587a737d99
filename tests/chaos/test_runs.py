"""Training under way while parts of a suite die: each run is attached to again and ends as if nothing had happened."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest

from swath.client import Client, Session
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.runtime.guard import Mark
from swath_suite.process import Process
from swath_suite.suite import Suite
from swath_suite.testing.workload import fitted, scene

TRAINRUN = "trainrun/san_diego_deep_svdd"
EPOCHS = 8


class Followed:
    """A run of Deep SVDD on the scene, followed by a client.

    Attributes:
        losses: By epoch, as the stream told them.
        statuses: Of all messages.
    """

    def __init__(self, client: Client) -> None:
        self.session = client.open_session()
        overrides = [f"training.max_epochs={EPOCHS}"]
        self.session.set_run_config(self.session.resolve("trainrun", TRAINRUN, overrides))
        for _ in self.session.train("statistical"):
            pass
        self.losses: dict[int, dict[str, float]] = {}
        self.statuses: list[int] = []

    def follow(self, at_epoch: Callable[[int], None] = lambda _: None) -> Followed:
        """Train to the end.

        Args:
            at_epoch: Called with the number of each epoch that has ended.
        """
        for told in self.session.train("gradient"):
            self.statuses.append(told.status)
            if told.event.hook == pb.TRAIN_HOOK_EPOCH_END:
                epoch = told.event.epochs.current
                self.losses[epoch] = dict(told.losses)
                at_epoch(epoch)
        return self

    def scores(self) -> np.ndarray:
        """What the trained detector says of the scene."""
        return _scores(self.session)


def _scores(session: Session) -> np.ndarray:
    cube, wavelengths = scene()
    return session.infer(cube=cube, wavelengths=wavelengths, outputs=["scores"]).only("scores")


@dataclass(frozen=True)
class Undisturbed:
    """What a run comes to that nothing has happened to: its losses by epoch, and what the detector says then."""

    losses: dict[int, dict[str, float]]
    scores: np.ndarray


def _assert_as_if_nothing_had_happened(disturbed: Followed, undisturbed: Undisturbed) -> None:
    assert disturbed.statuses[-1] == pb.TRAIN_STATUS_COMPLETE
    assert disturbed.losses == undisturbed.losses
    assert len(disturbed.losses) == EPOCHS
    assert np.array_equal(disturbed.scores(), undisturbed.scores)


def _workers(suite: Suite) -> list[int]:
    """Return the ids of the training workers: they lead sessions of their own below the training services."""
    below = [pid for replica in suite.replicas("training") for pid in replica.descendants()]
    return [pid for pid in below if os.getsid(pid) == pid]


@pytest.fixture
def client(suite: Suite) -> Iterator[Client]:
    suite.wait(300)  # what the test before has killed is still on its way
    with Client(suite.target) as made:
        fitted(made)
        yield made


@pytest.fixture(scope="module")
def undisturbed(suite: Suite) -> Undisturbed:
    suite.wait(300)
    with Client(suite.target) as client:
        fitted(client)
        run = Followed(client).follow()
        return Undisturbed(run.losses, run.scores())


def test_a_worker_is_killed_in_the_middle_of_an_epoch(suite: Suite, client: Client, undisturbed: Undisturbed) -> None:
    killed = []

    def kill(epoch: int) -> None:
        if epoch == EPOCHS // 2 and not killed:
            for worker in _workers(suite):
                os.kill(worker, signal.SIGKILL)
                killed.append(worker)

    disturbed = Followed(client).follow(kill)
    assert len(killed) == 1
    _assert_as_if_nothing_had_happened(disturbed, undisturbed)


def test_everything_that_trains_is_killed_at_once(suite: Suite, client: Client, undisturbed: Undisturbed) -> None:
    killed = []

    def kill(epoch: int) -> None:
        if epoch == EPOCHS // 2 and not killed:
            for replica in suite.replicas("training"):
                killed.append(replica.pid)
                replica.kill()
            for replica in suite.replicas("training"):
                replica.start()

    disturbed = Followed(client).follow(kill)
    assert len(killed) == 2
    _assert_as_if_nothing_had_happened(disturbed, undisturbed)


def test_a_training_replica_freezes_and_wakes_up_without_its_run(
    suite: Suite, client: Client, undisturbed: Undisturbed
) -> None:
    frozen: list[Process] = []
    workers: list[int] = []

    def freeze(epoch: int) -> None:
        if epoch == EPOCHS // 2 and not frozen:
            workers.extend(_workers(suite))
            frozen.extend(each for each in suite.replicas("training") if set(workers) & {*each.descendants()})
            for replica in frozen:
                replica.signal(signal.SIGSTOP)

    try:
        disturbed = Followed(client).follow(freeze)
        assert len(frozen) == len(workers) == 1
        # It has left by itself: nothing that it would still write counts, and nobody was there to end it.
        assert Mark.of(workers[0]) is None
    finally:
        for replica in frozen:
            replica.signal(signal.SIGCONT)
    _assert_as_if_nothing_had_happened(disturbed, undisturbed)
    for replica in frozen:
        replica.wait_until(lambda name=replica.name: suite.ready(name))
    _assert_as_if_nothing_had_happened(Followed(client).follow(), undisturbed)


def test_runs_go_on_while_everything_is_replaced(suite: Suite, client: Client, undisturbed: Undisturbed) -> None:
    disturbed = [Followed(client) for _ in range(2)]
    with ThreadPoolExecutor() as threads:
        ends = [threads.submit(each.follow) for each in disturbed]
        for name, process in suite.processes.items():
            assert process.stop() == 0
            process.start()
            process.wait_until(lambda name=name: suite.ready(name))
        for end in ends:
            end.result(600)
    for each in disturbed:
        _assert_as_if_nothing_had_happened(each, undisturbed)
