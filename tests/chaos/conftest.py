"""Work under way while parts of a suite die."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from swath_suite.suite import Suite
from swath_suite.testing.workload import Workload


@pytest.fixture
def workload(suite: Suite) -> Iterator[Workload]:
    """Work under way. In the end everything that was acknowledged must be there."""
    work = Workload(suite.target)
    work.start()
    yield work
    work.stop()
    print(work.report())
    assert work.missing() == []
