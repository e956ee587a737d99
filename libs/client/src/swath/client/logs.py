"""Log lines of a run's workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from swath.training.v1 import runs_pb2


@dataclass(frozen=True, slots=True)
class LogLine:
    """One log line.

    Attributes:
        number: Counts from 1 in the run; lines whose numbers are missing were dropped by the server.
        attempt: The attempt at the run whose worker logged it, from 1.
        time: Unix time in seconds, by the clock of the worker's machine.
        level: "debug", "info", "warning", "error" or "critical".
        logger: Name of the logger within the worker.
        text: The message.
        exception: Traceback; empty where there was no exception.
        facts: What the line carries beside its text.
    """

    number: int
    attempt: int
    time: float
    level: str
    text: str
    logger: str = ""
    exception: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, message: runs_pb2.LogLine) -> LogLine:
        return cls(
            number=message.number,
            attempt=message.attempt,
            time=message.time.seconds + message.time.nanos / 1e9,
            level=message.level,
            text=message.text,
            logger=message.logger,
            exception=message.exception,
            facts=dict(message.facts),
        )

    def as_dict(self) -> dict[str, Any]:
        """The line as JSON can hold it."""
        return asdict(self)
