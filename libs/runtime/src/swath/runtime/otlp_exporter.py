"""Spans on their way to an OpenTelemetry collector. Importing this takes a while: where there is none, nobody does."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, cast

import structlog
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from swath.rpc.proxies import NO_PROXY

_log = structlog.get_logger("swath.traces")

_KEPT = 2048
"""Spans that may wait to be sent; of more, the oldest are dropped."""
_BATCH = 512
_EXPORT_INTERVAL_MS = 1000.0
_TRY_S = 5.0
_LAST_S = 2.0
_LOUD = ("opentelemetry.exporter", "opentelemetry.sdk._shared_internal")
"""Loggers that have a line for each batch that was not sent."""


class OtlpExporter(SpanExporter):
    """Sends batches of spans, and says once when a collector goes away and once when it is back.

    Args:
        address: HOST:PORT of the collector, OTLP over gRPC in plain text.
    """

    def __init__(self, address: str) -> None:
        for name in _LOUD:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._address = address
        self._inner = OTLPSpanExporter(
            endpoint=address, insecure=True, timeout=_TRY_S, channel_options=cast(Any, (NO_PROXY,))
        )
        self._away = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch; one that does not arrive within some seconds is dropped."""
        result = self._inner.export(spans)
        away = result is not SpanExportResult.SUCCESS
        if away and not self._away:
            _log.warning("spans are dropped: the collector cannot be reached", address=self._address)
        elif self._away and not away:
            _log.info("the collector is back", address=self._address)
        self._away = away
        return result

    def shutdown(self) -> None:
        """Give up what is being sent."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Do nothing: what is exported has been sent."""
        return True


def open_provider(service: str, address: str, replica: str = "") -> tuple[TracerProvider, Callable[[], None]]:
    """Return what makes spans and sends them from a thread of its own, and what sends the last ones and ends it.

    No call waits for the collector, and the end waits two seconds at most.

    Args:
        service: Name of this process's service, such as "session".
        address: HOST:PORT of the collector.
        replica: Name of this process among those of its service.
    """
    names = {"service.name": f"swath-{service}", "service.namespace": "swath"}
    if replica:
        names["service.instance.id"] = replica
    # Its own end at the interpreter's would wait half a minute for a collector that is away.
    provider = TracerProvider(resource=Resource.create(names), shutdown_on_exit=False)
    exporter = OtlpExporter(address)
    provider.add_span_processor(
        BatchSpanProcessor(
            exporter, max_queue_size=_KEPT, max_export_batch_size=_BATCH, schedule_delay_millis=_EXPORT_INTERVAL_MS
        )
    )

    def close() -> None:
        last = threading.Thread(target=provider.shutdown, name="last-spans", daemon=True)
        last.start()
        last.join(_LAST_S)
        if last.is_alive():
            exporter.shutdown()

    return provider, close
