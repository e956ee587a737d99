"""Log lines for people or machines, by structlog, with the standard library's loggers in the same form."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Self, TextIO

import structlog

from swath.rpc.line_writer import LineWriter
from swath.rpc.tracing import call_facts
from swath.runtime.logs.folding import Folding
from swath.runtime.settings import ServerSettings

_EXTRA = ("error", "files", "count")
"""Fields that modules which know nothing of structlog, such as those that clients use too, give their log lines."""
_FLUSH_S = 2.0
"""Longest that the end of a process waits for log lines to be read."""


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


class LogHandler(logging.Handler):
    """Writes log lines without ever waiting for who reads them, and folds those that repeat.

    Args:
        stream: Where lines go.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._folding = Folding()
        self.writer = LineWriter(stream, self._dropped_line, self._folded_lines)

    def emit(self, record: logging.LogRecord) -> None:
        """As `logging.Handler`. The line is made here: what it tells of may be gone or changed later."""
        try:
            if self._folding.admit(record):
                self.writer.put(self._line(record))
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        """As `logging.Handler`, within a time limit; also called at the exit of a process."""
        for record, count in self._folding.take():
            self.writer.put(self._folded_line(record, count))
        self.writer.flush(_FLUSH_S)

    def _line(self, record: logging.LogRecord) -> str:
        return f"{self.format(record)}\n"

    def _dropped_line(self, count: int) -> str:
        return self._own("log lines were dropped: nobody read them, or they could not be written", count)

    def _folded_lines(self) -> list[str]:
        return [self._folded_line(record, count) for record, count in self._folding.take()]

    def _folded_line(self, record: logging.LogRecord, count: int) -> str:
        event = record.msg.get("event") if isinstance(record.msg, Mapping) else record.getMessage()
        return self._own(f"more log lines like this within a second: {event}", count)

    def _own(self, text: str, count: int) -> str:
        record = logging.LogRecord("swath.logs", logging.WARNING, "", 0, text, (), None)
        record.count = count
        return self._line(record)


def flush_logs(timeout_s: float = _FLUSH_S) -> None:
    """Write the log lines that wait, within a time limit: for processes that end without Python's own end."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LogHandler):
            handler.writer.flush(timeout_s)


def dropped_lines() -> int:
    """Return how many log lines this process has dropped."""
    handlers = logging.getLogger().handlers
    return sum(handler.writer.dropped for handler in handlers if isinstance(handler, LogHandler))


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
        return {**call_facts(), **(facts or {}), **event}

    shared: list[structlog.typing.Processor] = [
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
    handler = LogHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(allow=_EXTRA)],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
