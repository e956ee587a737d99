"""Spans on their way to a collector: whatever becomes of it, calls do not notice."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider

from swath.runtime.logs import Telemetry, configure_logs
from swath.runtime.otlp_exporter import OtlpExporter, open_provider
from swath_suite.testing.otlp_collector import Collector

_MANY = 5000
LESS_THAN_A_TRY_S = 4.5
"""Who waits for one attempt to send waits for five seconds."""

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def collector() -> Iterator[Collector]:
    """One that is away until it is started."""
    collector = Collector()
    yield collector
    collector.stop()


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Reads the log."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    stream = StringIO()
    configure_logs(Telemetry("json"), stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    structlog.reset_defaults()
    root.handlers[:], root.level = before


def _record(provider: TracerProvider, name: str, count: int = 1) -> float:
    """Record spans and return how many seconds that took."""
    tracer = provider.get_tracer("test")
    started = time.monotonic()
    for _ in range(count):
        tracer.start_span(name).end()
    return time.monotonic() - started


def _until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_spans_arrive_with_who_recorded_them(collector: Collector) -> None:
    collector.start()
    provider, close = open_provider("session", collector.address, "session-1")
    _record(provider, "work")
    close()
    (span,) = collector.spans
    assert (span.service, span.replica, span.name, span.parent) == ("swath-session", "session-1", "work", "")


def test_a_collector_that_is_away_costs_no_call_anything_and_the_end_two_seconds(collector: Collector) -> None:
    provider, close = open_provider("session", collector.address)
    assert _record(provider, "work", _MANY) < LESS_THAN_A_TRY_S
    started = time.monotonic()
    close()
    assert time.monotonic() - started < LESS_THAN_A_TRY_S


def test_a_collector_that_hangs_neither(collector: Collector) -> None:
    hanging = Collector(delay_s=5.0)
    with hanging:
        provider, close = open_provider("session", hanging.address)
        assert _record(provider, "work", _MANY) < LESS_THAN_A_TRY_S
        started = time.monotonic()
        close()
        assert time.monotonic() - started < LESS_THAN_A_TRY_S


def test_a_collector_that_goes_and_comes_back_leaves_two_lines(
    collector: Collector, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swath.runtime.otlp_exporter._TRY_S", 0.2)
    provider, close = open_provider("session", collector.address)
    for _ in range(4):
        # More than are kept: those that are dropped leave no lines of their own.
        _record(provider, "lost", _MANY)
        time.sleep(0.5)
    _until(lines)
    collector.start()
    _until(lambda: (_record(provider, "arrives") and time.sleep(0.2)) or collector.spans)
    _until(lambda: len(lines()) > 1)
    close()
    assert [(line["level"], line["event"]) for line in lines()] == [
        ("warning", "spans are dropped: the collector cannot be reached"),
        ("info", "the collector is back"),
    ]
    assert lines()[0]["address"] == collector.address


def test_an_exporter_that_has_ended_raises_nothing(collector: Collector) -> None:
    exporter = OtlpExporter(collector.address)
    exporter.shutdown()
    exporter.shutdown()
    assert exporter.force_flush()
