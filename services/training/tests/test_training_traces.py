"""A run and all of its workers are part of the Train call that started it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from swath.engine.graph.ports import Stage
from swath.engine.training import Event, Hook
from swath.engine.training.reporting.events import EpochProgress, Lifecycle, Position
from swath.errors import DataInvalid
from swath.rpc.tracing import part_of
from swath.runtime.logs import Telemetry
from swath_suite.testing.otlp_collector import Collector, Span
from swath_training.api.requests import TrainRequest
from swath_training.worker.phase_spans import PhaseSpans

from .conftest import GRADIENT, Worlds, epoch_ended

TRACE, CALL = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


def _attempts(spans: list[Span]) -> list[int]:
    return sorted(span.attributes["swath.run.attempt"] for span in spans if span.name == "attempt")


async def test_a_run_that_is_resumed_elsewhere_keeps_the_trace_of_its_call(
    worlds: Worlds, collector: Collector
) -> None:
    world = await worlds(telemetry=Telemetry(otlp_address=collector.address))
    session = await world.fitted(epochs=60)
    with part_of(f"00-{TRACE}-{CALL}-01"):
        following = await world.service.train(TrainRequest(session.id, GRADIENT))
    await world.until(following, epoch_ended(2))
    worker = await world.worker(following.run_id)
    await world.training.close()
    worker.kill()

    await world.restart()
    await world.ended(following.run_id)

    spans = collector.wait(TRACE, lambda spans: 2 in _attempts(spans))
    (second,) = [span for span in spans if span.name == "attempt"]
    assert (second.parent, second.failed) == (CALL, False)
    assert second.attributes["session.id"] == session.id
    (fit,) = [span for span in spans if span.name == "fit" and span.parent == second.id]
    assert [span.attributes["swath.epoch"] for span in spans if span.parent == fit.id][-1] == 60


async def test_a_failure_is_the_status_of_the_attempt(worlds: Worlds, collector: Collector) -> None:
    world = await worlds(telemetry=Telemetry(otlp_address=collector.address))
    session = await world.fitted()
    for frame in (world.workspace.root / "frames").glob("*.npz"):
        frame.write_bytes(b"no frame")
    with part_of(f"00-{TRACE}-{CALL}-01"):
        following = await world.service.train(TrainRequest(session.id, GRADIENT))
    with pytest.raises(DataInvalid):
        await world.until(following, lambda told: False)
    (attempt,) = [
        span for span in collector.wait(TRACE, lambda spans: bool(_attempts(spans))) if span.name == "attempt"
    ]
    assert attempt.failed


async def test_a_collector_that_is_away_keeps_no_run_waiting(worlds: Worlds, collector: Collector) -> None:
    collector.stop()
    world = await worlds(telemetry=Telemetry(otlp_address=collector.address))
    session = await world.fitted()
    told = await world.train(session, GRADIENT)
    assert told[-1].message.startswith("Gradient training complete")


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def phases(exporter: InMemorySpanExporter) -> PhaseSpans:
    """Phases of a run, with spans that are kept."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return PhaseSpans(provider.get_tracer("test"))


def _event(hook: Hook, epoch: int = 0, split: Stage | None = None) -> Event:
    return Event(Position(), event=Lifecycle(hook, split=split, epochs=EpochProgress(epoch, 9) if epoch else None))


def _tree(exporter: InMemorySpanExporter) -> dict[str, str]:
    """Return each span's name with its number, and what it is within."""
    spans = exporter.get_finished_spans()
    names = {
        span.context.span_id: f"{span.name} {(span.attributes or {}).get('swath.epoch', '')}".strip()
        for span in spans
        if span.context is not None
    }
    return {
        names[span.context.span_id]: names.get(span.parent.span_id, "") if span.parent is not None else ""
        for span in spans
        if span.context is not None
    }


def test_phases_lie_within_one_another(phases: PhaseSpans, exporter: InMemorySpanExporter) -> None:
    with phases:
        for event in (
            _event(Hook.FIT_START),
            _event(Hook.EPOCH_START, 1),
            _event(Hook.TRAIN_PROGRESS, 1),
            _event(Hook.EPOCH_END, 1),
            _event(Hook.EPOCH_START, 2),
            _event(Hook.EPOCH_END, 2),
            _event(Hook.FIT_END, 2),
            _event(Hook.CALIBRATION_START, split=Stage.VAL),
            _event(Hook.CALIBRATION_END, split=Stage.VAL),
            Event(Position()),
        ):
            phases.take(event)
    assert _tree(exporter) == {"epoch 1": "fit", "epoch 2": "fit", "fit": "", "calibration": ""}


def test_a_run_that_goes_on_in_the_middle_of_an_epoch_has_that_epoch_too(
    phases: PhaseSpans, exporter: InMemorySpanExporter
) -> None:
    with phases:
        phases.take(_event(Hook.TRAIN_PROGRESS, 3))
        phases.take(_event(Hook.EPOCH_END, 3))
        phases.take(_event(Hook.EVALUATION_END))
    assert _tree(exporter) == {"epoch 3": "fit", "fit": ""}


def test_what_a_run_leaves_open_ends_with_it(phases: PhaseSpans, exporter: InMemorySpanExporter) -> None:
    with pytest.raises(ZeroDivisionError), phases:
        phases.take(_event(Hook.EPOCH_START, 1))
        raise ZeroDivisionError
    assert _tree(exporter) == {"epoch 1": "fit", "fit": ""}
