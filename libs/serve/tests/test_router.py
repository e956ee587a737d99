"""Queues of calls and the choice of a replica."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from swath.serve.exceptions import BackPressureError, DeploymentUnavailableError, RequestTimedOut
from swath.serve.exchange import RequestFacts
from swath.serve.router.router import Place, Router


def _place(tag: str, models: int = 0) -> Place:
    nothing: Any = None
    return Place(tag, nothing, models)


def _router(places: int = 1, ongoing: int = 1, queued: int = -1) -> Router:
    router = Router(ongoing, queued, lambda: None)
    for number in range(places):
        router.add(_place(f"r{number}"))
    return router


def _facts(**more: Any) -> RequestFacts:
    return RequestFacts("id", "app", **more)


async def test_a_free_place_is_handed_over_at_once_in_the_order_of_arrival() -> None:
    router = _router()
    first = await router.acquire(_facts())
    waiting = [asyncio.create_task(router.acquire(_facts())) for _ in range(3)]
    await asyncio.sleep(0)
    assert (router.waiting, router.ongoing) == (3, 1)
    for task in waiting:
        first.release()
        await asyncio.sleep(0)
        assert task.done()
        first = task.result()
        assert router.ongoing == 1
    first.release()
    first.release()
    assert (router.waiting, router.ongoing) == (0, 0)


async def test_a_full_queue_refuses_in_ray_serves_words() -> None:
    router = _router(queued=1)
    await router.acquire(_facts())
    waiting = asyncio.create_task(router.acquire(_facts()))
    await asyncio.sleep(0)
    with pytest.raises(BackPressureError) as refused:
        await router.acquire(_facts())
    assert str(refused.value) == "Request dropped due to backpressure (num_queued_requests=1, max_queued_requests=1)."
    assert refused.value.retry_after_s is not None
    waiting.cancel()
    await asyncio.sleep(0)
    assert router.waiting == 0


async def test_a_call_that_is_taken_back_leaves_the_queue_and_keeps_no_place() -> None:
    router = _router()
    first = await router.acquire(_facts())
    gone, stays = (asyncio.create_task(router.acquire(_facts())) for _ in range(2))
    await asyncio.sleep(0)
    # The place is its own already when it is taken back: the next one gets it.
    first.release()
    gone.cancel()
    slot = await stays
    assert router.ongoing == 1
    slot.release()
    assert router.ongoing == 0


async def test_a_deadline_ends_the_wait() -> None:
    router = _router()
    await router.acquire(_facts())
    with pytest.raises(RequestTimedOut):
        await router.acquire(_facts(deadline=time.time() + 0.02))
    assert router.waiting == 0


async def test_calls_spread_to_the_less_busy() -> None:
    router = _router(places=3, ongoing=10)
    for _ in range(12):
        await router.acquire(_facts())
    assert sorted(place.ongoing for place in router.places)[0] >= 2


async def test_calls_go_where_their_model_is() -> None:
    router = Router(2, -1, lambda: None)
    for tag in ("a", "b", "c"):
        router.add(_place(tag, models=1))
    first = await router.acquire(_facts(multiplexed_model_id="m"))
    second = await router.acquire(_facts(multiplexed_model_id="m"))
    assert first.place is second.place
    other = await router.acquire(_facts(multiplexed_model_id="n"))
    assert other.place is not first.place


async def test_a_call_waits_for_its_models_replica_where_others_would_have_to_let_one_go() -> None:
    router = Router(1, -1, lambda: None)
    for tag in ("a", "b"):
        router.add(_place(tag, models=1))
    first = await router.acquire(_facts(multiplexed_model_id="m"))
    second = await router.acquire(_facts(multiplexed_model_id="n"))
    second.release()
    waiting = asyncio.create_task(router.acquire(_facts(multiplexed_model_id="m")))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    # One without a model, that came later, does not wait for it.
    plain = await router.acquire(_facts())
    assert plain.place is second.place
    first.release()
    assert (await waiting).place is first.place


async def test_a_call_waits_no_longer_than_a_second_for_its_models_replica() -> None:
    router = Router(1, -1, lambda: None)
    for tag in ("a", "b"):
        router.add(_place(tag, models=1))
    first = await router.acquire(_facts(multiplexed_model_id="m"))
    second = await router.acquire(_facts(multiplexed_model_id="n"))
    second.release()
    slot = await asyncio.wait_for(router.acquire(_facts(multiplexed_model_id="m")), 5)
    assert slot.place is not first.place


async def test_a_session_stays_with_its_replica_while_that_lasts() -> None:
    router = _router(places=3, ongoing=2)
    first = await router.acquire(_facts(session_id="s"))
    assert (await router.acquire(_facts(session_id="s"))).place is first.place
    waiting = asyncio.create_task(router.acquire(_facts(session_id="s")))
    await asyncio.sleep(0)
    assert not waiting.done()
    first.release()
    assert (await waiting).place is first.place
    router.remove(first.place)
    assert (await router.acquire(_facts(session_id="s"))).place is not first.place


async def test_calls_wait_without_a_replica_and_are_refused_once_none_will_come() -> None:
    router = _router(places=0)
    waiting = asyncio.create_task(router.acquire(_facts()))
    await asyncio.sleep(0)
    router.close(DeploymentUnavailableError("none"))
    with pytest.raises(DeploymentUnavailableError, match="none"):
        await waiting
    with pytest.raises(DeploymentUnavailableError, match="none"):
        await router.acquire(_facts())
    router.add(_place("late"))
    assert (await router.acquire(_facts())).place.tag == "late"


async def test_what_waits_moves_to_the_next_version() -> None:
    old, new = _router(), _router()
    await old.acquire(_facts())
    waiting = asyncio.create_task(old.acquire(_facts()))
    await asyncio.sleep(0)
    old.move_to(new)
    assert (await waiting).place in new.places
    assert old.waiting == 0


async def test_a_replica_that_leaves_keeps_its_calls_until_they_end() -> None:
    router = _router()
    slot = await router.acquire(_facts())
    router.remove(slot.place)
    assert router.ongoing == 1
    slot.release()
    assert router.ongoing == 0
