"""Which errors are retried, how soon and for how long."""

from __future__ import annotations

import pytest

from swath.errors import InvalidInput, Unavailable
from swath.retry import Backoff, Retry, retry_while_unavailable

QUICK = Retry(on=Unavailable, initial_s=0.001, max_s=0.002)


class Flaky:
    """Fails a number of times, then returns how often it was tried."""

    def __init__(self, failures: int, error: Exception | None = None) -> None:
        self.tries = 0
        self._failures = failures
        self._error = error or Unavailable("away")

    def work(self) -> int:
        self.tries += 1
        if self.tries <= self._failures:
            raise self._error
        return self.tries

    async def work_async(self) -> int:
        return self.work()


def test_work_is_done_until_it_succeeds() -> None:
    logged: list[tuple[str, int]] = []
    assert QUICK.call(Flaky(2).work, log=lambda error, tried: logged.append((str(error), tried))) == 3
    assert logged == [("away", 1), ("away", 2)]


async def test_work_that_is_awaited_too() -> None:
    flaky = Flaky(2)
    assert await QUICK.call_async(flaky.work_async) == 3
    assert await QUICK.call_async(lambda: flaky.work_async()) == 4


async def test_another_error_is_raised_at_once() -> None:
    for flaky in (Flaky(1, InvalidInput("wrong")), Flaky(1, ValueError("wrong"))):
        with pytest.raises(type(flaky._error), match="wrong"):
            QUICK.call(flaky.work)
        assert flaky.tries == 1
    flaky = Flaky(1, InvalidInput("wrong"))
    with pytest.raises(InvalidInput):
        await QUICK.call_async(flaky.work_async)
    assert flaky.tries == 1


async def test_the_last_error_is_raised_when_the_tries_are_used_up() -> None:
    twice = Retry(on=Unavailable, initial_s=0.001, attempts=2)
    flaky = Flaky(5)
    with pytest.raises(Unavailable) as caught:
        twice.call(flaky.work)
    assert caught.value is flaky._error
    assert flaky.tries == 2
    with pytest.raises(Unavailable):
        await twice.call_async(flaky.work_async)
    assert flaky.tries == 4


def test_no_try_begins_after_the_time_limit() -> None:
    flaky = Flaky(5)
    with pytest.raises(Unavailable):
        Retry(on=Unavailable, initial_s=10.0, jitter=0.0, timeout_s=5.0).call(flaky.work)
    assert flaky.tries == 1


def test_pauses_grow_to_their_limit() -> None:
    backoff = Backoff(Retry(on=Unavailable, initial_s=0.2, multiplier=3.0, max_s=5.0, jitter=0.0))
    pauses = [backoff.failed(Unavailable("away")) for _ in range(5)]
    assert pauses == pytest.approx([0.2, 0.6, 1.8, 5.0, 5.0])
    backoff.succeeded()
    assert backoff.failed(Unavailable("away")) == pytest.approx(0.2)


def test_a_share_of_each_pause_is_left_to_chance() -> None:
    retry = Retry(on=Unavailable, initial_s=1.0, max_s=1.0, jitter=0.5)
    pauses = {Backoff(retry).failed(Unavailable("away")) for _ in range(100)}
    assert len(pauses) > 1
    assert all(0.5 <= pause <= 1.0 for pause in pauses)


def test_an_error_may_ask_for_another_pause() -> None:
    retry = Retry(on=Unavailable, initial_s=0.2, jitter=0.0, delay_of=lambda error: getattr(error, "retry_after", None))
    backoff = Backoff(retry)
    assert backoff.failed(Unavailable("away", retry_after=7.0)) == 7.0
    assert backoff.failed(Unavailable("away")) == pytest.approx(0.4)


def test_a_backoff_ends_with_the_error_itself() -> None:
    now = [0.0]
    backoff = Backoff(Retry(on=Unavailable, initial_s=1.0, jitter=0.0, timeout_s=10.0), clock=lambda: now[0])
    error = Unavailable("away")
    assert backoff.failed(error) == 1.0
    now[0] = 9.0
    with pytest.raises(Unavailable) as caught:
        backoff.failed(error)
    assert caught.value is error
    with pytest.raises(InvalidInput):
        backoff.failed(InvalidInput("wrong"))


def test_work_waits_for_what_is_away() -> None:
    flaky = Flaky(1)
    assert retry_while_unavailable(flaky.work) == 2
    with pytest.raises(Unavailable):
        retry_while_unavailable(Flaky(100).work, timeout_s=0.3)
