"""Log lines, and what else a process prints. Nobody who writes one waits for who reads it.

setup        form and place of all log lines
folding      lines that repeat
line_writer  lines on their way to a stream
"""

from swath.rpc.line_writer import LineWriter, tell
from swath.runtime.logs.setup import (
    LogHandler,
    Telemetry,
    configure_logs,
    dropped_lines,
    flush_logs,
)

__all__ = [
    "LineWriter",
    "LogHandler",
    "Telemetry",
    "configure_logs",
    "dropped_lines",
    "flush_logs",
    "tell",
]
