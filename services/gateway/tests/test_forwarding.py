"""What a real gateway sends on, and how often."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from swath.api import CUVIS, IDEMPOTENT, ROUTES

RETRIED = {f"/{service}/{name}" for service, names in IDEMPOTENT.items() for name in names} & set(ROUTES)
PRESSING = (("x-envoy-retry-on", "5xx,reset"), ("x-envoy-retry-grpc-on", "unavailable"), ("x-envoy-max-retries", "5"))
SCHEMA = f"/{CUVIS}/GetParameterSchema"


def _call(target: str, path: str, *metadata: tuple[str, str]) -> grpc.StatusCode:
    with grpc.insecure_channel(target, options=[("grpc.enable_retries", 0)]) as channel:
        try:
            list(channel.stream_stream(path)(iter([b""]), timeout=30, metadata=metadata))
        except grpc.RpcError as error:
            return error.code()
    return grpc.StatusCode.OK


@pytest.mark.parametrize("metadata", [(), PRESSING], ids=["as it is", "a client that asks for it"])
def test_only_what_may_be_repeated_is_sent_to_another_replica_after_an_answer(
    gateway: Callable, replicas: Callable, metadata: tuple[tuple[str, str], ...]
) -> None:
    there = replicas("refuses", "refuses")
    target = gateway(there).target
    with ThreadPoolExecutor(4) as pool:
        codes = set(pool.map(lambda path: _call(target, path, *metadata), ROUTES))
    counts = there[0].counts + there[1].counts
    assert codes == {grpc.StatusCode.UNAVAILABLE}
    assert {path for path in ROUTES if counts[path] > 1} == RETRIED
    assert {path for path in ROUTES if counts[path] == 1} == set(ROUTES) - RETRIED


@pytest.mark.parametrize("path", sorted(set(ROUTES) - RETRIED), ids=lambda path: path.rpartition("/")[2])
def test_a_call_that_may_have_changed_something_dies_with_its_replica(
    gateway: Callable, replicas: Callable, path: str
) -> None:
    there = replicas("dies", "dies")
    assert _call(gateway(there).target, path) is grpc.StatusCode.UNAVAILABLE
    assert there[0].counts[path] + there[1].counts[path] == 1


def test_a_call_that_changes_nothing_outlives_its_replica(gateway: Callable, replicas: Callable) -> None:
    there = replicas("dies", "answers")
    target = gateway(there).target
    assert {_call(target, SCHEMA) for _ in range(4)} == {grpc.StatusCode.OK}
    assert there[0].counts[SCHEMA] == 1


def test_a_replica_that_fails_again_and_again_is_left_alone(gateway: Callable, replicas: Callable) -> None:
    bad, good = there = replicas("refuses", "answers")
    running = gateway(there)
    assert {_call(running.target, SCHEMA) for _ in range(40)} == {grpc.StatusCode.OK}
    assert running.count("outlier_detection_ejections_enforced_total", "config") >= 1
    assert bad.counts[SCHEMA] < good.counts[SCHEMA] / 2


def test_calls_above_the_limit_are_refused_at_once(gateway: Callable, replicas: Callable) -> None:
    there = replicas("hangs")
    running = gateway(there, max_requests=2)
    began = time.monotonic()
    with ThreadPoolExecutor(6) as pool:
        codes = list(pool.map(lambda _: _call(running.target, f"/{CUVIS}/CreateSession"), range(6)))
    assert sorted(code.name for code in codes) == ["OK"] * 2 + ["UNAVAILABLE"] * 4
    assert there[0].counts[f"/{CUVIS}/CreateSession"] == 2
    assert time.monotonic() - began < 10


def test_who_a_client_claims_to_be_is_thrown_away(gateway: Callable, replicas: Callable) -> None:
    there = replicas("answers")
    target = gateway(there).target
    claims = (
        ("x-forwarded-client-cert", "URI=spiffe://swath/user/alice"),
        *PRESSING,
        ("x-envoy-original-path", "/elsewhere"),
    )
    kept = (("authorization", "Bearer x"), ("swath-run-id", "r1"), ("traceparent", f"00-{'1' * 32}-{'2' * 16}-01"))
    assert _call(target, SCHEMA, *claims, *kept) is grpc.StatusCode.OK
    arrived: dict[str, Any] = there[0].calls[0]["metadata"]
    assert not {name for name, _ in claims} & arrived.keys()
    assert {name: arrived[name] for name, _ in kept} == dict(kept)


def test_names_of_metadata_may_have_underscores(gateway: Callable, replicas: Callable) -> None:
    """Triton's clients ask by `triton_grpc_error` for errors as statuses; reset, they had INTERNAL of anything."""
    there = replicas("answers")
    target = gateway(there).target
    claim = ("x_forwarded_client_cert", "URI=spiffe://swath/user/alice")
    assert _call(target, SCHEMA, ("triton_grpc_error", "true"), claim) is grpc.StatusCode.OK
    arrived: dict[str, Any] = there[0].calls[0]["metadata"]
    assert arrived["triton_grpc_error"] == "true"
    assert "x-forwarded-client-cert" not in arrived


def test_a_service_without_replicas_is_named(gateway: Callable, replicas: Callable) -> None:
    running = gateway()
    assert (running.ready(), running.ready("suite")) == (200, 503)
    with grpc.insecure_channel(running.target) as channel, pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary(SCHEMA)(b"", timeout=30)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert refused.value.details() == (
        "no replica of config is ready: nothing was done, and the call may be made again"
    )
    assert gateway(replicas("answers")).ready("suite") == 200


def test_replicas_whose_health_comes_late_still_get_calls(gateway: Callable, replicas: Callable) -> None:
    """Busy processors make slow answers, which is no reason to give none."""
    there = replicas("late", "late")
    running = gateway(there)
    deadline = time.monotonic() + 25
    while time.monotonic() < deadline:
        assert _call(running.target, SCHEMA) is grpc.StatusCode.OK, running.process.last_words()
        time.sleep(0.2)
    # Late it was: with answers in time there is about one a second from each.
    assert running.count("health_check_success", "config") < 25
    assert running.count("membership_healthy", "config") == 2


def test_a_replica_that_says_it_goes_gets_no_further_calls(gateway: Callable, replicas: Callable) -> None:
    leaving, staying = there = replicas("leaves", "answers")
    running = gateway(there)
    deadline = time.monotonic() + 30
    while running.count("membership_healthy", "config") == 2:
        assert time.monotonic() < deadline
        assert _call(running.target, SCHEMA) is grpc.StatusCode.OK
        time.sleep(0.1)
    before = leaving.counts[SCHEMA]
    assert {_call(running.target, SCHEMA) for _ in range(10)} == {grpc.StatusCode.OK}
    assert leaving.counts[SCHEMA] == before
    assert staying.counts[SCHEMA] >= 10
