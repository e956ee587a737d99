"""How many replicas a deployment wants."""

from __future__ import annotations

from swath.serve.config import AutoscalingConfig
from swath.serve.controller.scaling import Scaler


def _scaler(**options: object) -> Scaler:
    given = {
        "min_replicas": 1,
        "max_replicas": 10,
        "upscale_delay_s": 10,
        "downscale_delay_s": 20,
        "look_back_period_s": 5,
    }
    return Scaler(AutoscalingConfig(**{**given, **options}))  # type: ignore[arg-type]


def test_more_are_wanted_after_the_delay() -> None:
    scaler = _scaler()
    wanted = [scaler.wanted(float(now), 8, 1) for now in range(12)]
    # 8 calls at 2 per replica.
    assert wanted == [1] * 10 + [4] + [1]


def test_a_short_peak_starts_nothing() -> None:
    scaler = _scaler()
    calls = [20] * 5 + [0] * 30
    assert {scaler.wanted(float(now), each, 1) for now, each in enumerate(calls)} == {1}


def test_fewer_are_wanted_after_their_own_delay() -> None:
    scaler = _scaler()
    wanted = [scaler.wanted(float(now), 2, 4) for now in range(25)]
    assert wanted.index(1) == 20


def test_bounds_hold() -> None:
    assert _scaler(upscale_delay_s=0).wanted(0.0, 1000, 1) == 10
    assert _scaler(downscale_delay_s=0, min_replicas=2).wanted(0.0, 0, 5) == 2


def test_zero_is_reached_only_without_calls_and_left_at_once() -> None:
    scaler = _scaler(min_replicas=0, downscale_delay_s=2, look_back_period_s=1)
    wanted = [scaler.wanted(float(now), 0, 1) for now in range(4)]
    assert wanted == [1, 1, 0, 1]
    assert scaler.wanted(10.0, 1, 0) == 1
    assert scaler.wanted(10.0, 0, 0) == 0


def test_the_last_one_has_a_delay_of_its_own() -> None:
    scaler = _scaler(min_replicas=0, downscale_delay_s=1, downscale_to_zero_delay_s=5, look_back_period_s=1)
    wanted = [scaler.wanted(float(now), 0, 3 if now < 2 else 1) for now in range(8)]
    assert wanted[1] == 1
    assert wanted.index(0) == 5


def test_factors_and_aggregates_count() -> None:
    assert _scaler(upscale_delay_s=0, upscaling_factor=0.5).wanted(0.0, 8, 2) == 3
    highest = _scaler(upscale_delay_s=0, aggregation_function="max", max_replicas=4)
    highest.wanted(0.0, 8, 4)
    assert highest.wanted(1.0, 0, 1) == 4
