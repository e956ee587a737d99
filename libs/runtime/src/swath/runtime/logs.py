"""Log lines for people or machines, by structlog, with the standard library's loggers in the same form."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Self, TextIO

import structlog

from swath.runtime.settings import ServerSettings

_CALL = ("trace", "session")
_EXTRA = ("error", "files")
"""Fields that modules which clients use too, and which therefore know nothing of structlog, give their log lines."""


@dataclass(frozen=True, slots=True)
class Telemetry:
    """How a process tells of itself; what a service hands to the processes that it starts.

    Attributes:
        log_format: "text" or "json".
        log_level: Least severe lines that are written.
        otlp_address: Collector that spans go to, HOST:PORT; empty sends none.
    """

    log_format: str = "text"
    log_level: str = "info"
    otlp_address: str = ""

    @classmethod
    def of(cls, settings: ServerSettings) -> Self:
        """Return what a service's settings say."""
        return cls(settings.log_format, settings.log_level, settings.otlp_address)


class _Lines(logging.StreamHandler[TextIO]):
    """Writes lines where somebody may have stopped to read them."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the standard library's name
        # A worker outlives its service, and with that goes who reads this: work is not to fail for want of a reader.
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


def configure_logs(
    settings: ServerSettings | Telemetry, stream: TextIO | None = None, facts: Mapping[str, Any] | None = None
) -> None:
    """Send all log lines of this process to one place in the form that the settings ask for.

    Args:
        settings: Form and level.
        stream: Where they go; standard error if not given.
        facts: What each line carries beside its own, as it is when the line is written. For processes whose whole work
            belongs to one call.
    """
    output: TextIO = sys.stderr if stream is None else stream

    def carry(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {**facts, **event} if facts else event

    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        carry,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if settings.log_format == "json":
        final: list[structlog.typing.Processor] = [
            structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(),
        ]
    else:
        # Tracebacks without local variables: those hold what clients sent, and take a third of a second to print.
        final = [
            structlog.dev.ConsoleRenderer(colors=output.isatty(), exception_formatter=structlog.dev.plain_traceback)
        ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = _Lines(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(allow=_EXTRA)],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())


def call_facts() -> dict[str, str]:
    """Return what ties a log line to the present call, its trace and session, for work done in another process."""
    bound = structlog.contextvars.get_contextvars()
    return {name: bound[name] for name in _CALL if name in bound}
