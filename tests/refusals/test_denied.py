"""A suite whose object store refuses it: real refusals, of a server that has other credentials."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from swath.client import CallError, Client
from swath_suite.suite import Suite

from .conftest import METHODS, Work

Refusal = Callable[[Callable[[], object]], CallError]


@pytest.fixture(scope="module")
def work(suite: Suite) -> Iterator[Work]:
    with Client(suite.target) as client:
        yield Work.begin(client)


@pytest.fixture
def denied(suite: Suite) -> Iterator[Callable[[], None]]:
    """Has the object store refuse the suite from now on; it is opened again after the test."""
    yield suite.s3.refuse
    suite.s3.restart()


@pytest.mark.parametrize("method", METHODS)
def test_it_is_refused_in_words_changes_nothing_and_goes_on(
    suite: Suite, work: Work, denied: Callable[[], None], refusal: Refusal, method: str
) -> None:
    work.fit()
    scores, files = work.scores(), work.files()
    call = work.calls[method]
    denied()
    refused = refusal(call)
    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "STORAGE_DENIED"), refused
    assert "refuses the server access" in str(refused)
    # Sessions and runs are rows.
    work.session.status()
    suite.s3.restart()
    np.testing.assert_array_equal(work.scores(), scores)
    assert work.files() == files
    call()


def test_a_run_whose_checkpoints_are_refused_ends_in_words(
    work: Work, denied: Callable[[], None], refusal: Refusal
) -> None:
    with work.client.session() as session, ThreadPoolExecutor(1) as pool:
        overrides = ["training.max_epochs=10000"]
        session.set_run_config(session.resolve("trainrun", "trainrun/san_diego_deep_svdd", overrides))
        list(session.train("statistical"))
        following = pool.submit(lambda: refusal(lambda: list(session.train("gradient"))))
        while session.status().event.epochs.current < 2:
            time.sleep(0.05)
        denied()
        refused = following.result(60)
        assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "STORAGE_DENIED")
