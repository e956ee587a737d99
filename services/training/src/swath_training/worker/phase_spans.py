"""Spans of what a worker does, made from the events of its run."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from opentelemetry import trace

from swath.engine.training import Event, Hook

_BEGINS = {
    Hook.FIT_START: "fit",
    Hook.STATISTICAL_NODE_START: "fit",
    Hook.EPOCH_START: "epoch",
    Hook.VALIDATION_START: "validation",
    Hook.CALIBRATION_START: "calibration",
    Hook.EVALUATION_START: "evaluation",
    # A run that goes on from a checkpoint does not report the beginning of what it is in the middle of.
    Hook.STATISTICAL_PROGRESS: "fit",
    Hook.TRAIN_PROGRESS: "epoch",
    Hook.VALIDATION_PROGRESS: "validation",
    Hook.CALIBRATION_PROGRESS: "calibration",
    Hook.EVALUATION_PROGRESS: "evaluation",
}
_ENDS = {
    Hook.FIT_END: "fit",
    Hook.STATISTICAL_NODE_END: "fit",
    Hook.EPOCH_END: "epoch",
    Hook.VALIDATION_END: "validation",
    Hook.CALIBRATION_END: "calibration",
    Hook.EVALUATION_END: "evaluation",
}
_WITHIN = {"epoch": "fit"}


class PhaseSpans:
    """Records fits, epochs, validations, calibrations and evaluations, one within the other, below the present span.

    As a context manager it ends what is left open: a run that stops or fails reports no ends.

    Args:
        tracer: Makes the spans; this process's if not given.
    """

    def __init__(self, tracer: trace.Tracer | None = None) -> None:
        self._tracer = tracer or trace.get_tracer("swath")
        self._open: list[tuple[str, trace.Span]] = []
        self._root = trace.get_current_span()

    def take(self, event: Event) -> None:
        """Begin or end the spans of what an event reports as begun or ended."""
        moment = event.event
        if moment is None:
            return
        if name := _BEGINS.get(moment.hook):
            facts: dict[str, str | int] = {}
            if moment.epochs is not None and name != "fit":
                facts["swath.epoch"] = moment.epochs.current
            if moment.split is not None:
                facts["swath.split"] = str(moment.split)
            if moment.node:
                facts["swath.node"] = moment.node
            self._begin(name, facts)
        elif name := _ENDS.get(moment.hook):
            self._end(name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        while self._open:
            self._open.pop()[1].end()

    def _begin(self, name: str, facts: dict[str, str | int]) -> None:
        if any(name == other for other, _ in self._open):
            return
        if name in _WITHIN:
            self._begin(_WITHIN[name], {})
        above = trace.set_span_in_context(self._open[-1][1] if self._open else self._root)
        self._open.append((name, self._tracer.start_span(name, context=above, attributes=facts)))

    def _end(self, name: str) -> None:
        while any(name == other for other, _ in self._open):
            self._open.pop()[1].end()
