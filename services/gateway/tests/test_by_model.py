"""Calls that name a model go to the replica that keeps it."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import grpc
import pytest

from swath.api import CUVIS, OPEN_INFERENCE, ROUTES

INFER = f"/{OPEN_INFERENCE}/ModelInfer"
STREAM = "/swath.inference.v1.InferenceService/StreamInfer"
MODELS = [f"model-{number}" for number in range(30)]


def _call(channel: grpc.Channel, *models: str, path: str = INFER) -> grpc.StatusCode:
    call: Any = channel.stream_stream(path)
    try:
        list(call(iter([b""]), timeout=30, metadata=[("swath-model", each) for each in models]))
    except grpc.RpcError as error:
        failed: Any = error
        return failed.code()
    return grpc.StatusCode.OK


def _calls(target: str, models: Sequence[str], **how: Any) -> Counter[grpc.StatusCode]:
    with grpc.insecure_channel(target, options=[("grpc.enable_retries", 0)]) as channel:
        return Counter(_call(channel, model, **how) for model in models)


def _places(replicas: Sequence[Any]) -> dict[str, set[int]]:
    """Return the replicas that calls of each model have come to; of "" those that name none."""
    found: dict[str, set[int]] = defaultdict(set)
    for place, replica in enumerate(replicas):
        for call in replica.calls:
            found[call["metadata"].get("swath-model", "")].add(place)
    return found


def test_each_model_has_its_replica_and_each_replica_its_models(gateway: Callable, replicas: Callable) -> None:
    there = replicas("answers", "answers", "answers")
    target = gateway(there, route_by_model=True).target
    for path in (INFER, STREAM):
        assert _calls(target, 3 * MODELS, path=path) == {grpc.StatusCode.OK: 90}
    places = _places(there)
    assert set(places) == set(MODELS)
    assert all(len(each) == 1 for each in places.values()), "calls and streams of a model are at one replica"
    shares = Counter(min(each) for each in places.values())
    assert min(shares[place] for place in range(3)) >= 1, shares


def test_gateways_agree_where_a_model_is(gateway: Callable, replicas: Callable) -> None:
    there = replicas("answers", "answers")
    for _ in range(2):
        assert _calls(gateway(there, route_by_model=True).target, MODELS) == {grpc.StatusCode.OK: 30}
    assert all(len(each) == 1 for each in _places(there).values())


def test_a_replica_that_dies_moves_its_models_and_no_others(gateway: Callable, replicas: Callable) -> None:
    there = replicas("answers", "answers", "answers")
    running = gateway(there, route_by_model=True)
    _calls(running.target, MODELS)
    before = {model: min(places) for model, places in _places(there).items()}
    there[2].process.kill()
    # The first calls find out: the gateway sends them to another one.
    assert _calls(running.target, MODELS) == {grpc.StatusCode.OK: 30}
    deadline = time.monotonic() + 30
    while running.count("membership_healthy", "inference-by-model") != 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert _calls(running.target, MODELS) == {grpc.StatusCode.OK: 30}
    after = _places(there[:2])
    moved = {model for model, place in before.items() if place == 2}
    assert moved
    assert set(after) == set(MODELS)
    for model in set(MODELS) - moved:
        assert after[model] == {before[model]}, "a model was moved whose replica lives"


def _together(target: str, there: Sequence[Any], count: int, *models: str, path: str = INFER) -> list[int]:
    """Hold calls open at the same time, and return how many of them each replica got, in ascending order."""
    release = threading.Event()

    def requests() -> Iterator[bytes]:
        yield b""
        release.wait(60)

    with grpc.insecure_channel(target) as channel:
        method: Any = channel.stream_stream(path)
        metadata = [("swath-model", each) for each in models]
        calls = []
        for number in range(1, count + 1):
            calls.append(method(requests(), timeout=120, metadata=metadata))
            deadline = time.monotonic() + 60
            while sum(each.counts[path] for each in there) < number:
                assert time.monotonic() < deadline
                time.sleep(0.01)
        release.set()
        assert [list(each) for each in calls] == [[b""]] * count
    return sorted(each.counts[path] for each in there)


def test_a_hot_model_spills(gateway: Callable, replicas: Callable) -> None:
    there = replicas("waits", "waits", "waits")
    counts = _together(gateway(there, route_by_model=True).target, there, 24, "hot")
    # Of 24 at once each had 8 if all had the same: a replica that has more than 150 % of that gets no more. What is
    # above goes to as few others as can take it: each that does loads the model.
    assert counts[2] <= 13
    assert counts[1] >= 8


@pytest.mark.parametrize("path", [INFER, STREAM], ids=["unary", "stream"])
def test_who_names_no_model_goes_to_who_has_least_to_do(gateway: Callable, replicas: Callable, path: str) -> None:
    there = replicas("waits", "waits")
    counts = _together(gateway(there, route_by_model=True).target, there, 16, path=path)
    # One connection and many calls: what is balanced is calls, and a stream is one for as long as it is open.
    assert counts[0] >= 4


def test_unless_it_is_switched_on_the_name_counts_for_nothing(gateway: Callable, replicas: Callable) -> None:
    there = replicas("waits", "waits")
    assert _together(gateway(there).target, there, 16, "one")[0] >= 4


@pytest.mark.parametrize(
    "models",
    [("",), ("x" * 20_000,), ("../../etc/passwd",), ("a", "b"), ("inference",), ('"}\n'[:2],), ("%00 %REQ(:PATH)%",)],
    ids=["empty", "long", "path", "two", "cluster", "quote", "format"],
)
def test_an_odd_name_harms_nothing(gateway: Callable, replicas: Callable, models: tuple[str, ...]) -> None:
    there = replicas("answers", "answers")
    target = gateway(there, route_by_model=True).target
    with grpc.insecure_channel(target) as channel:
        assert {_call(channel, *models) for _ in range(5)} == {grpc.StatusCode.OK}
        assert _call(channel, "good") is grpc.StatusCode.OK


def test_a_name_opens_no_door_and_changes_no_owner(gateway: Callable, replicas: Callable) -> None:
    there = replicas("answers")
    running = gateway(there, route_by_model=True)
    private = "/swath.inference.v1.ProfileShare/ReadProfiles"
    assert private not in ROUTES
    with grpc.insecure_channel(running.target) as channel:
        assert _call(channel, "x", path=private) is grpc.StatusCode.UNIMPLEMENTED
        assert _call(channel, "x", path=f"/{CUVIS}/GetParameterSchema") is grpc.StatusCode.OK
    assert there[0].counts == {f"/{CUVIS}/GetParameterSchema": 1}
    assert running.count("upstream_rq_total", "inference-by-model") == 0
    assert running.count("upstream_rq_total", "config") == 1
