"""Node times of sessions."""

import dataclasses
from collections.abc import Callable

import pytest

from swath.sessions.model import Profiling
from swath_inference.profiling.profiler import Profiler, summary


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
    (times,) = summary([profiler.read("s", 0)], None)
    assert (times.node, times.stage, times.count, times.last) == ("rx", "inference", 3, 6.0)
    assert (times.mean, times.median, times.minimum, times.maximum, times.total) == pytest.approx((3, 2, 1, 6, 9))
    assert times.std == pytest.approx((14 / 3) ** 0.5)


def test_the_first_calls_of_a_node_can_be_left_out():
    profiler, switches = Profiler(), Profiling(enabled=True, skip_first=2)
    observe = _observe(profiler, switches)
    for seconds in (9, 9, 0.001):
        observe("rx", seconds)
    assert [times.count for times in summary([profiler.read("s", 0)], "inference")] == [1]


def test_a_reset_starts_anew():
    profiler = Profiler()
    _observe(profiler, Profiling(enabled=True))("rx", 1)
    assert profiler.read("s", generation=1) == {}


def test_a_summary_can_be_of_one_stage():
    profiler, switches = Profiler(), Profiling(enabled=True)
    _observe(profiler, switches)("rx", 1)
    assert summary([profiler.read("s", 0)], "train") == []


def test_the_records_of_replicas_merge_into_what_one_alone_would_have_recorded():
    alone, first, second = Profiler(), Profiler(), Profiler()
    for index, seconds in enumerate((0.004, 0.001, 0.008, 0.002, 0.005)):
        for profiler in (alone, first if index % 2 else second):
            _observe(profiler, Profiling(enabled=True))("rx", seconds)
    (together,) = summary([first.read("s", 0), second.read("s", 0)], None)
    (expected,) = summary([alone.read("s", 0)], None)
    assert dataclasses.astuple(together)[3:] == pytest.approx(dataclasses.astuple(expected)[3:])
    assert together.count == 5
