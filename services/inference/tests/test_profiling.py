"""Node times of sessions."""

from collections.abc import Callable

import pytest

from swath.service import Profiling
from swath_inference.profiling import Profiler


def _observe(profiler: Profiler, switches: Profiling) -> Callable[[str, float], None]:
    observer = profiler.observer("s", switches, "inference")
    assert observer is not None
    return observer


def test_nothing_is_observed_while_profiling_is_off():
    assert Profiler().observer("s", Profiling(enabled=False), "inference") is None


def test_statistics_are_in_milliseconds():
    profiler, switches = Profiler(), Profiling(enabled=True)
    observe = _observe(profiler, switches)
    for seconds in (0.001, 0.002, 0.006):
        observe("rx", seconds)
    (times,) = profiler.summary("s", switches, None)
    assert (times.node, times.stage, times.count, times.last) == ("rx", "inference", 3, 6.0)
    assert (times.mean, times.median, times.minimum, times.maximum, times.total) == pytest.approx((3, 2, 1, 6, 9))
    assert times.std == pytest.approx((14 / 3) ** 0.5)


def test_the_first_calls_of_a_node_can_be_left_out():
    profiler, switches = Profiler(), Profiling(enabled=True, skip_first=2)
    observe = _observe(profiler, switches)
    for seconds in (9, 9, 0.001):
        observe("rx", seconds)
    assert [times.count for times in profiler.summary("s", switches, "inference")] == [1]


def test_a_reset_starts_anew():
    profiler = Profiler()
    _observe(profiler, Profiling(enabled=True))("rx", 1)
    assert profiler.summary("s", Profiling(enabled=True, generation=1), None) == []


def test_a_summary_can_be_of_one_stage():
    profiler, switches = Profiler(), Profiling(enabled=True)
    _observe(profiler, switches)("rx", 1)
    assert profiler.summary("s", switches, "train") == []
