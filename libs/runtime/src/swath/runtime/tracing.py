"""Where a process sends its spans; what they are made of is `swath.rpc.tracing`."""

from __future__ import annotations

from collections.abc import Callable

from opentelemetry import trace


def configure_tracing(service: str, address: str, replica: str = "") -> Callable[[], None]:
    """Send spans of this process to a collector; return what sends the last ones at the end.

    Args:
        service: Name of this process's service, such as "session".
        address: HOST:PORT of the collector, OTLP over gRPC in plain text; empty sends none.
        replica: Name of this process among those of its service.
    """
    if not address:
        return lambda: None
    # Imported where it is used: it takes a while.
    from swath.runtime.otlp_exporter import open_provider

    provider, close = open_provider(service, address, replica)
    trace.set_tracer_provider(provider)
    return close
