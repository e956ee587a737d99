"""Work under way while parts of a suite die."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from swath.client import Client, Session
from swath_suite.suite import Suite
from swath_suite.testing.workload import Workload, fitted


@pytest.fixture(scope="session")
def detector(suite: Suite) -> Callable[[Client], Session]:
    """Opens sessions that hold one and the same detector, which was fitted once."""
    with Client(suite.target) as client:
        saved = fitted(client).save_pipeline("chaos/detector.yaml")

    def opened(client: Client) -> Session:
        session = client.open_session()
        session.load_pipeline(session.resolve("pipeline", "pipeline/chaos/detector"))
        session.load_weights(saved.weights)
        return session

    return opened


@pytest.fixture
def workload(suite: Suite, detector: Callable[[Client], Session]) -> Iterator[Workload]:
    """Work under way. In the end everything that was acknowledged must be there."""
    work = Workload(suite.target, detector=detector)
    work.start()
    yield work
    work.stop()
    print(work.report())
    assert work.missing() == []
